//! The oldest glibc that a program runs with, told by the symbol versions it names.

/// The highest `GLIBC_x.y` in the program, as `x.y`.
pub(super) fn newest_needed(program: &[u8]) -> Option<String> {
    const MARK: &[u8] = b"GLIBC_";
    let versions = program
        .windows(MARK.len())
        .enumerate()
        .filter_map(|(at, window)| {
            if window != MARK {
                return None;
            }
            version(program.get(at.checked_add(MARK.len())?..)?)
        });
    versions
        .max()
        .map(|(major, minor)| format!("{major}.{minor}"))
}

/// `2.34` and then something that is no part of it.
fn version(bytes: &[u8]) -> Option<(u32, u32)> {
    let end = bytes
        .iter()
        .position(|byte| !byte.is_ascii_digit() && *byte != b'.')?;
    let text = std::str::from_utf8(bytes.get(..end)?).ok()?;
    let mut numbers = text.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_version_by_number_counts() {
        let program = b"\0GLIBC_2.9\0x GLIBC_2.34\0GLIBC_2.2.5\0GLIBC_PRIVATE\0GLIBC_2.";
        assert_eq!(newest_needed(program).as_deref(), Some("2.34"));
        assert_eq!(newest_needed(b"static"), None);
    }

    #[test]
    fn this_very_program_names_a_glibc() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(newest_needed(&own).unwrap().starts_with("2."));
    }
}
