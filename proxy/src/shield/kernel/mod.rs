//! The kernel program from user space: loading, attaching, its maps. The only place that knows aya. What stands in the lists is not
//! decided here.
//!
//! [`Kernel`] loads and attaches, for which it needs privileges; [`Maps`] reads and writes, also over the pins of a program that
//! another process loaded; [`Pins`] knows the directory of both. Attachments are pinned: they outlive the process, and the next one
//! replaces their program without a gap.

mod ban4;
pub(in crate::shield) mod buckets;
mod class4;
mod error;
mod events;
pub mod inspect;
mod interface;
mod loader;
mod log;
mod maps;
mod memory;
mod object;
mod owner;
mod pins;
mod run;
mod sys;
mod table;

pub use ban4::Ban4;
pub use class4::Class4;
pub use error::KernelError;
pub use events::EventReader;
pub use interface::AttachedMode;
pub use loader::{Attached, Kernel, Mode, Subject};
pub use log::LogReader;
pub use maps::Maps;
pub use object::is_built_in;
pub use pins::{Attachment, Pins};
pub use run::TestRun;
pub use sys::{
    Negotiated, interface_index, interface_mtu, interface_name, monotonic_ns, negotiated,
};
pub use table::Table;
