//! Running the kernel program on single frames that touch no interface.

use std::time::Duration;

use aya::{TestRun as _, TestRunOptions, programs::ProgramError};
use openclaw_common::verdict::Verdict;

use super::{Kernel, KernelError, Subject, loader::program};

/// `XDP_DROP`; `XDP_PASS` is 2.
const XDP_DROP: u32 = 1;
const XDP_TX: u32 = 3;

/// The outcome of a run on one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TestRun {
    /// What the program said.
    pub verdict: Verdict,
    /// Mean time of a run.
    pub duration: Duration,
}

impl Kernel {
    /// Runs a program `repeat` times on a frame that touches no interface. Lists, counters and hits are the real ones.
    ///
    /// # Errors
    ///
    /// [`KernelError::TestRun`]; the kernel takes no frame shorter than an Ethernet header.
    pub fn test_run(
        &mut self,
        subject: Subject,
        frame: &[u8],
        repeat: u32,
    ) -> Result<TestRun, KernelError> {
        self.run(subject, frame, repeat, None).map(|(run, _)| run)
    }

    /// Runs a program once and gives back what it made of the frame.
    ///
    /// # Errors
    ///
    /// As [`Self::test_run`].
    pub fn test_frame(
        &mut self,
        subject: Subject,
        frame: &[u8],
    ) -> Result<(TestRun, Vec<u8>), KernelError> {
        // The program may make it longer, by a header at most.
        let mut after = vec![0; frame.len() + 128];
        let (run, length) = self.run(subject, frame, 1, Some(&mut after))?;
        after.truncate(length);
        Ok((run, after))
    }

    fn run(
        &mut self,
        subject: Subject,
        frame: &[u8],
        repeat: u32,
        data_out: Option<&mut [u8]>,
    ) -> Result<(TestRun, usize), KernelError> {
        let program = program(&mut self.ebpf, subject)?;
        if let Err(error) = program.load()
            && !matches!(error, ProgramError::AlreadyLoaded)
        {
            return Err(KernelError::from_program(error));
        }
        let options = TestRunOptions {
            data_in: Some(frame),
            data_out,
            repeat,
            ..TestRunOptions::default()
        };
        let result = program
            .test_run(options)
            .map_err(|source| KernelError::TestRun {
                bytes: frame.len(),
                source: Box::new(source),
            })?;
        let verdict = match result.return_value {
            XDP_DROP => Verdict::Drop,
            XDP_TX => Verdict::Tx,
            _ => Verdict::Pass,
        };
        let run = TestRun {
            verdict,
            duration: result.duration,
        };
        Ok((run, result.data_size_out as usize))
    }
}
