//! The guest's file system: busybox, the agent, the kernel's modules, and a shell that takes orders.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::archive::Archive;
use super::machine::Machine;
use crate::lab::agent;
use crate::lab::netns::output_of;
use crate::lab::require::find;

/// The guest's first process. It obeys lines of the second serial port: a number and a shell command.
/// A real `tc`, and where the guest has it a real `ip`, go before the shell's own, which PATH would not make them do.
/// The answer is what the command wrote, and a line with the number and the exit status. The console gets a
/// line when an order has come and one when it is done: it shows where one got lost. The shell that reads is
/// not the first process, which is told of every orphan's end: a signal would lose what it has read of a line.
const INIT: &str = r#"#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /run /tmp
/bin/busybox --install -s /bin
export PATH=/programs:/bin:/sbin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t bpf bpf /sys/fs/bpf
for module in /modules/*.ko /matrix/*.ko; do
    [ ! -e "$module" ] || insmod "$module" || echo "insmod $module failed"
done
ip link set lo up
prefer='tc() { /programs/tc "$@"; }; '
[ ! -x /programs/ip ] || prefer="$prefer"'ip() { /programs/ip "$@"; }; '
stty -F /dev/ttyS1 raw -echo
obey() {
    echo ready
    while IFS=' ' read -r number command; do
        echo "order $number: $command" >/dev/console
        sh -c "$prefer$command" >/run/answer 2>&1 </dev/null
        status=$?
        echo "order $number: status $status" >/dev/console
        cat /run/answer
        printf '\nend %s %s\n' "$number" "$status"
    done
}
obey </dev/ttyS1 >/dev/ttyS1 &
wait
"#;

/// What the console's lines about orders begin with.
pub(super) const ORDER: &str = "order ";

/// Programs of this machine that every guest has, beside busybox and the agent.
pub(super) const PROGRAMS: &[&str] = &["ethtool", "setpriv", "tc"];
/// Those that a guest of the matrix has as well; busybox's own know only the simplest interfaces.
const FURTHER_PROGRAMS: &[&str] = &["ip", "bridge", "wg", "tcpdump"];

/// Builds a machine's archive; `files` are further files, by path and content.
pub(super) fn build(machine: &Machine, files: &[(&str, String)]) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    archive.file("/init", 0o755, INIT.as_bytes())?;
    add_modules(&mut archive, &machine.kernel, "modules")?;
    let mut names = [PROGRAMS, machine.programs].concat();
    if machine.further {
        add_modules(&mut archive, &machine.kernel, "matrix")?;
        names.extend(FURTHER_PROGRAMS);
    }
    let mut libraries = BTreeSet::new();
    for (name, program) in programs(&names)? {
        archive.copy(&format!("/programs/{name}"), &program)?;
        libraries.extend(libraries_of(&program));
    }
    archive.copy("/bin/busybox", &required("busybox")?)?;
    for library in libraries {
        archive.copy(&library, Path::new(&library))?;
    }
    for (path, content) in files {
        archive.file(path, 0o644, content.as_bytes())?;
    }
    archive.finish()
}

/// Adds a folder of modules, which are loaded in the order of their names.
fn add_modules(archive: &mut Archive, kernel: &Path, name: &str) -> Result<()> {
    let folder = kernel.join(name);
    archive.folder(name)?;
    let listed =
        std::fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for module in listed {
        let module = module?;
        let path = format!("/{name}/{}", module.file_name().display());
        archive.copy(&path, &module.path())?;
    }
    Ok(())
}

fn programs<'a>(names: &[&'a str]) -> Result<Vec<(&'a str, PathBuf)>> {
    let mut programs = vec![("ha-agent", agent::program()?)];
    for name in names {
        programs.push((name, required(name)?));
    }
    Ok(programs)
}

fn required(name: &str) -> Result<PathBuf> {
    find(name).with_context(|| format!("no {name}: run `cargo xtask setup`"))
}

/// The shared libraries of a program, by the names under which its loader looks for them.
fn libraries_of(program: &Path) -> Vec<String> {
    let mut ldd = Command::new("ldd");
    ldd.arg(program);
    // Of a static program ldd says so, and fails.
    output_of(ldd).map_or(Vec::new(), |said| paths(&said))
}

/// Lines like `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x...)`, or the path alone.
fn paths(said: &str) -> Vec<String> {
    said.lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_ldd() {
        let said = "\tlinux-vdso.so.1 (0x00007ffe)\n\
            \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f41)\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x00007f41)\n";
        assert_eq!(
            paths(said),
            [
                "/lib/x86_64-linux-gnu/libc.so.6",
                "/lib64/ld-linux-x86-64.so.2"
            ]
        );
    }
}
