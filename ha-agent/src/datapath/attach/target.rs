//! Where a program is to be attached, and why it could not be.

use std::path::PathBuf;

use thiserror::Error;

use crate::datapath::error::{KernelError, root_cause};
use crate::net::netlink::NetlinkError;

/// The interface that a program is to be attached to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    pub ifindex: u32,
    pub name: String,
    /// Whether its frames begin with the IP header.
    pub is_layer3: bool,
}

/// Why a program could not be attached.
#[derive(Debug, Error)]
pub enum AttachError {
    /// Another program holds the place.
    #[error("{what} is attached (program {id}), and is not replaced")]
    Foreign {
        /// What it is.
        what: String,
        id: u32,
    },
    /// The kernel accepts no such program.
    #[error("{}", .0.in_words())]
    Load(#[from] KernelError),
    /// The kernel or the driver refuses the place.
    #[error("{}", root_cause(.0.as_ref()))]
    Refused(Box<dyn std::error::Error + Send + Sync>),
    /// The kernel has no tc hook.
    #[error(
        "the kernel has neither tcx (Linux 6.6) nor the clsact qdisc (its module is sch_ingress)"
    )]
    NoHook,
    /// What is attached could not be read.
    #[error("cannot read what is attached: {0}")]
    Query(#[from] NetlinkError),
    /// The link could not be pinned.
    #[error("cannot pin the link at {path}: {reason}")]
    Pin {
        /// Where.
        path: PathBuf,
        reason: String,
    },
}

pub(super) fn refused(error: impl std::error::Error + Send + Sync + 'static) -> AttachError {
    AttachError::Refused(Box::new(error))
}
