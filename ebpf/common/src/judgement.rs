//! What the decision hands to whoever carries it out.

use crate::syn::Task;
use crate::verdict::{Reason, Verdict};

/// What to do, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What to do.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
}

impl From<Reason> for Decision {
    #[inline(always)]
    fn from(reason: Reason) -> Self {
        Self {
            verdict: reason.verdict(),
            reason,
        }
    }
}

/// A decision, and what is still to be done for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The reason, unless the task brings another.
    pub reason: Reason,
    /// What the network stack is to be asked.
    pub task: Task,
    /// Country of the source, 0 for unknown.
    pub country: u8,
    /// Whether a rule in monitor mode would have dropped it.
    pub is_monitored: bool,
}

impl From<Reason> for Judgement {
    #[inline(always)]
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            task: Task::Nothing,
            country: 0,
            is_monitored: false,
        }
    }
}

impl Judgement {
    /// Whether it is to be taken note of; `reason` is the one after the task.
    #[inline(always)]
    pub fn is_notable(&self, reason: Reason) -> bool {
        self.is_monitored || matches!(reason.verdict(), Verdict::Drop)
    }

    /// All of it in a word, as a function of the kernel program returns it.
    #[inline(always)]
    pub fn packed(&self) -> u32 {
        self.reason as u32
            | (self.task as u32) << 8
            | u32::from(self.country) << 16
            | u32::from(self.is_monitored) << 24
    }

    /// From [`Self::packed`].
    #[inline(always)]
    pub fn unpacked(word: u32) -> Self {
        Self {
            reason: Reason::of(word & 0xff),
            task: Task::of(word >> 8 & 0xff),
            country: (word >> 16) as u8,
            is_monitored: word >> 24 != 0,
        }
    }
}

/// What is known of a source before its packet is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The decision, if the source alone makes it.
    pub ended: Option<Reason>,
    /// The first rule in monitor mode that would have dropped it.
    pub would: Option<Reason>,
    /// Country of the source, 0 for unknown.
    pub country: u8,
}

/// No reason has this number.
const NONE: u32 = 0xff;

impl Sighting {
    /// All of it in a word, as a function of the kernel program returns it.
    #[inline(always)]
    pub fn packed(&self) -> u32 {
        let number = |reason: Option<Reason>| reason.map_or(NONE, |reason| reason as u32);
        number(self.ended) | number(self.would) << 8 | u32::from(self.country) << 16
    }

    /// From [`Self::packed`].
    #[inline(always)]
    pub fn unpacked(word: u32) -> Self {
        let reason = |number: u32| (number != NONE).then(|| Reason::of(number));
        Self {
            ended: reason(word & 0xff),
            would: reason(word >> 8 & 0xff),
            country: (word >> 16) as u8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sighting_is_the_same_in_a_word() {
        for ended in [None, Some(Reason::Pass), Some(Reason::Block)] {
            for would in [None, Some(Reason::WouldBan)] {
                let sighting = Sighting {
                    ended,
                    would,
                    country: 77,
                };
                assert_eq!(Sighting::unpacked(sighting.packed()), sighting);
            }
        }
    }
}
