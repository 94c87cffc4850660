//! `cargo xtask package`: the release build as a Debian package, made by dpkg-deb from one table of files.

mod glibc;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::build_ebpf;
use crate::process;
use crate::setup::{self, Need};
use crate::workspace::Workspace;

/// A file of the repository, where it is installed, and its mode.
struct Shipped {
    from: &'static str,
    to: &'static str,
    mode: u32,
}

const FILES: &[Shipped] = &[
    Shipped {
        from: "packaging/ha-agent.service",
        // Debian 12 looks for units here; where /lib is a link to /usr/lib it is the same place.
        to: "lib/systemd/system/ha-agent.service",
        mode: 0o644,
    },
    Shipped {
        from: "packaging/ha-agent.toml",
        to: "etc/ha-agent/ha-agent.toml",
        // It may come to hold a VRRP password.
        mode: 0o640,
    },
    Shipped {
        from: "README.md",
        to: "usr/share/doc/ha-agent/README.md",
        mode: 0o644,
    },
    Shipped {
        from: "docs/ARCHITECTURE.md",
        to: "usr/share/doc/ha-agent/docs/ARCHITECTURE.md",
        mode: 0o644,
    },
    Shipped {
        from: "docs/NETWORK-CARDS.md",
        to: "usr/share/doc/ha-agent/docs/NETWORK-CARDS.md",
        mode: 0o644,
    },
    Shipped {
        from: "docs/OPERATIONS.md",
        to: "usr/share/doc/ha-agent/docs/OPERATIONS.md",
        mode: 0o644,
    },
    Shipped {
        from: "docs/SECURITY.md",
        to: "usr/share/doc/ha-agent/docs/SECURITY.md",
        mode: 0o644,
    },
];

/// Files that an upgrade does not overwrite once the administrator has changed them.
const CONFFILES: &str = "/etc/ha-agent/ha-agent.toml\n";

/// dpkg runs these at the moments they are named after.
const SCRIPTS: &[(&str, &str)] = &[
    ("postinst", include_str!("deb/postinst")),
    ("prerm", include_str!("deb/prerm")),
    ("postrm", include_str!("deb/postrm")),
];

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    setup::ensure(workspace, &[Need::Ebpf])?;
    build_ebpf::with_defaults(workspace)?;
    process::run(
        workspace
            .cargo()
            .args(["build", "--release", "--package", "ha-agent"]),
    )?;
    let built = pack(workspace)?;
    process::run(Command::new("dpkg-deb").arg("--info").arg(&built))?;
    process::run(Command::new("dpkg-deb").arg("--contents").arg(&built))?;
    println!("{}", built.display());
    Ok(())
}

/// Makes the package around the release build, which must be there, and returns its path.
pub(crate) fn pack(workspace: &Workspace) -> Result<PathBuf> {
    let program = &workspace.release_program("ha-agent")?;
    let folder = workspace.path("target/package");
    let tree = folder.join("tree");
    if tree.exists() {
        fs::remove_dir_all(&tree).context("removing the previous package's tree")?;
    }
    copy(program, &tree.join("usr/bin/ha-agent"), 0o755)?;
    strip(&tree.join("usr/bin/ha-agent"))?;
    for file in FILES {
        copy(&workspace.path(file.from), &tree.join(file.to), file.mode)?;
    }
    let licence = read(&workspace.path("LICENSE-MIT"))?;
    write(
        &tree.join("usr/share/doc/ha-agent/copyright"),
        &copyright(&licence),
        0o644,
    )?;

    let architecture = process::output(Command::new("dpkg").arg("--print-architecture"))?;
    let glibc = glibc::newest_needed(&fs::read(program).context("reading the program")?)
        .context("the program names no glibc version")?;
    let control = control(&Control {
        version: env!("CARGO_PKG_VERSION"),
        architecture: architecture.trim(),
        glibc: &glibc,
        kilobytes: size(&tree)?.div_ceil(1024),
    });
    write(&tree.join("DEBIAN/control"), &control, 0o644)?;
    write(&tree.join("DEBIAN/conffiles"), CONFFILES, 0o644)?;
    for (name, script) in SCRIPTS {
        write(&tree.join("DEBIAN").join(name), script, 0o755)?;
    }
    let name = format!(
        "ha-agent_{}_{}.deb",
        env!("CARGO_PKG_VERSION"),
        architecture.trim()
    );
    let package = folder.join(name);
    let committed = process::output(workspace.git().args(["log", "-1", "--format=%ct"]))?;
    process::run(
        Command::new("dpkg-deb")
            // Owners and times of the build machine have no place in the package.
            .env("SOURCE_DATE_EPOCH", committed.trim())
            .args(["--root-owner-group", "-Zxz", "--build"])
            .args([&tree, &package]),
    )?;
    Ok(package)
}

struct Control<'a> {
    version: &'a str,
    architecture: &'a str,
    glibc: &'a str,
    kilobytes: u64,
}

fn control(values: &Control<'_>) -> String {
    let Control {
        version,
        architecture,
        glibc,
        kilobytes,
    } = values;
    format!(
        "Package: ha-agent\n\
         Version: {version}\n\
         Architecture: {architecture}\n\
         Maintainer: The ha-agent contributors <ha-agent@localhost>\n\
         Installed-Size: {kilobytes}\n\
         Depends: libc6 (>= {glibc}), libgcc-s1\n\
         Recommends: systemd\n\
         Suggests: nginx\n\
         Section: net\n\
         Priority: optional\n\
         Description: VRRP failover agent with detection in the kernel\n \
         Keeps virtual IP addresses available on a group of hosts. A BPF program parses\n \
         VRRP advertisements and keeps the timers; the agent runs the election, moves\n \
         the address, and supervises the service behind it. Works beside keepalived,\n \
         FRR and routers.\n"
    )
}

/// In Debian's machine-readable form.
fn copyright(mit: &str) -> String {
    // The text itself begins after the title and the copyright line.
    let terms: String = mit
        .lines()
        .skip_while(|line| !line.starts_with("Permission"))
        .map(|line| {
            if line.is_empty() {
                " .\n".to_owned()
            } else {
                format!(" {line}\n")
            }
        })
        .collect();
    format!(
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\n\
         Files: *\n\
         Copyright: 2026 The ha-agent contributors\n\
         License: Expat or Apache-2.0\n\n\
         License: Expat\n{terms}\n\
         License: Apache-2.0\n \
         On Debian systems the full text is in /usr/share/common-licenses/Apache-2.0.\n"
    )
}

/// Debug information is a third of the program and of no use to a host that only runs it.
fn strip(program: &Path) -> Result<()> {
    process::run(Command::new("strip").arg("--strip-debug").arg(program))
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))
}

fn copy(from: &Path, to: &Path, mode: u32) -> Result<()> {
    make_folder_for(to)?;
    fs::copy(from, to).with_context(|| format!("packing {}", from.display()))?;
    set_mode(to, mode)
}

fn write(to: &Path, text: &str, mode: u32) -> Result<()> {
    make_folder_for(to)?;
    fs::write(to, text).with_context(|| format!("writing {}", to.display()))?;
    set_mode(to, mode)
}

/// With the modes that folders of a package have, whatever the umask.
fn make_folder_for(file: &Path) -> Result<()> {
    let Some(folder) = file.parent().filter(|folder| !folder.exists()) else {
        return Ok(());
    };
    make_folder_for(folder)?;
    fs::create_dir(folder).with_context(|| format!("making {}", folder.display()))?;
    set_mode(folder, 0o755)
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| format!("setting the mode of {}", path.display()))
}

/// Bytes of all files in a folder.
fn size(folder: &Path) -> Result<u64> {
    let mut sum = 0_u64;
    for entry in fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))? {
        let entry = entry?;
        let kind = entry.metadata()?;
        let bytes = if kind.is_dir() {
            size(&entry.path())?
        } else {
            kind.len()
        };
        sum = sum.saturating_add(bytes);
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_file_is_shipped_under_the_name_that_dpkg_protects() {
        let shipped = FILES
            .iter()
            .any(|file| format!("/{}\n", file.to) == CONFFILES);
        assert!(shipped);
    }

    #[test]
    fn the_document_that_the_unit_names_is_shipped() {
        let unit = include_str!("../../../packaging/ha-agent.service");
        let named = unit
            .lines()
            .find_map(|line| line.strip_prefix("Documentation=file:/"));
        assert!(FILES.iter().any(|file| Some(file.to) == named), "{named:?}");
    }

    #[test]
    fn control_fields_stand_on_their_own_lines_and_the_description_is_indented() {
        let text = control(&Control {
            version: "1.2.3",
            architecture: "amd64",
            glibc: "2.34",
            kilobytes: 7,
        });
        assert!(
            text.contains("\nDepends: libc6 (>= 2.34), libgcc-s1\n"),
            "{text}"
        );
        let described = text
            .lines()
            .skip_while(|line| !line.starts_with("Description"))
            .skip(1);
        assert!(
            described.clone().count() > 1 && described.clone().all(|line| line.starts_with(' ')),
            "{text}"
        );
        let fields = text
            .lines()
            .take_while(|line| !line.starts_with("Description"));
        assert!(fields.clone().all(|line| line.contains(": ")), "{text}");
    }

    #[test]
    fn the_copyright_file_holds_the_licence_as_a_debian_paragraph() {
        let text = copyright("MIT License\n\nCopyright (c)\n\nPermission is\n\nTHE END\n");
        assert!(
            text.contains("License: Expat\n Permission is\n .\n THE END\n\nLicense"),
            "{text}"
        );
    }

    #[test]
    fn maintainer_scripts_are_valid_shell_and_do_nothing_for_an_unknown_call() {
        for (name, script) in SCRIPTS {
            let checked = Command::new("sh")
                .args(["-e", "-c", script, name, "abort-something"])
                .status();
            assert!(checked.unwrap().success(), "{name}");
        }
    }
}
