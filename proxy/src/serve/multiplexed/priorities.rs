//! What a client has said of how urgent its responses are, and which of them go on first (RFC 9218).

use openclaw_core::message::{Priority, ResponseHead};
use openclaw_core::turns::{Place, Turns};

/// How many priorities are remembered of streams that have not begun.
const EARLY: usize = 16;

#[derive(Debug, Default)]
pub(in crate::serve) struct Priorities {
    /// Streams by id.
    early: Vec<(u64, Priority)>,
    /// The client has said something: what it leaves unsaid means what the RFC says, too.
    knows: bool,
    pub turns: Turns,
}

impl Priorities {
    /// The client knows of priorities.
    pub(in crate::serve) fn known(&mut self) {
        self.knows = true;
    }

    /// A frame has said so of a stream that is still to come. The oldest is forgotten where there are too many.
    pub(in crate::serve) fn announce(&mut self, id: u64, priority: Priority) {
        self.knows = true;
        if self.early.len() == EARLY {
            self.early.remove(0);
        }
        self.early.push((id, priority));
    }

    /// That of a request whose field, if it has one, says `said`. What a frame has said goes before it (RFC 9218 §7).
    pub(in crate::serve) fn of_request(&mut self, id: u64, said: Option<&[u8]>) -> Priority {
        let early = self.early.iter().rposition(|(stream, _)| *stream == id);
        let early = early.map(|at| self.early.remove(at).1);
        let said = early.or_else(|| Priority::parse(said?));
        self.knows |= said.is_some();
        said.unwrap_or(if self.knows {
            Priority::default()
        } else {
            Priority::UNSAID
        })
    }
}

/// That of a response whose client has given it this place, if the endpoint says otherwise (RFC 9218 §8).
pub(in crate::serve) fn of_response(place: Place, head: &ResponseHead<'_>) -> Option<Priority> {
    let mut said = head.fields.iter().filter(|field| field.is(b"priority"));
    let first = said.next()?;
    let priority = place.priority().answered(first.value);
    Some(said.fold(priority, |priority, field| priority.answered(field.value)))
}

#[cfg(test)]
mod tests {
    use openclaw_core::message::Priority;

    use super::{EARLY, Priorities};

    #[test]
    fn what_is_unsaid_depends_on_what_was_said_before() {
        let mut priorities = Priorities::default();
        assert_eq!(priorities.of_request(1, None), Priority::UNSAID);
        assert_eq!(priorities.of_request(3, Some(b"???")), Priority::UNSAID);
        let urgent = Priority {
            urgency: 1,
            incremental: false,
        };
        assert_eq!(priorities.of_request(5, Some(b"u=1")), urgent);
        assert_eq!(priorities.of_request(7, None), Priority::default());
    }

    #[test]
    fn a_frame_goes_before_the_field_and_few_are_remembered() {
        let mut priorities = Priorities::default();
        for id in 0..=EARLY as u64 {
            let priority = Priority {
                urgency: 7,
                incremental: false,
            };
            priorities.announce(id, priority);
        }
        assert_eq!(priorities.of_request(0, Some(b"u=1")).urgency, 1);
        assert_eq!(priorities.of_request(1, Some(b"u=1")).urgency, 7);
        // Only once.
        assert_eq!(priorities.of_request(1, Some(b"u=1")).urgency, 1);
    }
}
