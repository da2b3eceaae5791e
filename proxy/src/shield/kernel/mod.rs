//! The kernel program from user space: loading, attaching, its maps. The only place that knows aya. What stands in the lists is not
//! decided here.
//!
//! [`Kernel`] loads and attaches, for which it needs privileges; [`Maps`] reads and writes, also over the pins of a program that
//! another process loaded; [`Pins`] knows the directory of both. Attachments are pinned: they outlive the process, and the next one
//! replaces their program without a gap.

pub(in crate::shield) mod buckets;
mod class4;
mod counters;
mod displace;
mod error;
mod ethtool;
mod events;
mod fine;
mod inherit;
pub mod inspect;
mod interface;
mod loader;
mod log;
mod mapped;
mod maps;
mod memory;
mod network;
mod object;
mod owner;
mod pins;
pub(in crate::shield) mod rows;
mod run;
mod switch;
mod sys;
mod table;

pub use class4::Class4;
pub use counters::Counters;
pub use displace::program_name;
pub use error::KernelError;
pub use events::EventReader;
pub use interface::AttachedMode;
pub use loader::{Attached, Kernel, Mode, Subject};
pub use log::LogReader;
pub use mapped::{Ban, Ban4, Ban6, Bans, Class6, Mapped};
pub use maps::Maps;
pub use network::{Negotiated, interface_mtu, negotiated};
pub use object::is_built_in;
pub use pins::{Attachment, BPFFS, Pins};
pub use rows::{Row, Row4, Row6, RowOfWords};
pub use run::TestRun;
pub use switch::throw;
pub use sys::{interface_index, interface_name, monotonic_ns};
pub use table::Table;
