//! Raw sockets of this network namespace, and which processes hold them.

use std::collections::BTreeSet;
use std::fs;

use procfs::process::{FDTarget, Process, all_processes};

/// The kernel's lists, of IPv4 and of IPv6.
const LISTS: [&str; 2] = ["/proc/self/net/raw", "/proc/self/net/raw6"];

/// A process that holds one.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Holder {
    pub name: String,
    pub pid: i32,
}

/// The inodes of the raw sockets of this protocol that are not this process's. A list that cannot be read has none.
pub fn of_others(protocol: u8) -> BTreeSet<u64> {
    let texts = LISTS
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok());
    let mut found: BTreeSet<u64> = texts.flat_map(|text| inodes(&text, protocol)).collect();
    if !found.is_empty()
        && let Ok(own) = Process::myself()
    {
        found.retain(|inode| !holds(&own, |other| other == *inode));
    }
    found
}

/// Who holds any of these, as far as this process may see it. Reads the descriptors of all processes.
pub fn holders(inodes: &BTreeSet<u64>) -> BTreeSet<Holder> {
    let Ok(processes) = all_processes() else {
        return BTreeSet::new();
    };
    let processes = processes.filter_map(Result::ok);
    let holders = processes.filter(|process| holds(process, |inode| inodes.contains(&inode)));
    holders
        .filter_map(|process| process.stat().ok())
        .map(|stat| Holder {
            name: stat.comm,
            pid: stat.pid,
        })
        .collect()
}

fn holds(process: &Process, is_it: impl Fn(u64) -> bool) -> bool {
    process.fd().is_ok_and(|fds| {
        let mut targets = fds.filter_map(Result::ok).map(|fd| fd.target);
        targets.any(|target| matches!(target, FDTarget::Socket(inode) if is_it(inode)))
    })
}

/// In `/proc/net/raw` the protocol stands where others have the local port, and the inode is the tenth field.
fn inodes(text: &str, protocol: u8) -> Vec<u64> {
    let of_line = |line: &str| {
        let mut fields = line.split_whitespace();
        let (_, of_it) = fields.nth(1)?.rsplit_once(':')?;
        let inode = fields.nth(7)?.parse().ok()?;
        (u64::from_str_radix(of_it, 16) == Ok(u64::from(protocol))).then_some(inode)
    };
    text.lines().filter_map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_a_protocol_are_found_in_both_lists() {
        let v4 = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref \
                  pointer drops\n\
                  \x20   1: 00000000:0001 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 101 2 0 0\n\
                  \x20 112: 00000000:0070 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 102 2 0 0\n";
        let v6 = "  sl  local_address                         remote_address                        st tx_queue\n\
                  \x20 112: 00000000000000000000000000000000:0070 00000000000000000000000000000000:0000 07 00000000:00000000 \
                  00:00000000 00000000     0        0 103 2 0 0\n";
        assert_eq!(inodes(v4, 112), [102]);
        assert_eq!(inodes(v4, 1), [101]);
        assert_eq!(inodes(v6, 112), [103]);
        assert_eq!(inodes("", 112), [0; 0]);
    }

    #[test]
    fn what_no_process_holds_has_no_holder() {
        assert!(holders(&BTreeSet::from([u64::MAX])).is_empty());
    }
}
