//! Running programs of the object on frames that no interface has received: for tests and benches.

use std::time::Duration;

use aya::{
    TestRun as _, TestRunAttrs, TestRunOptions,
    programs::{ProgramError, Xdp, XdpMode},
};
use openclaw_common::verdict::Verdict;

use super::{AttachedMode, Kernel, KernelError, Subject, interface, loader::program};

/// `XDP_DROP`; `XDP_PASS` is 2.
const XDP_DROP: u32 = 1;
const XDP_TX: u32 = 3;

/// Frames that a driver would hand over at once.
const LIVE_BATCH: u32 = 64;

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

    /// Puts a program that is not the shield on an interface, in native mode, until this is dropped.
    ///
    /// # Errors
    ///
    /// As [`Self::attach`].
    pub fn lend(&mut self, subject: Subject, interface: &str) -> Result<(), KernelError> {
        let index = interface::index(interface)?;
        let program = self.loaded(subject)?;
        program
            .attach_to_if_index(index, XdpMode::Driver)
            .map(drop)
            .map_err(|source| KernelError::Attach {
                interface: interface.into(),
                mode: AttachedMode::Native.name(),
                source: Box::new(source),
            })
    }

    /// Has a program handle `count` frames as if the interface of this number, in the namespace of this thread, had received them; what
    /// it sends is sent. The frames are one after another in the same buffers, of which the program finds what it made of the last.
    ///
    /// # Errors
    ///
    /// [`KernelError::TestRun`]; the kernel can from 5.18 on.
    pub fn receive(
        &mut self,
        subject: Subject,
        index: u32,
        frame: &[u8],
        count: u32,
    ) -> Result<(), KernelError> {
        // `struct xdp_md`: start, end, start of what is before the frame, interface, queue, interface to send by.
        let context = [0, frame.len() as u32, 0, index, 0, 0].map(u32::to_ne_bytes);
        let options = TestRunOptions {
            data_in: Some(frame),
            ctx_in: Some(context.as_flattened()),
            repeat: count,
            attrs: TestRunAttrs::new().xdp_live_frames(LIVE_BATCH),
            ..TestRunOptions::default()
        };
        self.loaded(subject)?
            .test_run(options)
            .map(drop)
            .map_err(|source| KernelError::TestRun {
                bytes: frame.len(),
                source: Box::new(source),
            })
    }

    fn loaded(&mut self, subject: Subject) -> Result<&mut Xdp, KernelError> {
        let program = program(&mut self.ebpf, subject)?;
        match program.load() {
            Ok(()) | Err(ProgramError::AlreadyLoaded) => Ok(program),
            Err(error) => Err(KernelError::from_program(error)),
        }
    }

    fn run(
        &mut self,
        subject: Subject,
        frame: &[u8],
        repeat: u32,
        data_out: Option<&mut [u8]>,
    ) -> Result<(TestRun, usize), KernelError> {
        let program = self.loaded(subject)?;
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
