//! The shield: who is kept out before a connection costs anything. Lists, their compilation and the tables in plain memory are pure;
//! the kernel's maps, the files and the clock are at the edge.

pub mod kernel;

mod compile;
mod format;
mod host;
mod lists;
mod prefix;
mod words;

#[cfg(test)]
mod property;
