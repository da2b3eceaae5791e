//! One hash or trie in the kernel, typed by its key and value.

use std::{
    collections::HashSet,
    fmt,
    hash::Hash,
    io,
    marker::PhantomData,
    os::fd::{AsFd as _, OwnedFd},
};

use super::{
    KernelError,
    sys::{self, Plain},
};

/// Elements a system call; larger batches hold the kernel too long and have failed with ENOMEM on maps that allocate as they grow.
const BATCH: usize = 4096;

/// A map from `K` to `V`. Every operation is one or more system calls on the live map, so it may be shared between threads.
pub struct Table<K, V> {
    map: OwnedFd,
    name: &'static str,
    capacity: u32,
    types: PhantomData<fn(K) -> V>,
}

impl<K: Plain, V: Plain> Table<K, V> {
    pub(super) fn new(map: OwnedFd, name: &'static str, capacity: u32) -> Self {
        Self {
            map,
            name,
            capacity,
            types: PhantomData,
        }
    }

    /// The most entries that it takes.
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// The value of a key; in a trie, of the longest prefix around it.
    pub fn get(&self, key: &K) -> Result<Option<V>, KernelError>
    where
        V: Default,
    {
        let mut value = [V::default()];
        let is_found =
            sys::lookup(self.map.as_fd(), key, &mut value).map_err(self.failed("read"))?;
        let [value] = value;
        Ok(is_found.then_some(value))
    }

    /// Inserts or replaces; the hits of an entry start again.
    pub fn insert(&self, key: &K, value: &V) -> Result<(), KernelError> {
        sys::update(self.map.as_fd(), key, value).map_err(self.failed("write"))
    }

    /// Whether there was such a key.
    pub fn remove(&self, key: &K) -> Result<bool, KernelError> {
        sys::delete(self.map.as_fd(), key).map_err(self.failed("write"))
    }

    /// Inserts or replaces many, in batches; one at a time where the kernel does not take batches.
    pub fn insert_many(&self, entries: &[(K, V)]) -> Result<(), KernelError> {
        for chunk in entries.chunks(BATCH) {
            let keys: Vec<K> = chunk.iter().map(|(key, _)| *key).collect();
            let values: Vec<V> = chunk.iter().map(|(_, value)| *value).collect();
            let (inserted, result) = sys::update_batch(self.map.as_fd(), &keys, &values);
            if result.is_err() {
                for (key, value) in chunk.iter().skip(inserted) {
                    self.insert(key, value)?;
                }
            }
        }
        Ok(())
    }

    /// How many of the keys there were.
    pub fn remove_many(&self, keys: &[K]) -> Result<usize, KernelError> {
        let mut removed = 0;
        for chunk in keys.chunks(BATCH) {
            // A batch stops at a key that is not there.
            let (done, _) = sys::delete_batch(self.map.as_fd(), chunk);
            removed += done;
            for key in chunk.iter().skip(done) {
                removed += usize::from(self.remove(key)?);
            }
        }
        Ok(removed)
    }

    /// Takes everything out, of a map that nobody else writes to.
    pub fn clear(&self) -> Result<(), KernelError> {
        loop {
            let mut keys: Vec<K> = Vec::new();
            while keys.len() < BATCH {
                let next = sys::next_key(self.map.as_fd(), keys.last());
                let Some(key) = next.map_err(self.failed("read"))? else {
                    break;
                };
                keys.push(key);
            }
            if keys.is_empty() {
                return Ok(());
            }
            self.remove_many(&keys)?;
        }
    }

    /// Every key. A key that comes or goes meanwhile may be in it or not.
    pub fn keys(&self) -> Result<Vec<K>, KernelError>
    where
        K: Eq + Hash,
    {
        let mut keys = Vec::new();
        let mut seen = HashSet::new();
        let mut last: Option<K> = None;
        // A hash starts over when the last key is deleted under us; the bound ends a race without end.
        for _ in 0..self.capacity.saturating_mul(2) {
            let next =
                sys::next_key(self.map.as_fd(), last.as_ref()).map_err(self.failed("read"))?;
            let Some(key) = next else { break };
            if seen.insert(key) {
                keys.push(key);
            }
            last = Some(key);
        }
        Ok(keys)
    }

    /// Every key with its value.
    pub fn entries(&self) -> Result<Vec<(K, V)>, KernelError>
    where
        K: Eq + Hash,
        V: Default,
    {
        let mut entries = Vec::new();
        for key in self.keys()? {
            if let Some(value) = self.get(&key)? {
                entries.push((key, value));
            }
        }
        Ok(entries)
    }

    /// Makes the map hold exactly these. New entries come before old ones go, so that what is in both is never missing.
    pub fn replace(&self, entries: &[(K, V)]) -> Result<(), KernelError>
    where
        K: Eq + Hash,
    {
        let old = self.keys()?;
        self.insert_many(entries)?;
        let kept: HashSet<K> = entries.iter().map(|(key, _)| *key).collect();
        let gone: Vec<K> = old.into_iter().filter(|key| !kept.contains(key)).collect();
        self.remove_many(&gone).map(|_| ())
    }

    fn failed(&self, operation: &'static str) -> impl Fn(io::Error) -> KernelError {
        let (map, capacity) = (self.name, self.capacity);
        move |source| match source.raw_os_error() {
            // A hash and a trie say "full" differently.
            Some(libc::E2BIG | libc::ENOSPC) => KernelError::Full { map, capacity },
            Some(libc::EPERM | libc::EACCES) => KernelError::Privilege {
                attempt: format!("cannot {operation} the map {map}"),
                source,
            },
            _ => KernelError::Map {
                map,
                operation,
                source,
            },
        }
    }
}

impl<K, V> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("name", &self.name)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}
