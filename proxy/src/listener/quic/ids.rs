//! Connection ids: eight random bytes, and two that hold the numbers of worker and process under a mask.
//!
//! The mask is a keyed mix of the random bytes, cheap enough for the kernel to compute for every packet (see [`super::steer`]). It hides
//! the number from who reads along; what is behind it is worth no more than that. The rest of an id says nothing, so ids of one
//! connection cannot be told to belong together (RFC 9000 §5.1) but by who breaks the mask, and then no better than the number of
//! workers.

use quinn_proto::{ConnectionId, ConnectionIdGenerator, InvalidCid};
use rustls::crypto::{SecureRandom, aws_lc_rs};

/// Of every id that this proxy chooses.
pub(super) const LENGTH: usize = 10;

/// Of the sixteen bits of a number these are the worker's; those above count the processes that have handed the sockets on.
pub(super) const WORKER: u16 = 0x03ff;
/// How many generations can be told apart.
pub(super) const GENERATIONS: u16 = 1 << WORKER.count_zeros();

/// Whose connection it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) generation: u16,
    pub(super) worker: u16,
}

impl Owner {
    fn number(self) -> u16 {
        (self.generation % GENERATIONS) << WORKER.count_ones() | self.worker & WORKER
    }
}

impl From<u16> for Owner {
    fn from(number: u16) -> Self {
        Self {
            generation: number >> WORKER.count_ones(),
            worker: number & WORKER,
        }
    }
}

/// The multiplier of the last round; odd, and known to spread bits well.
pub(super) const SPREAD: u32 = 0x85eb_ca6b;

/// What masks the numbers, drawn at the start of the process.
#[derive(Clone, Copy)]
pub struct IdKey {
    pub(super) first: u32,
    /// Odd.
    pub(super) first_factor: u32,
    pub(super) second: u32,
    /// Odd.
    pub(super) second_factor: u32,
}

impl std::fmt::Debug for IdKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("IdKey")
    }
}

impl IdKey {
    pub fn random() -> Self {
        let random = aws_lc_rs::default_provider().secure_random;
        let mut words = [0; 4];
        for word in &mut words {
            let mut bytes = [0; 4];
            fill(random, &mut bytes);
            *word = u32::from_be_bytes(bytes);
        }
        Self::from_words(words)
    }

    /// What [`Self::to_words`] has given.
    pub fn from_words(words: [u32; 4]) -> Self {
        let [first, first_factor, second, second_factor] = words;
        Self {
            first,
            first_factor: first_factor | 1,
            second,
            second_factor: second_factor | 1,
        }
    }

    /// For a process that goes on with the sockets of this one.
    pub fn to_words(self) -> [u32; 4] {
        [
            self.first,
            self.first_factor,
            self.second,
            self.second_factor,
        ]
    }

    /// The kernel computes the same: see [`super::steer`].
    fn mask(self, nonce: [u8; 8]) -> u16 {
        let nonce = u64::from_be_bytes(nonce);
        let (first, second) = ((nonce >> 32) as u32, nonce as u32);
        let mut mixed = (first ^ self.first).wrapping_mul(self.first_factor);
        mixed ^= mixed >> 15;
        mixed = (mixed.wrapping_add(second) ^ self.second).wrapping_mul(self.second_factor);
        mixed ^= mixed >> 16;
        mixed = mixed.wrapping_mul(SPREAD);
        mixed ^= mixed >> 13;
        mixed as u16
    }

    fn seal(self, nonce: [u8; 8], owner: Owner) -> [u8; LENGTH] {
        let masked = owner.number() ^ self.mask(nonce);
        let mut id = [0; LENGTH];
        let bytes = nonce.into_iter().chain(masked.to_be_bytes());
        id.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        id
    }

    fn owner(self, id: [u8; LENGTH]) -> Owner {
        let nonce = id.first_chunk().copied().unwrap_or_default();
        let masked = id.last_chunk().copied().unwrap_or_default();
        Owner::from(u16::from_be_bytes(masked) ^ self.mask(nonce))
    }

    /// Whose connection a datagram belongs to, going by its first packet; nothing where a client has chosen the id itself, as it does
    /// until it has had an answer, or where it is no QUIC packet of ours.
    pub(super) fn of_datagram(self, datagram: &[u8]) -> Option<Owner> {
        let (first, rest) = datagram.split_first()?;
        // Handshake packets alone: Initials and early data may carry the client's own choice (RFC 9000 §17.2).
        let id = match first & 0xb0 {
            0xa0 => match rest.get(4..)?.split_first()? {
                (length, id) if usize::from(*length) == LENGTH => id,
                _ => return None,
            },
            long if long & 0x80 != 0 => return None,
            _ => rest,
        };
        Some(self.owner(*id.first_chunk()?))
    }

    /// The same for Initials and early data, whose id is ours from the client's second flight on, and before that its own choice: what
    /// it says is as good as a guess then.
    pub(super) fn of_beginning(self, datagram: &[u8]) -> Option<Owner> {
        let (first, rest) = datagram.split_first()?;
        let (length, id) = rest.get(4..)?.split_first()?;
        let is_beginning = first & 0xa0 == 0x80 && usize::from(*length) == LENGTH;
        is_beginning
            .then(|| id.first_chunk())?
            .map(|id| self.owner(*id))
    }
}

/// Makes the ids of one worker.
pub(super) struct Ids {
    pub(super) key: IdKey,
    pub(super) owner: Owner,
    pub(super) workers: u16,
    pub(super) random: &'static dyn SecureRandom,
}

impl ConnectionIdGenerator for Ids {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut nonce = [0; 8];
        fill(self.random, &mut nonce);
        ConnectionId::new(&self.key.seal(nonce, self.owner))
    }

    /// Spares stateless resets for most of what strangers make up.
    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        match id.first_chunk() {
            Some(id) => {
                let Owner { generation, worker } = self.key.owner(*id);
                let is_ours = generation == self.owner.generation && worker < self.workers;
                is_ours.then_some(()).ok_or(InvalidCid)
            }
            None => Err(InvalidCid),
        }
    }

    fn cid_len(&self) -> usize {
        LENGTH
    }

    fn cid_lifetime(&self) -> Option<std::time::Duration> {
        None
    }
}

pub(super) fn fill(random: &dyn SecureRandom, bytes: &mut [u8]) {
    if random.fill(bytes).is_err() {
        // The system's generator does not fail; if it ever did, ids that can be guessed are better than no service.
        fastrand::fill(bytes);
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    pub(in super::super) fn ids(key: IdKey, worker: u16, workers: u16) -> Ids {
        let generation = 5;
        Ids {
            key,
            owner: Owner { generation, worker },
            workers,
            random: aws_lc_rs::default_provider().secure_random,
        }
    }

    #[test]
    fn an_id_leads_back_to_its_worker_and_its_process() {
        let key = IdKey::random();
        for worker in [0, 1, 7, 1023] {
            let mut ids = ids(key, worker, 1024);
            let id = ids.generate_cid();
            assert_eq!(id.len(), LENGTH);
            assert!(ids.validate(&id).is_ok());
            let short = [&[0x41][..], &id, b"payload"].concat();
            let owner = Some(ids.owner);
            assert_eq!(key.of_datagram(&short), owner);
            let handshake = [&[0xe3, 0, 0, 0, 1, LENGTH as u8][..], &id, b"..."].concat();
            assert_eq!(key.of_datagram(&handshake), owner);
            let initial = [&[0xc3, 0, 0, 0, 1, LENGTH as u8][..], &id, b"..."].concat();
            assert_eq!(key.of_datagram(&initial), None);
            assert_eq!(key.of_beginning(&initial), owner);
            assert_eq!(key.of_beginning(&handshake), None);
        }
    }

    #[test]
    fn what_a_client_chose_itself_leads_nowhere() {
        let key = IdKey::random();
        let id = ids(key, 3, 4).generate_cid();
        for (first, length) in [(0xc3, LENGTH as u8), (0xd3, LENGTH as u8), (0xe3, 8)] {
            let datagram = [&[first, 0, 0, 0, 1, length][..], &id].concat();
            assert_eq!(key.of_datagram(&datagram), None, "{first:#x}");
        }
        for short in [&b""[..], b"\x41", b"\x41123456789", b"\xe3\0\0\0\x01\x0a12"] {
            assert_eq!(key.of_datagram(short), None, "{short:?}");
        }
    }

    #[test]
    fn most_of_what_is_made_up_is_recognised() {
        let key = IdKey::random();
        let ids = ids(key, 0, 2);
        let mut valid = 0;
        for number in 0..10_000u64 {
            let made_up = [&number.to_be_bytes()[..], b"xx"].concat();
            valid += u32::from(ids.validate(&ConnectionId::new(&made_up)).is_ok());
        }
        assert!(valid < 20, "{valid} of 10,000");
    }

    #[test]
    fn a_worker_does_not_show_in_its_ids() {
        let mut ids = ids(IdKey::random(), 1, 2);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..1000 {
            let id = ids.generate_cid();
            seen.insert(*id.last_chunk::<2>().unwrap());
        }
        assert!(seen.len() > 900, "{} different masks of 1000", seen.len());
    }
}
