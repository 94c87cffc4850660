//! `cargo xtask test`: builds what ships, runs every test against it, and closes with one line that sums up.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;
use serde_json::Value;

use crate::build_ebpf;
use crate::package;
use crate::process;
use crate::setup::{self, Need};
use crate::tally::{Counter, Tally};
use crate::workspace::Workspace;

#[derive(Default, clap::Args)]
pub(crate) struct Args {
    /// Only tests whose name contains one of these; `reload::` or `lab_reload` selects a whole subject
    filter: Vec<String>,
    /// Only these groups
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Group>,
    /// Datapath of agents in tests that do not choose one; default: `auto`
    #[arg(long, value_parser = ["auto", "native"])]
    datapath: Option<String>,
}

/// The groups, in the order in which they run: the quick ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Group {
    /// Tests inside the crates, and examples in their documentation
    Unit,
    /// Random inputs against stated properties
    Property,
    /// Many nodes on a virtual clock, and the golden scenarios
    Simulation,
    /// The BPF programs in this kernel
    Kernel,
    /// Agents and nginx in network namespaces, and the package on booted systems
    Lab,
    /// Agents beside real routers: keepalived and FRR
    Interop,
    /// An agent in a virtual machine, whose network card filters multicast
    Vm,
}

/// The package whose integration tests need root and the machine to themselves.
const LAB_PACKAGE: &str = "ha-tests";

/// What the simulation plays: some 100 s on two processors. A million is `cargo xtask sim --seeds 1000000`.
const SCHEDULES: [(&str, &str); 2] = [
    ("HA_SIM_SCHEDULES", "120000"),
    ("HA_SIM_GROUP_SCHEDULES", "8000"),
];

/// All but the one that builds only for the BPF target.
const PACKAGES: [&str; 3] = ["--workspace", "--exclude", "ha-ebpf"];

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<ExitCode> {
    let tally = run_groups(workspace, args)?;
    println!("\n{}", tally.closing());
    Ok(if tally.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The tests in the virtual machine alone.
pub(crate) fn run_vm(workspace: &Workspace, filter: Vec<String>) -> Result<ExitCode> {
    let args = Args {
        filter,
        only: vec![Group::Vm],
        ..Args::default()
    };
    run(workspace, &args)
}

/// Every test there is.
pub(crate) fn run_all(workspace: &Workspace) -> Result<Tally> {
    run_groups(workspace, &Args::default())
}

fn run_groups(workspace: &Workspace, args: &Args) -> Result<Tally> {
    let groups = if args.only.is_empty() {
        Group::value_variants()
    } else {
        &args.only
    };
    if groups.iter().any(|group| group.needs_root()) && !process::is_root() {
        bail!(
            "the kernel and lab tests need root: run `sudo --preserve-env env PATH=\"$PATH\" cargo xtask test`, \
             or the others with `cargo xtask test --only unit,property,simulation,vm`"
        );
    }
    let built = prepare(workspace, groups)?;
    let members = workspace.members()?;
    let mut sum = Tally::default();
    for group in Group::value_variants()
        .iter()
        .filter(|group| groups.contains(group))
    {
        for selection in group.selections(&members)? {
            println!("\n== {group:?} tests");
            let mut command = workspace.cargo();
            command
                .args(["test", "--no-fail-fast"])
                .args(PACKAGES)
                .args(selection);
            let filters = args.filter.iter().map(|word| group.filter(word));
            command.arg("--").args(filters).envs(built.clone());
            if *group == Group::Simulation {
                command.envs(SCHEDULES);
            }
            if let Some(datapath) = &args.datapath {
                command.env("HA_TEST_DATAPATH", datapath);
            }
            if let Some(threads) = group.threads() {
                command.arg(format!("--test-threads={threads}"));
            }
            sum += run_one(&mut command, &mut std::io::stdout())?;
        }
    }
    if sum == Tally::default() {
        bail!("no test matches");
    }
    Ok(sum)
}

/// Builds what these groups test; the variables by which the tests find it.
fn prepare(workspace: &Workspace, groups: &[Group]) -> Result<Vec<(&'static str, PathBuf)>> {
    let mut built = Vec::new();
    // Even unit tests link the agent, which embeds the BPF programs.
    setup::ensure(workspace, &[Need::Ebpf])?;
    build_ebpf::with_defaults(workspace)?;
    let needs: Vec<Need> = groups.iter().flat_map(|group| group.needs()).collect();
    if !needs.is_empty() {
        setup::ensure(workspace, &needs)?;
        process::run(
            workspace
                .cargo()
                .args(["build", "--release", "--package", "ha-agent"]),
        )?;
        built.push(("HA_AGENT_BIN", workspace.release_program("ha-agent")?));
    }
    if groups.contains(&Group::Lab) {
        built.push(("HA_AGENT_DEB", package::pack(workspace)?));
    }
    // All at once, so that what does not compile is said before anything runs.
    process::run(workspace.cargo().args(["test", "--no-run"]).args(PACKAGES))?;
    Ok(built)
}

/// A crash of a test program leaves no result line; it must not pass for success.
fn run_one(command: &mut Command, screen: &mut impl Write) -> Result<Tally> {
    let mut counter = Counter::default();
    let succeeded = process::tee(command, screen, |piece| counter.feed(piece))?;
    let mut tally = counter.finish();
    if !succeeded && tally.failed == 0 {
        tally.failed = 1;
    }
    Ok(tally)
}

impl Group {
    /// Which make network namespaces or load programs. The virtual machine is an ordinary process.
    fn needs_root(self) -> bool {
        match self {
            Self::Unit | Self::Property | Self::Simulation | Self::Vm => false,
            Self::Kernel | Self::Lab | Self::Interop => true,
        }
    }

    /// How many tests may run at once, if not as many as there are processors. Those of the programs measure
    /// them; a lab is a world of its own, but its tests hold agents to deadlines; routers at their standard
    /// intervals only wait for most of their time; a virtual machine keeps one processor busy.
    fn threads(self) -> Option<u8> {
        match self {
            Self::Unit | Self::Property | Self::Simulation => None,
            Self::Kernel => Some(1),
            Self::Lab | Self::Vm => Some(2),
            Self::Interop => Some(8),
        }
    }

    /// What those need that run the agent.
    fn needs(self) -> Vec<Need> {
        match self {
            Self::Unit | Self::Property | Self::Simulation => Vec::new(),
            Self::Kernel | Self::Interop => vec![Need::Lab],
            Self::Lab => vec![Need::Lab, Need::Machines],
            Self::Vm => vec![Need::Vm],
        }
    }

    /// An integration test's group, told by the first word of its file's name.
    fn of(package: &str, target: &str) -> Self {
        let first_word = target.split('_').next().unwrap_or(target);
        match first_word {
            "property" | "properties" | "prop" => Self::Property,
            "simulation" | "sim" | "golden" => Self::Simulation,
            "kernel" => Self::Kernel,
            "interop" => Self::Interop,
            "vm" => Self::Vm,
            _ if package == LAB_PACKAGE => Self::Lab,
            _ => Self::Unit,
        }
    }

    /// What a filter is within this group's programs. A test's name begins with the module of its subject and lacks the
    /// program: `lab_reload` and `lab::reload` are `reload::` in the program `lab`.
    fn filter(self, word: &str) -> String {
        let program = format!("{self:?}").to_lowercase();
        let subject = word
            .strip_prefix(&program)
            .and_then(|rest| rest.strip_prefix("::").or_else(|| rest.strip_prefix('_')));
        match subject {
            None | Some("") => word.to_owned(),
            Some(path) if path.contains("::") => path.to_owned(),
            Some(module) => format!("{module}::"),
        }
    }

    /// The arguments of each `cargo test` that this group takes. Always of the whole workspace: another choice
    /// of packages would be another choice of features, and so build everything again.
    fn selections(self, members: &Value) -> Result<Vec<Vec<String>>> {
        let mut tests = Vec::new();
        for (target, groups) in integration_tests(members)? {
            let mut groups = groups.into_iter();
            match (groups.next(), groups.next()) {
                (Some(group), None) if group == self => tests.extend(["--test", target]),
                (Some(_), None) => {}
                _ => bail!(
                    "two packages have tests called `{target}`, in different groups: rename one"
                ),
            }
        }
        let mut selections = Vec::new();
        if self == Self::Unit {
            selections.push(["--lib", "--bins"].into_iter().chain(tests).collect());
            selections.push(vec!["--doc"]);
        } else if !tests.is_empty() {
            selections.push(tests);
        }
        Ok(selections
            .into_iter()
            .map(|words| words.into_iter().map(str::to_owned).collect())
            .collect())
    }
}

/// The workspace's integration tests, each with the groups that files of this name belong to.
fn integration_tests(members: &Value) -> Result<BTreeMap<&str, BTreeSet<Group>>> {
    let packages = members["packages"]
        .as_array()
        .context("cargo metadata lists no packages")?;
    let mut found: BTreeMap<&str, BTreeSet<Group>> = BTreeMap::new();
    for package in packages {
        let name = package["name"]
            .as_str()
            .context("a package without a name")?;
        let targets = package["targets"]
            .as_array()
            .context("a package without targets")?;
        for target in targets.iter().filter(|target| target["kind"][0] == "test") {
            let target = target["name"].as_str().context("a target without a name")?;
            found
                .entry(target)
                .or_default()
                .insert(Group::of(name, target));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn selected(group: Group, members: &Value) -> Vec<String> {
        let selections = group.selections(members).unwrap();
        selections.iter().map(|words| words.join(" ")).collect()
    }

    fn package(name: &str, tests: &[&str]) -> Value {
        let test = |name: &&str| json!({ "name": name, "kind": ["test"] });
        let mut targets: Vec<Value> = tests.iter().map(test).collect();
        targets.push(json!({ "name": name, "kind": ["lib"] }));
        json!({ "name": name, "targets": targets })
    }

    #[test]
    fn every_integration_test_is_in_the_group_that_its_name_and_package_say() {
        let members = json!({ "packages": [
            package("ha-common", &["properties_of_wire", "examples"]),
            package("ha-tests", &["kernel", "golden", "lab", "simulation", "properties_of_wire", "interop", "vm"]),
        ] });
        let all = Group::value_variants()
            .iter()
            .map(|group| selected(*group, &members));
        assert_eq!(
            all.collect::<Vec<_>>(),
            [
                vec!["--lib --bins --test examples", "--doc"],
                vec!["--test properties_of_wire"],
                vec!["--test golden --test simulation"],
                vec!["--test kernel"],
                vec!["--test lab"],
                vec!["--test interop"],
                vec!["--test vm"],
            ]
        );
    }

    #[test]
    fn a_subject_may_be_named_with_its_program_and_is_then_no_part_of_another_name() {
        for (word, filter) in [
            ("lab_reload", "reload::"),
            ("lab::reload", "reload::"),
            ("lab::reload::a_bad_file", "reload::a_bad_file"),
            ("reload", "reload"),
            ("kernel_watchdog", "kernel_watchdog"),
            ("vm_vlan", "vm_vlan"),
            ("lab_", "lab_"),
        ] {
            assert_eq!(Group::Lab.filter(word), filter);
        }
        assert_eq!(Group::Vm.filter("vm_vlan"), "vlan::");
    }

    #[test]
    fn a_group_without_tests_runs_nothing() {
        let members = json!({ "packages": [package("ha-common", &[])] });
        assert_eq!(selected(Group::Lab, &members), [""; 0]);
    }

    #[test]
    fn a_name_that_would_run_in_two_groups_is_refused() {
        let members = json!({ "packages": [
            package("ha-common", &["scenario"]),
            package("ha-tests", &["scenario"]),
        ] });
        let error = Group::Lab.selections(&members).unwrap_err().to_string();
        assert!(error.contains("scenario"), "{error}");
    }

    fn tally_of(script: &str) -> String {
        let mut command = Command::new("sh");
        // Not to the real stdout: the tests' own tally would count what these say.
        let tally = run_one(command.args(["-c", script]), &mut std::io::sink());
        tally.unwrap().to_string()
    }

    #[test]
    fn a_test_program_that_dies_without_a_result_counts_as_failed() {
        assert_eq!(
            tally_of("echo running 3 tests; kill -9 $$"),
            "0 passed, 1 failed"
        );
        assert_eq!(
            tally_of("echo 'test result: ok. 2 passed; 0 failed; 0 ignored'; exit 101"),
            "2 passed, 1 failed"
        );
    }
}
