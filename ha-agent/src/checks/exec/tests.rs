//! Commands: how they end, what they say, whom they run as.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Instant;

use super::*;

const LONG: Duration = Duration::from_secs(30);

fn shell(script: &str, leftovers: Leftovers) -> Runner {
    Runner::new(
        &["/bin/sh".into(), "-c".into(), script.into()],
        None,
        leftovers,
    )
}

fn alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A zombie whose parent has not waited yet is dead enough.
    stat.rsplit(')')
        .next()
        .is_some_and(|rest| !rest.trim().is_empty() && !rest.trim().starts_with('Z'))
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "{what} did not come"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn pid_in(file: &Path) -> String {
    until("the pid file", || {
        std::fs::read_to_string(file).is_ok_and(|text| text.ends_with('\n'))
    })
    .await;
    std::fs::read_to_string(file).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_exit_status_and_both_outputs_are_reported() {
    let ended = shell("echo out; echo err >&2; exit 3", Leftovers::Kill)
        .run(LONG)
        .await
        .unwrap();
    assert_eq!(ended.status.code(), Some(3));
    assert_eq!(ended.output, "out; err");
    assert_eq!(ended.describe(), "exit status: 3 (out; err)");
    let ended = shell("kill -9 $$", Leftovers::Kill)
        .run(LONG)
        .await
        .unwrap();
    assert_eq!(ended.status.signal(), Some(9));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_environment_is_minimal_and_stdin_is_empty() {
    let ended = shell("cat; pwd; env | cut -d= -f1 | sort", Leftovers::Kill)
        .run(LONG)
        .await
        .unwrap();
    assert_eq!(ended.output, "/; LANG; PATH; PWD");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_end_of_endless_output_is_kept() {
    let ended = shell("seq 1 200000; printf '\\033[31mlast\\007'", Leftovers::Kill)
        .run(LONG)
        .await
        .unwrap();
    assert!(ended.output.len() <= 2 * TAIL, "{}", ended.output.len());
    assert!(
        ended.output.ends_with("200000; [31mlast"),
        "{}",
        ended.output
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_time_out_kills_the_grandchildren_too() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let script = format!(
        "sleep 600 & echo $! > {}; echo waiting; wait",
        file.display()
    );
    let runner = shell(&script, Leftovers::Keep);
    let error = runner.run(Duration::from_millis(500)).await.unwrap_err();
    assert!(
        matches!(&error, ExecError::TimedOut { output, .. } if output == "waiting"),
        "{error}"
    );
    let pid = pid_in(&file).await;
    until("the grandchild's death", || !alive(&pid)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_check_leaves_behind_is_killed_and_what_a_restart_leaves_behind_lives() {
    let dir = tempfile::tempdir().unwrap();
    for leftovers in [Leftovers::Kill, Leftovers::Keep] {
        let file = dir.path().join(format!("{leftovers:?}"));
        let script = format!(
            "(while :; do echo x; sleep 0.01; done) & echo $! > {}",
            file.display()
        );
        let ended = shell(&script, leftovers).run(LONG).await.unwrap();
        assert!(ended.status.success());
        let pid = pid_in(&file).await;
        match leftovers {
            Leftovers::Kill => until("its death", || !alive(&pid)).await,
            Leftovers::Keep => {
                // Long enough for it to have written to a closed pipe, had it been closed.
                tokio::time::sleep(Duration::from_millis(200)).await;
                assert!(alive(&pid));
                let pid = Pid::from_raw(pid.parse().unwrap());
                nix::sys::signal::kill(pid, Signal::SIGKILL).unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_never_runs_twice_at_once_and_a_dropped_run_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let runner = shell(
        &format!("echo $$ > {}; exec sleep 600", file.display()),
        Leftovers::Kill,
    );
    let first = tokio::spawn({
        let runner = runner.clone();
        async move { runner.run(LONG).await.map(|_| ()) }
    });
    let pid = pid_in(&file).await;
    assert!(matches!(runner.run(LONG).await, Err(ExecError::Busy)));
    first.abort();
    until("the death of the dropped run", || !alive(&pid)).await;
    until("the next turn", || runner.turn.available_permits() == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_does_not_exist_is_named() {
    let runner = Runner::new(&["/no/such/program".into()], None, Leftovers::Kill);
    let text = runner.run(LONG).await.unwrap_err().to_string();
    assert!(
        text.starts_with("cannot run /no/such/program: No such file"),
        "{text}"
    );
}

#[test]
fn a_program_that_is_not_there_is_no_shortage_and_a_full_table_of_processes_is() {
    let of = |errno| ExecError::Spawn {
        program: "systemctl".to_owned(),
        source: io::Error::from_raw_os_error(errno),
    };
    for errno in [libc::EAGAIN, libc::EMFILE, libc::ENFILE, libc::ENOMEM] {
        assert!(of(errno).is_shortage(), "{errno}");
    }
    for errno in [libc::ENOENT, libc::EACCES] {
        assert!(!of(errno).is_shortage(), "{errno}");
    }
    assert!(!ExecError::Busy.is_shortage());
}
