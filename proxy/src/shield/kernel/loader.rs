//! Loading the program, attaching it to interfaces, and running it on single frames.

use std::{fs, io, path::Path, sync::Arc};

use super::{AttachedMode, KernelError, LogReader, Maps, Pins, interface, object, program_name};
use aya::{
    Ebpf, EbpfError, EbpfLoader,
    programs::{
        ProgramError, ProgramType, Xdp, XdpMode,
        links::{FdLink, PinnedLink},
        xdp::{XdpLink, XdpLinkId},
    },
    sys::{BpfHelper, is_helper_supported},
};

/// How to attach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Native if the driver can, else generic.
    #[default]
    Auto,
    /// Native or not at all.
    Native,
    /// Generic.
    Generic,
}

/// What was at an interface.
enum Before {
    Nothing,
    /// A program of ours, which this one has taken the place of.
    Taken(Attached),
    /// The same in a mode that is not wanted: it is gone.
    Detached(AttachedMode),
}

/// How the program came to be attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The interface.
    pub interface: String,
    /// Its number in this network namespace.
    pub index: u32,
    /// The mode it runs in.
    pub mode: AttachedMode,
    /// Why it is not native, where native was tried.
    pub fallback_reason: Option<String>,
    /// Whether it took the place of an earlier one without a gap.
    pub replaced: bool,
    /// What was taken off for it.
    pub displaced: Option<String>,
}

/// A program of the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The shield.
    Shield,
    /// The shield on a random source: the frame's bytes behind its TCP header are a base and a mask of four bytes each.
    RandomSource,
    /// What [`Self::RandomSource`] does besides the shield.
    RandomFloor,
    /// The shield on a SYN that is new each time, with twenty bytes of options: the frame is base and mask, the SYN, and as many bytes
    /// more.
    FreshSyn,
    /// What [`Self::FreshSyn`] does besides the shield.
    FreshFloor,
    /// Sends a SYN on, made like those of [`Self::FreshSyn`] from 198.18.0.0/16, each time from another address and port there.
    Storm,
    /// Drops what goes to 198.18.0.0/16.
    Lee,
}

impl Subject {
    const fn program(self) -> &'static str {
        match self {
            Self::Shield => "openclaw",
            Self::RandomSource => "measure",
            Self::RandomFloor => "measure_floor",
            Self::FreshSyn => "measure_syn",
            Self::FreshFloor => "measure_syn_floor",
            Self::Storm => "storm",
            Self::Lee => "lee",
        }
    }
}

/// The loaded kernel program. Dropping it leaves attachments and maps as they are.
#[derive(Debug)]
pub struct Kernel {
    pub(super) ebpf: Ebpf,
    pins: Pins,
    maps: Arc<Maps>,
    has_raw_cookies: bool,
}

impl Kernel {
    /// Loads the program. Maps that are pinned below `pin_dir` are taken over with all they hold.
    ///
    /// # Errors
    ///
    /// See [`KernelError`].
    pub fn load(pin_dir: &Path) -> Result<Self, KernelError> {
        let object = object::bytes()?;
        let pins = Pins::new(pin_dir);
        pins.create()?;
        // aya takes over a pinned map by its name alone, and the verifier would be the one to complain about its layout.
        match Maps::open(&pins) {
            Ok(_) | Err(KernelError::NotLoaded { .. }) => {}
            Err(error) => return Err(error),
        }
        let has_raw_cookies = has_raw_cookies();
        let mut ebpf = EbpfLoader::new()
            .default_map_pin_directory(pins.directory())
            .override_global("RAW_COOKIES", &u32::from(has_raw_cookies), true)
            .load(object)
            .map_err(KernelError::from_load)?;
        shield(&mut ebpf)?
            .load()
            .map_err(KernelError::from_program)?;
        pins.leave_to_owner()?;
        let maps = Arc::new(Maps::open(&pins)?);
        Ok(Self {
            ebpf,
            pins,
            maps,
            has_raw_cookies,
        })
    }

    /// The maps of the program.
    pub fn maps(&self) -> Arc<Maps> {
        Arc::clone(&self.maps)
    }

    /// How many instructions the verifier followed, where the kernel says so: it gives up at a million.
    pub fn verified_instructions(&mut self) -> Option<u32> {
        let info = shield(&mut self.ebpf).ok()?.info().ok()?;
        info.verified_instruction_count()
    }

    /// Whether the kernel makes SYN cookies without a socket, as Linux does from 6.0 on.
    pub fn has_raw_cookies(&self) -> bool {
        self.has_raw_cookies
    }

    /// Its pins.
    pub fn pins(&self) -> &Pins {
        &self.pins
    }

    /// The reader of the program's log; there is one to be had.
    pub fn log_reader(&mut self) -> Result<LogReader, KernelError> {
        LogReader::new(&mut self.ebpf)
    }

    /// Attaches to an interface, or replaces the program that an earlier process of ours left there, and pins the link.
    ///
    /// # Errors
    ///
    /// [`KernelError::NoInterface`], [`KernelError::Busy`] if another XDP program is there, [`KernelError::Attach`] with the
    /// kernel's answer.
    pub fn attach(&mut self, interface: &str, mode: Mode) -> Result<Attached, KernelError> {
        let index = interface::index(interface)?;
        self.pins.inherit(interface, index)?;
        self.maps.counters.claim(index, &self.pins.linked()?)?;
        let attached = match self.replace(interface, index, mode)? {
            Before::Taken(attached) => attached,
            Before::Nothing => self.attach_anew(interface, index, mode)?,
            Before::Detached(old) => match self.attach_anew(interface, index, mode) {
                Ok(attached) => attached,
                Err(error) => {
                    // Better in the mode that is not wanted than not at all.
                    self.attach_and_pin(interface, index, old)?;
                    tracing::warn!(interface, mode = old.name(), "attached again as it was");
                    return Err(error);
                }
            },
        };
        let Attached {
            mode,
            fallback_reason,
            replaced,
            ..
        } = &attached;
        if let Some(reason) = fallback_reason {
            tracing::warn!(interface, mode = mode.name(), %reason, "shield attached in the slower mode");
        } else {
            tracing::info!(interface, mode = mode.name(), replaced, "shield attached");
        }
        Ok(attached)
    }

    /// Puts this program behind the pinned link of an earlier process, if there is one that fits.
    fn replace(&mut self, interface: &str, index: u32, mode: Mode) -> Result<Before, KernelError> {
        let path = self.pins.link(interface);
        let Some(link) = self.pins.link_info(interface)? else {
            return Ok(Before::Nothing);
        };
        if link.interface == 0 {
            // The interface went, and its link with it; an interface of that name has come since.
            fs::remove_file(&path).map_err(|source| KernelError::PinDir { path, source })?;
            return Ok(Before::Nothing);
        }
        // Numbers of interfaces repeat from one network namespace to the next, so the program must be the link's as well.
        let state = match interface::xdp(interface, index)? {
            Some(state) if link.interface == index && state.program == link.program => state,
            _ => {
                return Err(KernelError::Elsewhere {
                    path,
                    interface: interface.into(),
                });
            }
        };
        let fits = match mode {
            Mode::Auto => true,
            Mode::Native => state.mode == AttachedMode::Native,
            Mode::Generic => state.mode == AttachedMode::Generic,
        };
        if !fits {
            // The mode of a link is fixed, so this is the one change that leaves the interface open for a moment.
            tracing::warn!(
                interface,
                from = state.mode.name(),
                "detaching for a change of mode"
            );
            self.pins.detach(interface)?;
            return Ok(Before::Detached(state.mode));
        }
        let refused = |source| KernelError::Attach {
            interface: interface.into(),
            mode: state.mode.name(),
            source: Box::new(source),
        };
        let unusable = |source| KernelError::Link {
            path: path.clone(),
            source: Box::new(source),
        };
        let pinned = PinnedLink::from_pin(&path).map_err(unusable)?;
        let link = XdpLink::try_from(FdLink::from(pinned)).map_err(unusable)?;
        let program = shield(&mut self.ebpf)?;
        let id = program.attach_to_link(link).map_err(refused)?;
        release(program, id).map_err(refused)?;
        let fallback_reason = (mode == Mode::Auto && state.mode == AttachedMode::Generic)
            .then(|| {
                format!(
                    "the earlier attachment is generic, and was taken over without a gap; `openclaw shield attach {interface} --mode native` \
                     tries the other mode, with one"
                )
            });
        Ok(Before::Taken(Attached {
            interface: interface.into(),
            index,
            mode: state.mode,
            fallback_reason,
            replaced: true,
            displaced: None,
        }))
    }

    fn attach_anew(
        &mut self,
        interface: &str,
        index: u32,
        mode: Mode,
    ) -> Result<Attached, KernelError> {
        if let Some(state) = interface::xdp(interface, index)? {
            let program = program_name(state.program);
            return Err(KernelError::Busy {
                interface: interface.into(),
                program,
                id: state.program,
            });
        }
        let done = |mode, fallback_reason| Attached {
            interface: interface.into(),
            index,
            mode,
            fallback_reason,
            replaced: false,
            displaced: None,
        };
        match mode {
            Mode::Native => {
                self.attach_and_pin(interface, index, AttachedMode::Native)?;
                Ok(done(AttachedMode::Native, None))
            }
            Mode::Generic => {
                self.attach_and_pin(interface, index, AttachedMode::Generic)?;
                Ok(done(AttachedMode::Generic, None))
            }
            Mode::Auto => match self.attach_and_pin(interface, index, AttachedMode::Native) {
                Ok(()) => Ok(done(AttachedMode::Native, None)),
                Err(KernelError::Attach { source, .. }) => {
                    self.attach_and_pin(interface, index, AttachedMode::Generic)?;
                    let reason = format!(
                        "the driver of {interface} refuses native XDP: {}",
                        root_cause(&*source)
                    );
                    Ok(done(AttachedMode::Generic, Some(reason)))
                }
                Err(error) => Err(error),
            },
        }
    }

    fn attach_and_pin(
        &mut self,
        interface: &str,
        index: u32,
        mode: AttachedMode,
    ) -> Result<(), KernelError> {
        let flags = match mode {
            AttachedMode::Native => XdpMode::Driver,
            AttachedMode::Generic => XdpMode::Skb,
        };
        let path = self.pins.link(interface);
        let program = shield(&mut self.ebpf)?;
        let refused = |source| attach_error(interface, mode, source);
        let id = program.attach_to_if_index(index, flags).map_err(refused)?;
        let link = program.take_link(id).map_err(refused)?;
        let Ok(link) = FdLink::try_from(link) else {
            return Err(KernelError::NoLink {
                interface: interface.into(),
            });
        };
        // Dropping what `pin` returns closes our descriptor; the pin keeps the link.
        link.pin(&path)
            .map(drop)
            .map_err(|source| KernelError::Pin {
                path,
                source: Box::new(source),
            })?;
        self.pins.leave_to_owner()
    }
}

/// An answer that nobody understands is a no: the program then never calls what may be missing.
fn has_raw_cookies() -> bool {
    [
        BpfHelper::BPF_FUNC_tcp_raw_gen_syncookie_ipv4,
        BpfHelper::BPF_FUNC_tcp_raw_gen_syncookie_ipv6,
        BpfHelper::BPF_FUNC_tcp_raw_check_syncookie_ipv4,
        BpfHelper::BPF_FUNC_tcp_raw_check_syncookie_ipv6,
    ]
    .into_iter()
    .all(|helper| is_helper_supported(ProgramType::Xdp, helper).unwrap_or(false))
}

fn shield(ebpf: &mut Ebpf) -> Result<&mut Xdp, KernelError> {
    program(ebpf, Subject::Shield)
}

pub(super) fn program(ebpf: &mut Ebpf, subject: Subject) -> Result<&mut Xdp, KernelError> {
    let missing =
        || KernelError::from_load(EbpfError::ProgramError(ProgramError::UnexpectedProgramType));
    let program = ebpf.program_mut(subject.program()).ok_or_else(missing)?;
    program
        .try_into()
        .map_err(|source| KernelError::from_load(EbpfError::ProgramError(source)))
}

/// Takes a link out of the program's keeping, which would detach it when dropped. The pin keeps it.
fn release(program: &mut Xdp, id: XdpLinkId) -> Result<(), ProgramError> {
    program.take_link(id).map(drop)
}

fn attach_error(interface: &str, mode: AttachedMode, source: ProgramError) -> KernelError {
    if let ProgramError::SyscallError(call) = &source
        && call.io_error.raw_os_error() == Some(libc::EPERM)
    {
        let attempt = format!("cannot attach to interface `{interface}`");
        return KernelError::Privilege {
            attempt,
            source: io::Error::from_raw_os_error(libc::EPERM),
        };
    }
    KernelError::Attach {
        interface: interface.into(),
        mode: mode.name(),
        source: Box::new(source),
    }
}

/// The innermost error, which is the kernel's answer.
fn root_cause<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> &'a (dyn std::error::Error + 'static) {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause
}
