//! Names and command lines.

use super::table::Field;

/// The longest name of an instance, a check or the node; a host name has at most 64 bytes.
const MAX_NAME_BYTES: usize = 64;
/// The longest name of an interface: the kernel's `IFNAMSIZ` less its closing zero.
const MAX_INTERFACE_BYTES: usize = 15;
/// The longest alternative name: `ALTIFNAMSIZ` (`linux/if.h`) less its closing zero.
const MAX_ALTERNATIVE_BYTES: usize = 127;
/// The longest name in `/proc/PID/comm`: the kernel's `TASK_COMM_LEN` less its closing zero.
const MAX_COMM_BYTES: usize = 15;
/// The longest list of a program and its arguments.
const MAX_ARGUMENTS: usize = 256;

/// A name that is good in logs, metrics, on a command line and in a file name.
pub(crate) fn name(field: &Field<'_>) -> Option<String> {
    let expected = "1 to 64 letters, digits, '.', '-' or '_', starting with a letter or digit";
    let text = field.text(expected)?;
    if is_name(text) {
        return Some(text.to_owned());
    }
    field.wrong(expected)
}

/// True for what [`name`] accepts.
pub(crate) fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME_BYTES
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

/// What a network interface is called, by its name or an alternative one (ip-link(8), `altname`).
pub(crate) fn interface(field: &Field<'_>) -> Option<String> {
    let expected =
        "the name of an interface, or an alternative one: 1 to 127 bytes without space, '/' or ':'";
    interface_name(field, expected, MAX_ALTERNATIVE_BYTES)
}

/// The name of a network interface itself, by the kernel's own rules (`dev_valid_name`).
pub(crate) fn interface_itself(field: &Field<'_>) -> Option<String> {
    let expected = "the name of an interface: 1 to 15 bytes without space, '/' or ':'";
    interface_name(field, expected, MAX_INTERFACE_BYTES)
}

fn interface_name(field: &Field<'_>, expected: &str, longest: usize) -> Option<String> {
    let text = field.text(expected)?;
    let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '/' | ':');
    let fits = (1..=longest).contains(&text.len());
    if fits && !text.contains(bad) && text != "." && text != ".." {
        return Some(text.to_owned());
    }
    field.wrong(expected)
}

/// The name of a process as the kernel keeps it.
pub(crate) fn process(field: &Field<'_>) -> Option<String> {
    let expected = "the name of a process, 1 to 15 bytes as in /proc/PID/comm";
    let text = field.text(expected)?;
    if text.len() > MAX_COMM_BYTES {
        let kept = text.get(..text.floor_char_boundary(MAX_COMM_BYTES));
        let kept = kept.unwrap_or_default().escape_debug();
        return field.problem(format_args!(
            "is longer than the 15 bytes that the kernel keeps of a name; write \"{kept}\""
        ));
    }
    if text.is_empty() || text.contains(['/', '\0', '\n']) {
        return field.wrong(expected);
    }
    Some(text.to_owned())
}

/// A user's name.
pub(crate) fn user(field: &Field<'_>) -> Option<String> {
    let expected = "the name of a user, 1 to 32 bytes";
    let text = field.text(expected)?;
    let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ':' | '/');
    if (1..=32).contains(&text.len()) && !text.contains(bad) {
        return Some(text.to_owned());
    }
    field.wrong(expected)
}

/// A path that starts at the root: the agent's working directory is nobody's business.
pub(crate) fn absolute_path(field: &Field<'_>) -> Option<std::path::PathBuf> {
    let expected = "a path that starts with '/'";
    let text = field.text(expected)?;
    if text.starts_with('/') && !text.contains('\0') {
        return Some(text.into());
    }
    field.wrong(expected)
}

/// Where the program of a command line may be looked for.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Program {
    /// An absolute path only.
    Absolute,
    /// An absolute path, or a bare name that is looked for in `PATH`.
    AbsoluteOrInPath,
}

/// A program and its arguments.
pub(crate) fn command(field: &Field<'_>, program: Program) -> Option<Vec<String>> {
    // No shell takes a text apart.
    let expected = "a list of program and arguments such as [\"systemctl\", \"start\", \"nginx\"]";
    let entries = field.list_of(expected, 1..=MAX_ARGUMENTS)?;
    let mut bad = false;
    let mut arguments = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        match entry.text("a text in quotes") {
            Some(text) if text.contains('\0') => {
                bad = entry.problem::<()>("must not hold a zero byte").is_none();
            }
            Some(text) if index == 0 && !is_program(text, program) => {
                bad = entry.wrong::<()>(program.expected()).is_none();
            }
            Some(text) => arguments.push(text.to_owned()),
            None => bad = true,
        }
    }
    (!bad).then_some(arguments)
}

fn is_program(text: &str, program: Program) -> bool {
    let in_path = program == Program::AbsoluteOrInPath && !text.contains('/');
    !text.is_empty() && !text.ends_with('/') && (text.starts_with('/') || in_path)
}

impl Program {
    fn expected(self) -> &'static str {
        match self {
            Self::Absolute => "the program's absolute path, such as \"/usr/bin/test\"",
            Self::AbsoluteOrInPath => {
                "a program: its absolute path, or a name without '/' that is found in PATH"
            }
        }
    }
}
