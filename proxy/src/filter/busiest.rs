//! Who is refused most, in little room: the counters of the space-saving algorithm (Metwally et al.). A newcomer takes the place
//! of the smallest and begins with its count, so whoever is refused often is among them, and no count is too low.

use openclaw_core::limit::Identity;

/// How many are told apart on each worker and route.
const KEPT: usize = 32;

/// One who was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Busy {
    /// Its number in the table of limits.
    pub hash: u64,
    /// For people.
    pub name: String,
    pub refused: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Busiest {
    total: u64,
    kept: Vec<Busy>,
}

impl Busiest {
    pub(super) fn refused(&mut self, hash: u64, identity: &Identity<'_>) {
        self.total += 1;
        if let Some(known) = self.kept.iter_mut().find(|known| known.hash == hash) {
            known.refused += 1;
            return;
        }
        let mut newcomer = Busy {
            hash,
            name: identity.to_string(),
            refused: 1,
        };
        if self.kept.len() < KEPT {
            self.kept.push(newcomer);
        } else if let Some(smallest) = self.kept.iter_mut().min_by_key(|known| known.refused) {
            newcomer.refused += smallest.refused;
            *smallest = newcomer;
        }
    }

    pub(super) fn list(&self) -> (u64, Vec<Busy>) {
        (self.total, self.kept.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_is_refused_often_is_told_among_many_who_are_not() {
        let mut busiest = Busiest::default();
        for number in 0..10_000_u64 {
            let hash = if number % 10 == 0 { 7 } else { number + 100 };
            busiest.refused(hash, &Identity::Everyone);
        }
        let (total, kept) = busiest.list();
        assert_eq!((total, kept.len()), (10_000, KEPT));
        let first = kept.iter().max_by_key(|busy| busy.refused);
        assert!(first.is_some_and(|busy| busy.hash == 7 && busy.refused >= 1000));
    }
}
