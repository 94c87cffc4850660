//! `[[check]]`, and the tables inside it.

use std::time::Duration;

use super::key::{Default, Format, HOUR, Key, NOTHING, Reload, Section, TEN_MINUTES};

const MILLISECOND: Duration = Duration::from_millis(1);
const TEN_MILLISECONDS: Duration = Duration::from_millis(10);

/// A key of `[[check]]`: another value of any of them starts the check anew.
const fn key(name: &'static str, format: Format, default: Default, doc: &'static str) -> Key {
    Key::new(name, format, default, doc).reload(Reload::Anew)
}

/// `[[check]]`.
pub static CHECK: Section = Section {
    title: "[[check]]",
    keys: &[
        Key::new(
            "name",
            Format::Words("as of an instance"),
            Default::Needed("\"nginx\""),
            "The name of the check, unique among the checks.",
        )
        .reload(Reload::Identity),
        key(
            "http",
            Format::Words("a URL; its host is an IP address or localhost"),
            Default::Words("needed, or one of the next four"),
            "An HTTP request (no TLS).",
        ),
        key(
            "tcp",
            Format::Words("an IP address or localhost, and a port"),
            Default::Words("none"),
            "Instead of http, a TCP connection that must open.",
        ),
        key(
            "process",
            Format::Words("a table"),
            Default::Words("none"),
            "Instead of http, a process that must live, by pid file or by its name in /proc/PID/comm.",
        )
        .inside(&PROCESS),
        key(
            "command",
            Format::Words("a list of program (absolute path, no shell) and arguments"),
            Default::Words("none"),
            "Instead of http, a program whose exit status 0 means health.",
        )
        .foreign(&[("script", "command")]),
        key(
            "file",
            Format::Words("a table"),
            Default::Words("none"),
            "Instead of http, a file, which must not be under /tmp, /var/tmp or /home: the unit does not see those.",
        )
        .inside(&FILE),
        key(
            "status",
            Format::Words("a status, or a range of them, from 100 to 599"),
            Default::Words("\"200-399\""),
            "With http: which answers are good.",
        ),
        key(
            "body",
            Format::Words("1 to 65536 bytes of text"),
            Default::Words("none"),
            "With http: a text that must be in the first 64 KiB of the answer; without it the status line decides.",
        ),
        key(
            "host",
            Format::Words("1 to 255 visible ASCII characters"),
            Default::Words("the host and port of the URL"),
            "With http: the Host header.",
        ),
        key(
            "pid_file",
            Format::Words("an absolute path"),
            Default::Words("none"),
            "With http: the file with the service's pid, so that its death is noticed at once.",
        ),
        key(
            "user",
            Format::Words("the name of a user"),
            Default::Words("\"nobody\""),
            "With command: whom it runs as; better a user of its own, made by: useradd --system ha-check",
        ),
        key(
            "interval",
            Format::Duration(TEN_MILLISECONDS, HOUR),
            Default::Value("\"1s\""),
            "From one run's start to the next one's.",
        ),
        key(
            "timeout",
            Format::Duration(MILLISECOND, TEN_MINUTES),
            Default::Words("500ms, or the interval if that is shorter"),
            "How long one run may take; for http and tcp at most the interval.",
        ),
        key(
            "fall",
            Format::Integer(1, 100),
            Default::Value("2"),
            "Failures in a row until the check is down.",
        ),
        key(
            "rise",
            Format::Integer(1, 100),
            Default::Value("2"),
            "Successes in a row until it is up again.",
        ),
        key(
            "restart",
            Format::Words("a table"),
            Default::Words("not at all"),
            "How the agent restarts the service before the check counts as down.",
        )
        .inside(&RESTART),
    ],
};

/// `process`.
pub static PROCESS: Section = Section {
    title: "`process`",
    keys: &[
        Key::new(
            "pid_file",
            Format::Words("an absolute path"),
            Default::Words("needed without `name`"),
            "The file with its pid.",
        ),
        Key::new(
            "name",
            Format::Words("1 to 15 bytes"),
            Default::Words("needed without `pid_file`"),
            "Its name in /proc/PID/comm.",
        ),
        // More than a host has: the kernel's default for kernel.pid_max is 32768 on small ones.
        Key::new(
            "min",
            Format::Integer(0, 100_000),
            Default::Words("1"),
            "With name: the fewest processes there must be.",
        ),
        Key::new(
            "max",
            Format::Integer(0, 100_000),
            Default::Words("any number"),
            "With name: the most there must be.",
        ),
        Key::new(
            "args",
            Format::List(1, 16, "texts"),
            Default::Words("none"),
            "With name: count only those that have each of these among their arguments.",
        ),
    ],
};

/// `file`.
pub static FILE: Section = Section {
    title: "`file`",
    keys: &[
        Key::new(
            "path",
            Format::Words("an absolute path"),
            Default::Needed("\"/run/ha/weight\""),
            "The file. A change takes effect at once, so interval, timeout, fall, rise and restart do not go with it.",
        ),
        Key::new(
            "up",
            Format::Choice(&["exists", "missing"]),
            Default::Words(
                "its content is a whole number that is added to the priority, from -253 to 253",
            ),
            "Set to \"exists\" or \"missing\", the check is up while the file is there, or is not.",
        ),
    ],
};

/// `restart`.
pub static RESTART: Section = Section {
    title: "`restart`",
    keys: &[
        Key::new(
            "command",
            Format::Words(
                "a list of program (absolute path, or a name found in PATH) and arguments, no shell",
            ),
            Default::Needed("[\"systemctl\", \"start\", \"nginx\"]"),
            "What restarts it.",
        ),
        Key::new(
            "attempts",
            Format::Integer(1, 100),
            Default::Value("1"),
            "How often for each outage.",
        ),
        Key::new(
            "settle",
            Format::Duration(NOTHING, TEN_MINUTES),
            Default::Value("\"2s\""),
            "How long the service has to pass the check then.",
        ),
        Key::new(
            "backoff",
            Format::Duration(NOTHING, TEN_MINUTES),
            Default::Value("\"1s\""),
            "The wait before the second attempt, doubled for each further one.",
        ),
        Key::new(
            "timeout",
            Format::Duration(MILLISECOND, TEN_MINUTES),
            Default::Value("\"10s\""),
            "How long the command itself may run.",
        ),
    ],
};
