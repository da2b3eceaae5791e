//! The shield: what the kernel program decides, that it decides as the host does, and what it does on real interfaces.

mod attach;
mod comings;
mod doctor;
mod drops;
mod files;
mod flood;
mod frames;
mod lists;
mod mistakes;
mod net;
mod packets;
mod privileges;
mod rates;
mod rig;
mod rows;
mod sanity;
mod syn;
mod tables;
