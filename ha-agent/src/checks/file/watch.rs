//! Following a path as the kernel resolves it, and hearing of everything that changes it.
//!
//! Each directory on the way is watched before the next name is looked up in it, symbolic links
//! included, and at the end the file itself. So whatever is replaced, renamed, removed or made later,
//! anywhere on the path, somebody who is watched already tells of it. A walk is begun anew after each
//! such change rather than mended: it costs a few system calls.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};
use tokio::io::unix::AsyncFd;

use super::settle::News;

/// As many symbolic links as the kernel follows in one path.
const MOST_LINKS: usize = 40;
/// Reads of events in a row before somebody else has a turn; each holds some ten events at least.
const MOST_READS: usize = 64;

/// Where a path leads.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Found {
    /// To something, by this path without symbolic links.
    There(PathBuf),
    /// To nothing, and why.
    Missing(String),
}

/// What is watched, before somebody listens.
#[derive(Debug)]
pub(super) struct Walker {
    inotify: Inotify,
    /// The names that were looked up in each directory.
    names: HashMap<WatchDescriptor, HashSet<OsString>>,
    file: Option<WatchDescriptor>,
}

/// A watched path.
#[derive(Debug)]
pub(super) struct Watch {
    walker: Walker,
    ready: AsyncFd<OwnedFd>,
}

/// Follows a path. It blocks as long as the file system does. If not all of it can be watched, only
/// where it leads is known. What is written to the file itself is told only with `content`.
pub(super) fn walk(path: &Path, content: bool) -> (Result<Walker, String>, Found) {
    let flags = InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC;
    let mut walker = Inotify::init(flags)
        .map(|inotify| Walker {
            inotify,
            names: HashMap::new(),
            file: None,
        })
        .map_err(|error| format!("inotify: {error}"));
    let found = follow(path, &mut walker);
    if let (true, Found::There(file)) = (content, &found) {
        watch_file(&mut walker, file);
    }
    (walker, found)
}

fn follow(path: &Path, walker: &mut Result<Walker, String>) -> Found {
    let mut left: VecDeque<OsString> = names(path).collect();
    let mut dir = PathBuf::from("/");
    let mut links = 0;
    while let Some(name) = left.pop_front() {
        if name == ".." {
            dir.pop();
            continue;
        }
        watch_name(walker, &dir, &name);
        let here = dir.join(&name);
        let metadata = match fs::symlink_metadata(&here) {
            Ok(metadata) => metadata,
            Err(error) => return missing(&here, &error),
        };
        if !metadata.is_symlink() {
            dir = here;
            continue;
        }
        links += 1;
        if links > MOST_LINKS {
            return Found::Missing("too many symbolic links".to_owned());
        }
        let target = match fs::read_link(&here) {
            Ok(target) => target,
            Err(error) => return missing(&here, &error),
        };
        if target.is_absolute() {
            dir = PathBuf::from("/");
        }
        for name in names(&target).collect::<Vec<_>>().into_iter().rev() {
            left.push_front(name);
        }
    }
    Found::There(dir)
}

fn names(path: &Path) -> impl Iterator<Item = OsString> + '_ {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

fn missing(path: &Path, error: &io::Error) -> Found {
    Found::Missing(match error.kind() {
        io::ErrorKind::NotFound => format!("{} does not exist", path.display()),
        _ => format!("{}: {error}", path.display()),
    })
}

/// Tells when something else comes or goes under this name.
fn watch_name(walker: &mut Result<Walker, String>, dir: &Path, name: &OsStr) {
    let flags = AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_MOVED_FROM
        | AddWatchFlags::IN_MOVED_TO
        | AddWatchFlags::IN_DELETE_SELF
        | AddWatchFlags::IN_MOVE_SELF
        | AddWatchFlags::IN_ONLYDIR;
    if let Some((walker, watch)) = add(walker, dir, flags) {
        walker
            .names
            .entry(watch)
            .or_default()
            .insert(name.to_owned());
    }
}

/// Tells when the file is written, or loses its name or its readers' rights.
fn watch_file(walker: &mut Result<Walker, String>, path: &Path) {
    // A directory may be watched already, for another purpose.
    if !fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file()) {
        return;
    }
    let flags = AddWatchFlags::IN_MODIFY
        | AddWatchFlags::IN_CLOSE_WRITE
        | AddWatchFlags::IN_ATTRIB
        | AddWatchFlags::IN_DONT_FOLLOW;
    if let Some((walker, watch)) = add(walker, path, flags) {
        walker.file = Some(watch);
    }
}

fn add<'w>(
    walker: &'w mut Result<Walker, String>,
    path: &Path,
    flags: AddWatchFlags,
) -> Option<(&'w mut Walker, WatchDescriptor)> {
    let added = walker.as_ref().ok()?.inotify.add_watch(path, flags);
    match added {
        Ok(watch) => Some((walker.as_mut().ok()?, watch)),
        // It has just gone, and whoever held its name is watched.
        Err(Errno::ENOENT | Errno::ENOTDIR) => None,
        Err(error) => {
            *walker = Err(format!("inotify of {}: {error}", path.display()));
            None
        }
    }
}

impl Watch {
    /// Within a tokio runtime.
    pub(super) fn listen(walker: Walker) -> Result<Self, String> {
        let ready = walker
            .inotify
            .as_fd()
            .try_clone_to_owned()
            .and_then(crate::os::async_fd::watch)
            .map_err(|error| format!("inotify: {error}"))?;
        Ok(Self { walker, ready })
    }

    /// Waits for the kernel to tell something. May be dropped and called again at any time.
    pub(super) async fn news(&mut self) -> News {
        let Ok(mut ready) = self.ready.readable().await else {
            // Only a runtime that is being torn down refuses; then nobody is left to be told.
            return std::future::pending().await;
        };
        let (news, drained) = self.walker.drain();
        if drained {
            ready.clear_ready();
        }
        news
    }
}

impl Walker {
    /// What there is to read now, and whether that was all.
    fn drain(&self) -> (News, bool) {
        let mut news = News::Nothing;
        for _ in 0..MOST_READS {
            match self.inotify.read_events() {
                Ok(events) => {
                    for event in &events {
                        news = stronger(news, self.meaning(event));
                    }
                }
                Err(Errno::EAGAIN) => return (news, true),
                Err(Errno::EINTR) => {}
                // A look anew finds out what is wrong.
                Err(_) => return (News::Settled, true),
            }
        }
        (news, false)
    }

    fn meaning(&self, event: &InotifyEvent) -> News {
        let lost = AddWatchFlags::IN_Q_OVERFLOW
            | AddWatchFlags::IN_IGNORED
            | AddWatchFlags::IN_UNMOUNT
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF;
        if event.mask.intersects(lost) {
            return News::Settled;
        }
        if Some(event.wd) == self.file {
            let written = event.mask == AddWatchFlags::IN_MODIFY;
            return if written {
                News::Written
            } else {
                News::Settled
            };
        }
        let looked_up = self.names.get(&event.wd);
        let ours = event
            .name
            .as_ref()
            .is_some_and(|name| looked_up.is_some_and(|names| names.contains(name)));
        if ours { News::Settled } else { News::Nothing }
    }
}

const fn stronger(one: News, other: News) -> News {
    match (one, other) {
        (News::Settled, _) | (_, News::Settled) => News::Settled,
        (News::Written, _) | (_, News::Written) => News::Written,
        (News::Nothing, News::Nothing) => News::Nothing,
    }
}
