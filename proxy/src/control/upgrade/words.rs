//! What the process that serves and the one that takes over say to each other, one message a word, some with descriptors.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::sockets::{Group, Kind};
use crate::listener::quic;
use crate::net::passing::{Channel, LARGEST, MOST};
use crate::snapshot::Session;

/// Of these words. A program of another version cannot take over, and says so.
pub(super) const VERSION: u32 = 2;
/// Sessions in a word, so that it is not too long.
const SESSIONS: usize = 256;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "word", rename_all = "snake_case")]
pub(in crate::control) enum Word {
    /// The first.
    Hello { version: u32 },
    /// What goes on with the sockets.
    Terms {
        workers: usize,
        next_group: u16,
        quic: quic::Legacy,
    },
    /// Sockets of one address, in the order of the workers; more of the same group may follow.
    Sockets {
        kind: Kind,
        number: u16,
        listener: String,
        configured: SocketAddr,
        real: SocketAddr,
    },
    /// The admin socket.
    Admin { path: PathBuf },
    /// The socket of the metrics.
    Metrics { address: SocketAddr },
    /// The socket of the page for browsers.
    Web { address: SocketAddr },
    /// The lock of the state directory.
    Lock { state_dir: PathBuf },
    /// The way to a process that still has connections of QUIC.
    Elder { generation: u16 },
    /// That was all.
    End,
    /// Who has sessions of datagrams with whom, of one listener; more of the same may follow.
    Sessions {
        listener: String,
        sessions: Vec<Session>,
    },
    /// From the one that takes over: everything is in order, and nothing served yet.
    Checked,
    /// The old one has stopped writing what both write.
    Go,
    /// It serves. `has_admin`: at the same admin socket.
    Ready { version: String, has_admin: bool },
    /// It does not, and why: as it is told, and what is wrong with the configuration if that is it.
    Refused {
        why: String,
        #[serde(default)]
        problems: Option<Value>,
    },
}

impl Word {
    pub(super) fn send(&self, channel: &Channel, descriptors: &[OwnedFd]) -> io::Result<()> {
        let text = serde_json::to_vec(self)?;
        if text.len() > LARGEST {
            return Err(io::Error::other("a word is too long"));
        }
        let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
        channel.send(&text, &descriptors)
    }

    /// Waits for one. `None`: the other process has ended.
    pub(super) fn receive(channel: &Channel) -> io::Result<Option<(Self, Vec<OwnedFd>)>> {
        let mut buffer = vec![0; LARGEST];
        let Some((text, descriptors)) = channel.receive(&mut buffer)? else {
            return Ok(None);
        };
        Ok(Some((serde_json::from_slice(text)?, descriptors)))
    }

    /// As many as the sessions of a listener take.
    pub(super) fn of_sessions(listener: &str, sessions: &[Session]) -> impl Iterator<Item = Self> {
        sessions.chunks(SESSIONS).map(|sessions| Self::Sessions {
            listener: listener.to_owned(),
            sessions: sessions.to_vec(),
        })
    }

    /// As many as a group of sockets takes.
    pub(super) fn of_group(group: &Group) -> impl Iterator<Item = (Self, &[OwnedFd])> {
        group.sockets.chunks(MOST).map(|sockets| {
            let word = Self::Sockets {
                kind: group.kind,
                number: group.number,
                listener: group.listener.to_string(),
                configured: group.configured,
                real: group.real,
            };
            (word, sockets)
        })
    }
}
