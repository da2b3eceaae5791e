//! Numbers and codes of reasons.

use super::*;
use crate::slot::REASONS;

#[test]
fn numbers_ascend_and_no_code_is_given_twice() {
    for (earlier, later) in Reason::ALL.iter().zip(Reason::ALL.iter().skip(1)) {
        assert!((*earlier as u8) < *later as u8);
    }
    for reason in Reason::ALL {
        assert_eq!(Reason::of(reason as u32), reason);
        let same = |other: &Reason| other.code() == reason.code();
        assert_eq!(Reason::ALL.into_iter().find(same), Some(reason));
        assert!(u32::from(reason as u8) < REASONS);
        assert!(reason.summary().ends_with('.'));
    }
}

#[test]
fn nothing_is_dropped_in_monitor_mode() {
    for reason in Reason::ALL {
        assert_eq!(reason.monitored().verdict(), Verdict::Pass);
        assert_eq!(
            reason.monitored() == reason,
            reason.verdict() == Verdict::Pass
        );
    }
}
