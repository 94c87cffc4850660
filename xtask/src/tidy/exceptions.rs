//! What tidy's rules allow, and why. An entry that is no longer needed is itself a finding.

/// Longest file in lines, unless it is listed below.
pub(super) const LONGEST_FILE: usize = 500;

/// Longer files and their reasons.
pub(super) const LONG_FILES: &[(&str, &str)] = &[
    (
        "ha-agent/src/checks/tests.rs",
        "the checks against real servers and processes, one after the other",
    ),
    (
        "ha-agent/src/config/tests/values.rs",
        "one table of wrong values, a row for each",
    ),
];

/// Longest function in lines, from its signature to its end, unless it is listed below.
pub(super) const LONGEST_FUNCTION: usize = 70;

/// Longer functions by file and name, and their reasons.
pub(super) const LONG_FUNCTIONS: &[(&str, &str, &str)] = &[
    (
        "ha-common/src/election/mod.rs",
        "handle",
        "one table: what each state makes of each input",
    ),
    (
        "ha-agent/src/config/tests/owned_addresses.rs",
        "every_wrong_form_of_an_address_is_blamed_at_its_place",
        "one table of wrong values",
    ),
    (
        "ha-agent/src/config/tests/plan.rs",
        "each_key_of_an_instance_is_told_by_its_name_and_applies_live_or_starts_it_anew",
        "one table, a row for each key",
    ),
    (
        "ha-agent/src/config/tests/probes.rs",
        "what_is_wrong_with_a_file_or_a_count_is_said_with_what_is_allowed",
        "one table of wrong values",
    ),
    (
        "ha-agent/src/config/tests/routes.rs",
        "every_wrong_value_of_a_route_is_blamed_at_its_place",
        "one table of wrong values",
    ),
];

/// Items that only their own file uses and that are `pub` all the same, by file and name, and why.
pub(super) const UNUSED: &[(&str, &str, &str)] = &[(
    "ha-agent/src/router/readiness.rs",
    "FIRST_RESULT_WAIT",
    "the router's tests are in a file of their own",
)];

/// Files, or folders with a slash at the end, that may say `unsafe`, and what they need it for.
pub(super) const UNSAFE: &[(&str, &str)] = &[
    (
        "ha-ebpf/src/",
        "packet memory, map values and helper calls are raw pointers",
    ),
    (
        "ha-agent/src/datapath/raw.rs",
        "the promise that a shared layout is plain data",
    ),
    (
        "ha-agent/src/os/async_fd.rs",
        "registering a descriptor with the runtime, which asks for a promise about its number",
    ),
    (
        "ha-agent/src/checks/child.rs",
        "what a child does between fork and exec",
    ),
    ("ha-agent/src/os/heap.rs", "malloc_trim has no safe wrapper"),
    (
        "ha-agent/src/os/realtime.rs",
        "sched_setscheduler and mlockall with MCL_ONFAULT have no safe wrapper",
    ),
    (
        "tests/tests/lab/stall.rs",
        "ptrace of one thread, which the safe wrapper does for whole processes only",
    ),
    (
        "tests/src/lab/netns.rs",
        "what a child does between fork and exec",
    ),
    (
        "tests/src/lab/packet.rs",
        "packet sockets: batches and kernel time stamps",
    ),
    (
        "tests/src/lab/refused_calls/listener.rs",
        "seccomp: a filter between fork and exec, and verdicts on the calls that it holds",
    ),
    (
        "tests/src/lab/vip_watch.rs",
        "borrowing the netlink socket's descriptor to wait on it",
    ),
    (
        "ha-agent/src/net/announce.rs",
        "sendmmsg sends a burst in one system call, and its safe wrapper takes no address of an interface's index",
    ),
    (
        "ha-agent/src/net/mac_filter.rs",
        "SIOCADDMULTI and its union have no safe wrapper",
    ),
    (
        "ha-agent/src/datapath/sys.rs",
        "two commands of bpf(2) that aya has only for root",
    ),
    (
        "ha-agent/src/net/offload.rs",
        "SIOCETHTOOL and its union have no safe wrapper",
    ),
    (
        "tests/src/lab/bpf.rs",
        "two commands of bpf(2) that aya has no words for",
    ),
    (
        "tests/src/lab/tun.rs",
        "TUNSETIFF and its union have no safe wrapper",
    ),
    (
        "ha-agent/src/net/packet.rs",
        "building a link-layer socket address in place",
    ),
    (
        "ha-agent/src/net/lab.rs",
        "building a link-layer socket address in place",
    ),
];

/// The crates whose imports have an order, by the folder of their sources.
pub(super) const LIBRARIES: &[&str] = &[
    "ha-agent/src/",
    "ha-common/src/",
    "xtask/src/",
    "tests/src/",
];

/// The rooms of the agent from the top to the bottom: a file imports only from its own floor and from those below.
pub(super) const ROOMS: &[&[&str]] = &[
    &["ha-agent/src/cli/"],
    &["ha-agent/src/agent/"],
    &["ha-agent/src/driver/"],
    &["ha-agent/src/reconcile/"],
    &["ha-agent/src/router/"],
    &["ha-agent/src/datapath/"],
    &[
        "ha-agent/src/net/",
        "ha-agent/src/checks/",
        "ha-agent/src/record/",
    ],
    &[
        "ha-agent/src/config/",
        "ha-agent/src/control/",
        "ha-agent/src/logging/",
    ],
];

/// Words that name one person's or one machine's surroundings.
pub(super) const MACHINE_WORDS: &[&str] = &["/home/", "/root/", "/Users/", "/work/", "/tmp/w/"];

/// Texts that are not ours to shape, or that need the words above to speak about them.
pub(super) const FOREIGN_TEXTS: &[&str] = &[
    "Cargo.lock",
    "fuzz/Cargo.lock",
    "fuzz/corpus/",
    "LICENSE-APACHE",
    "xtask/src/tidy/exceptions.rs",
];

/// Whether a list of files and folders (which end in a slash) covers a path.
pub(super) fn covers(entry: &str, path: &str) -> bool {
    if entry.ends_with('/') {
        path.starts_with(entry)
    } else {
        path == entry
    }
}
