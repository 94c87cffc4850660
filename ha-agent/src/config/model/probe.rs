//! Probes that came later: a file, and how many processes there are; and where commands are looked for.

use std::path::PathBuf;

/// Where a command's program is looked for that is given by its name alone, and what the command has as its `PATH`.
pub const COMMAND_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// `file = { path = "/run/ha/weight" }`: a file that is watched; a change is told by the kernel.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileProbe {
    /// `path`: absolute; symbolic links are followed. It may come later, and so may its directories.
    pub path: PathBuf,
    /// `up`: what about it is looked at.
    pub used_as: FileUse,
}

/// What a file says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FileUse {
    /// Without `up`: its content is a whole number that is added to the priority, within -253 to 253. A file
    /// that is missing or holds no number adds nothing, and the check is shown as down.
    Weight,
    /// `up = "exists"`: the check is up while there is something under this name.
    Exists,
    /// `up = "missing"`: the check is up while there is nothing under this name.
    Missing,
}

/// `process = { name = "haproxy", min = 2, max = 10 }`: how many processes there are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CountProbe {
    /// `name`, as in `/proc/PID/comm`.
    pub name: String,
    /// `args`: count only those that have each of these among their arguments; default none.
    pub args: Vec<String>,
    /// `min`: the fewest with which the check is up, 0 to 100000; default 1.
    pub min: u32,
    /// `max`: the most with which it is up, `min` to 100000; default any number.
    pub max: Option<u32>,
}
