//! The client commands as a user runs them: the real binary against a real control socket.
#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use ha_agent::config::model::{self, DatapathChoice};
use ha_agent::control::protocol::{ErrorKind, ErrorReply, Reloaded, Switched, Upgrading};
use ha_agent::control::server::{ControlSocket, Handler, Limits, SOCKET_NAME, Successor, serve};
use ha_agent::status::agent::Status;
use ha_agent::status::instance::{Datapath, Override};
use ha_agent::status::peers::Peers;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// The names of `status --json`, as scripts rely on them.
const STATUS: &str = include_str!("status.json");

struct Agent(watch::Sender<u64>);

impl Handler for Agent {
    fn status(&self) -> Status {
        serde_json::from_str(STATUS).unwrap()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }

    fn peers(&self) -> Result<Peers, ErrorReply> {
        Ok(Peers {
            pin_dir: None,
            started: None,
            peers: Vec::new(),
            frames: None,
        })
    }

    async fn upgrade(&self, _: Successor) -> Result<Upgrading, ErrorReply> {
        let message = "a new program could not carry on, because the maps are not pinned";
        Err(ErrorReply::new(ErrorKind::Failed, message))
    }

    async fn reload(&self, _: bool) -> Result<Reloaded, ErrorReply> {
        Err(ErrorReply {
            kind: ErrorKind::Config,
            message: "invalid configuration".to_owned(),
            details: vec!["a.toml:3:1: error: one".to_owned()],
        })
    }

    async fn datapath(
        &self,
        instance: &str,
        choice: DatapathChoice,
    ) -> Result<Switched, ErrorReply> {
        if instance != "web" {
            let message = format!("no such instance: \"{instance}\"; configured: web, web6");
            return Err(ErrorReply::new(ErrorKind::UnknownInstance, message));
        }
        assert_eq!(choice, DatapathChoice::Only(model::Datapath::Socket));
        Ok(Switched {
            instance: instance.to_owned(),
            interface: "eth0".to_owned(),
            datapath: Datapath {
                kind: Some(model::Datapath::Socket),
                link: None,
                because: "by command (configured: auto)".to_owned(),
                overridden: Some(Override {
                    datapath: "socket".to_owned(),
                    configured: "auto".to_owned(),
                }),
                why: Vec::new(),
                notes: Vec::new(),
                reattached: 0,
            },
            program: false,
        })
    }
}

/// A served socket; it ends with this.
struct Lab {
    dir: TempDir,
    _runtime: Runtime,
}

fn start() -> Lab {
    let dir = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    let socket = ControlSocket::claim(dir.path()).unwrap();
    let agent = Arc::new(Agent(watch::Sender::new(0)));
    runtime.spawn(serve(
        socket,
        agent,
        Limits::default(),
        std::future::pending(),
    ));
    Lab {
        dir,
        _runtime: runtime,
    }
}

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ha-agent"));
    command.args(args).arg("--runtime-dir").arg(dir);
    command
}

fn run(dir: &Path, args: &[&str]) -> Output {
    command(dir, args).output().unwrap()
}

fn stdout(output: &Output) -> &str {
    assert!(output.status.success(), "{output:?}");
    str::from_utf8(&output.stdout).unwrap()
}

fn failure(output: &Output) -> (Option<i32>, &str) {
    (
        output.status.code(),
        str::from_utf8(&output.stderr).unwrap(),
    )
}

#[test]
fn status_json_has_the_names_that_scripts_rely_on() {
    let lab = start();
    let output = run(lab.dir.path(), &["status", "--json"]);
    let shown = stdout(&output);
    assert_eq!(shown.lines().count(), 1, "one line for programs");
    let shown: serde_json::Value = serde_json::from_str(shown).unwrap();
    let expected: serde_json::Value = serde_json::from_str(STATUS).unwrap();
    assert_eq!(shown, expected);
}

#[test]
fn status_in_a_pipe_is_text_without_colour() {
    let lab = start();
    let output = run(lab.dir.path(), &["status"]);
    let text = stdout(&output);
    assert!(text.contains("100 -20 (nginx) = 80"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
}

#[test]
fn an_unknown_instance_is_answered_with_the_known_ones() {
    let lab = start();
    let output = run(lab.dir.path(), &["status", "wbe"]);
    let (code, text) = failure(&output);
    assert_eq!(code, Some(1));
    assert_eq!(
        text,
        "ha-agent: no such instance: \"wbe\"\nhint: configured: web, web6\n"
    );
}

#[test]
fn a_watch_goes_on_and_ends_quietly_when_its_reader_does() {
    let lab = start();
    let mut child = command(lab.dir.path(), &["status", "--watch", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        let line = lines.next().unwrap().unwrap();
        serde_json::from_str::<Status>(&line).unwrap();
    }
    drop(lines);
    let output = child.wait_with_output().unwrap();
    assert_eq!(failure(&output), (Some(0), ""));
}

#[test]
fn a_refused_reload_has_the_exit_code_of_a_wrong_configuration() {
    let lab = start();
    let output = run(lab.dir.path(), &["reload"]);
    let (code, text) = failure(&output);
    assert_eq!(code, Some(3));
    assert!(text.contains("a.toml:3:1: error: one"), "{text}");
    assert!(text.contains("stays in force"), "{text}");
}

#[test]
fn a_switched_datapath_is_told_with_its_reason_its_end_and_what_is_on_the_interface() {
    let lab = start();
    let output = run(lab.dir.path(), &["datapath", "web", "socket"]);
    assert_eq!(
        stdout(&output),
        "web receives by plain socket: by command (configured: auto)\n\
         no program of ours is on eth0\n\
         this lasts until a reload changes `datapath` of web, or the agent ends; `ha-agent datapath web auto` ends \
         it now\n"
    );
    let output = run(lab.dir.path(), &["datapath", "web", "socket", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(stdout(&output)).unwrap();
    assert_eq!(shown["datapath"]["kind"], "socket");
    assert_eq!(shown["datapath"]["override"]["configured"], "auto");
    assert_eq!(shown["program"], false);
}

#[test]
fn an_upgrade_that_could_not_be_carried_on_from_is_refused_with_the_reason() {
    let lab = start();
    let output = run(lab.dir.path(), &["upgrade"]);
    assert_eq!(
        failure(&output),
        (
            Some(1),
            "ha-agent: a new program could not carry on, because the maps are not pinned\n"
        )
    );
}

#[test]
fn a_datapath_for_an_unknown_instance_or_of_an_unknown_name_is_answered_with_the_known_ones() {
    let lab = start();
    let output = run(lab.dir.path(), &["datapath", "wbe", "tc"]);
    assert_eq!(
        failure(&output),
        (
            Some(1),
            "ha-agent: no such instance: \"wbe\"; configured: web, web6\n"
        )
    );
    let output = run(lab.dir.path(), &["datapath", "web", "xdp"]);
    let (code, text) = failure(&output);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("auto, tc, native, generic, socket"), "{text}");
    let nowhere = tempfile::tempdir().unwrap();
    let output = run(nowhere.path(), &["datapath", "web", "tc"]);
    assert_eq!(output.status.code(), Some(5));
}

#[test]
fn each_command_says_how_to_name_another_file_to_itself() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing.toml");
    let missing = missing.to_str().unwrap();
    for (line, hint) in [
        (
            vec!["run", "--config", missing],
            "choose another file with --config",
        ),
        (
            vec!["check-config", missing],
            "give another file: `ha-agent check-config FILE`",
        ),
    ] {
        let output = run(dir.path(), &line);
        let (code, text) = failure(&output);
        assert_eq!(code, Some(3), "{text}");
        assert_eq!(
            text,
            format!(
                "ha-agent: invalid configuration: {missing}\ncannot read {missing}: No such file or directory \
                 (os error 2)\nhint: {hint}\n"
            )
        );
    }
}

#[test]
fn an_unknown_user_of_a_command_is_refused_by_check_and_run_in_the_same_words() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("user.toml");
    let text = "[[instance]]\nname = \"web\"\ninterface = \"eth0\"\nvrid = 51\n\
                addresses = [\"10.99.0.100/24\"]\ntrack = [{ check = \"own\" }]\n\
                [[check]]\nname = \"own\"\ncommand = [\"/bin/true\"]\nuser = \"no-such-user\"\n";
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let expected = format!("{file}:10:8: error: there is no user `no-such-user` on this host");
    let lines = [vec!["check-config", file], vec!["run", "--config", file]];
    for line in lines {
        let output = run(dir.path(), &line);
        let (code, text) = failure(&output);
        assert_eq!(code, Some(3), "{text}");
        // What the host lacks beside it, such as the interface, is said by the check alone.
        assert!(text.contains(&expected), "{text}");
    }
}

#[test]
fn peers_come_from_the_agent() {
    let lab = start();
    let output = run(lab.dir.path(), &["peers", "--json"]);
    assert_eq!(
        stdout(&output),
        "{\"pin_dir\":null,\"started\":null,\"peers\":[],\"frames\":null}\n"
    );
}

#[test]
fn without_an_agent_the_exit_code_is_five_and_the_version_is_still_shown() {
    let dir = tempfile::tempdir().unwrap();
    let output = run(dir.path(), &["status"]);
    let (code, text) = failure(&output);
    assert_eq!(code, Some(5));
    assert!(
        text.starts_with("ha-agent: no agent is running: "),
        "{text}"
    );
    assert!(text.contains("\nhint: "), "{text}");

    let output = run(dir.path(), &["version"]);
    assert!(stdout(&output).ends_with("\nrunning agent: none\n"));
}

#[test]
fn a_user_who_may_not_ask_is_told_to_be_root() {
    let lab = start();
    set_mode(lab.dir.path(), 0o755);
    // Enough for anybody but root, who has to become somebody else first.
    set_mode(&lab.dir.path().join(SOCKET_NAME), 0);
    // The binary may lie where that user cannot reach it.
    let binary = lab.dir.path().join("ha-agent");
    // Copied by another process: a write handle of ours could still be open in a child that a
    // test beside this one is starting, and then the copy could not be run ("text file busy").
    let copied = Command::new("cp")
        .arg(env!("CARGO_BIN_EXE_ha-agent"))
        .arg(&binary)
        .status()
        .unwrap();
    assert!(copied.success());
    let mut command = Command::new(&binary);
    command.args(["status", "--runtime-dir"]);
    command.arg(lab.dir.path()).current_dir("/");
    if nix::unistd::geteuid().is_root() {
        command.uid(65_534).gid(65_534);
    }
    let output = command.output().unwrap();
    let (code, text) = failure(&output);
    assert_eq!(code, Some(4), "{text}");
    assert!(text.ends_with("hint: run this as root\n"), "{text}");
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}
