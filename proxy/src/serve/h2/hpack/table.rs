//! The static and the dynamic table (RFC 7541 §2.3, appendix A).

use std::collections::VecDeque;

/// What we allow the peer's encoder: the value of `SETTINGS_HEADER_TABLE_SIZE` that nobody has to announce.
pub(super) const MAX_SIZE: usize = 4096;
/// RFC 7541 §4.1.
const ENTRY_OVERHEAD: usize = 32;

/// RFC 7541 appendix A; index 1 is the first.
pub(super) const STATIC: [(&[u8], &[u8]); 61] = [
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"200"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"304"),
    (b":status", b"400"),
    (b":status", b"404"),
    (b":status", b"500"),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b""),
    (b"accept-ranges", b""),
    (b"accept", b""),
    (b"access-control-allow-origin", b""),
    (b"age", b""),
    (b"allow", b""),
    (b"authorization", b""),
    (b"cache-control", b""),
    (b"content-disposition", b""),
    (b"content-encoding", b""),
    (b"content-language", b""),
    (b"content-length", b""),
    (b"content-location", b""),
    (b"content-range", b""),
    (b"content-type", b""),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"expect", b""),
    (b"expires", b""),
    (b"from", b""),
    (b"host", b""),
    (b"if-match", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"if-range", b""),
    (b"if-unmodified-since", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"max-forwards", b""),
    (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""),
    (b"range", b""),
    (b"referer", b""),
    (b"refresh", b""),
    (b"retry-after", b""),
    (b"server", b""),
    (b"set-cookie", b""),
    (b"strict-transport-security", b""),
    (b"transfer-encoding", b""),
    (b"user-agent", b""),
    (b"vary", b""),
    (b"via", b""),
    (b"www-authenticate", b""),
];

/// The entries that the peer's encoder made us keep, newest first.
///
/// Their octets lie one after another in one buffer, oldest first; evicted ones are cut off now and then, so that an
/// entry is always one slice.
#[derive(Debug)]
pub(super) struct Table {
    bytes: Vec<u8>,
    /// How many octets were cut off the front of `bytes` in all, modulo 2^32.
    cut: u32,
    entries: VecDeque<Entry>,
    size: usize,
    limit: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Counted like `cut`.
    start: u32,
    name: u32,
    value: u32,
}

impl Entry {
    fn size(self) -> usize {
        self.name as usize + self.value as usize + ENTRY_OVERHEAD
    }
}

impl Table {
    pub(super) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            cut: 0,
            entries: VecDeque::new(),
            size: 0,
            limit: MAX_SIZE,
        }
    }

    /// Name and value at an index of the wire.
    pub(super) fn at(&self, index: usize) -> Option<(&[u8], &[u8])> {
        if let Some(entry) = STATIC.get(index.checked_sub(1)?) {
            return Some(*entry);
        }
        let entry = self.entries.get(index - 1 - STATIC.len())?;
        let start = entry.start.wrapping_sub(self.cut) as usize;
        let both = self.bytes.get(start..)?;
        let (name, rest) = both.split_at_checked(entry.name as usize)?;
        Some((name, rest.get(..entry.value as usize)?))
    }

    /// Obeys a size update.
    pub(super) fn resize(&mut self, limit: usize) {
        self.limit = limit;
        self.evict(limit);
    }

    /// Adds an entry; one that is larger than the table empties it (RFC 7541 §4.4).
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8]) {
        let size = name.len() + value.len() + ENTRY_OVERHEAD;
        let Some(room) = self.limit.checked_sub(size) else {
            self.evict(0);
            return;
        };
        self.evict(room);
        if self.bytes.len() + size > 2 * MAX_SIZE {
            self.compact();
        }
        let start = self.cut.wrapping_add(self.bytes.len() as u32);
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
        self.entries.push_front(Entry {
            start,
            name: name.len() as u32,
            value: value.len() as u32,
        });
        self.size += size;
    }

    fn evict(&mut self, limit: usize) {
        while self.size > limit {
            let Some(entry) = self.entries.pop_back() else {
                break;
            };
            self.size -= entry.size();
        }
    }

    fn compact(&mut self) {
        let dead = self.entries.back().map_or(self.bytes.len(), |oldest| {
            oldest.start.wrapping_sub(self.cut) as usize
        });
        self.bytes.drain(..dead.min(self.bytes.len()));
        self.cut = self.cut.wrapping_add(dead as u32);
    }

    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.size
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_SIZE, Table};

    #[test]
    fn the_newest_entry_comes_first_and_the_oldest_goes() {
        let mut table = Table::new();
        for number in 0..1000u32 {
            table.insert(b"name", &number.to_be_bytes());
            assert_eq!(
                table.at(62),
                Some((&b"name"[..], &number.to_be_bytes()[..]))
            );
            assert!(table.size() <= MAX_SIZE);
            assert!(table.bytes.len() <= 2 * MAX_SIZE);
        }
        let kept = MAX_SIZE / 40;
        let oldest = (1000 - kept as u32).to_be_bytes();
        assert_eq!(table.at(61 + kept), Some((&b"name"[..], &oldest[..])));
        assert_eq!(table.at(62 + kept), None);
        table.resize(80);
        assert_eq!(table.at(64), None);
        table.insert(b"n", &[b'v'; 100]);
        assert_eq!((table.at(62), table.size()), (None, 0));
    }

    #[test]
    fn index_zero_and_indexes_past_the_end_are_no_entries() {
        let table = Table::new();
        assert_eq!(table.at(0), None);
        assert_eq!(table.at(2), Some((&b":method"[..], &b"GET"[..])));
        assert_eq!(table.at(61), Some((&b"www-authenticate"[..], &b""[..])));
        assert_eq!(table.at(62), None);
        assert_eq!(table.at(usize::MAX), None);
    }
}
