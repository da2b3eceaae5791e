//! The shield: what the kernel program decides, that it decides as the host does, and what it does on real interfaces.

mod attach;
mod autoban;
mod closing;
mod comings;
mod counters;
mod doctor;
mod drops;
mod explain;
mod feeds;
mod files;
mod foreign;
mod frames;
mod geo;
mod lists;
mod mistakes;
mod net;
mod packets;
mod privileges;
mod rates;
mod restart;
mod rig;
mod rows;
mod sanity;
mod switch;
mod tables;
mod watch;
