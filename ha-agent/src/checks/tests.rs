//! The whole checker over real services: nginx, processes, commands.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::Receiver;

use super::*;
use crate::config::model::{CommandProbe, HttpProbe, Probe, ProcessProbe, Restart};

const LONG: Duration = Duration::from_secs(30);

fn check(name: &str, probe: Probe) -> Check {
    Check {
        name: name.into(),
        probe,
        interval: Duration::from_secs(1),
        timeout: Duration::from_millis(500),
        fall: 2,
        rise: 2,
        restart: None,
    }
}

fn http(address: SocketAddr) -> Probe {
    Probe::Http(HttpProbe {
        address,
        path: "/".into(),
        host: "localhost".into(),
        status: 200..=399,
        body: None,
        process: None,
    })
}

fn command(argv: &[&str], user: &str) -> Probe {
    Probe::Command(CommandProbe {
        argv: argv.iter().map(|&word| word.into()).collect(),
        user: user.into(),
    })
}

fn restart(command: Vec<String>) -> Restart {
    Restart {
        command,
        attempts: 1,
        settle: Duration::from_secs(2),
        backoff: Duration::from_secs(1),
        timeout: Duration::from_secs(10),
    }
}

fn own_user() -> String {
    nix::unistd::User::from_uid(nix::unistd::geteuid())
        .unwrap()
        .unwrap()
        .name
}

fn start(checks: Vec<Check>) -> (Checks, Receiver<CheckEvent>) {
    let (send, receive) = mpsc::channel(64);
    (Checks::start(checks, send).unwrap(), receive)
}

/// The next event that matters to an election.
async fn verdict(events: &mut Receiver<CheckEvent>) -> CheckEvent {
    loop {
        let event = tokio::time::timeout(LONG, events.recv())
            .await
            .unwrap()
            .unwrap();
        if event.kind.verdict().is_some() {
            return event;
        }
    }
}

async fn event(events: &mut Receiver<CheckEvent>, kind: Kind) -> CheckEvent {
    loop {
        let event = tokio::time::timeout(LONG, events.recv())
            .await
            .unwrap()
            .unwrap();
        if event.kind == kind {
            return event;
        }
    }
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < LONG, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A real nginx of our own on a free port, with a master and a worker. It ends with the test.
struct Nginx {
    dir: tempfile::TempDir,
    address: SocketAddr,
}

impl Nginx {
    fn new() -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        let nginx = Self {
            dir: tempfile::tempdir().unwrap(),
            address,
        };
        nginx.configure(&format!("listen {address};"));
        nginx
    }

    /// `extra` stands in the server block; anything invalid breaks it for good.
    fn configure(&self, extra: &str) {
        let dir = self.dir.path().display();
        let text = format!(
            "worker_processes 1;\npid {dir}/pid;\nerror_log {dir}/error.log;\nevents {{}}\n\
             http {{\n access_log off;\n client_body_temp_path {dir}/1;\n proxy_temp_path {dir}/2;\n \
             fastcgi_temp_path {dir}/3;\n uwsgi_temp_path {dir}/4;\n scgi_temp_path {dir}/5;\n \
             server {{ {extra} return 200 here; }}\n}}\n"
        );
        std::fs::write(self.dir.path().join("conf"), text).unwrap();
    }

    fn argv(&self) -> Vec<String> {
        let conf = self.dir.path().join("conf").display().to_string();
        let log = self.dir.path().join("error.log").display().to_string();
        ["/usr/sbin/nginx", "-e", &log, "-c", &conf]
            .map(Into::into)
            .to_vec()
    }

    fn start(&self) {
        let argv = self.argv();
        let status = Command::new(&argv[0]).args(&argv[1..]).status();
        assert!(
            status
                .expect("nginx is needed here: `cargo xtask setup`")
                .success()
        );
    }

    fn pid(&self) -> Option<i32> {
        let text = std::fs::read_to_string(self.dir.path().join("pid")).ok()?;
        text.trim().parse().ok()
    }

    fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(self.pid().unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    fn serves(&self) -> bool {
        std::net::TcpStream::connect(self.address).is_ok()
    }

    fn check(&self) -> Check {
        Check {
            restart: Some(restart(self.argv())),
            ..check("nginx", http(self.address))
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            let _ =
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGTERM);
        }
    }
}

async fn watching(checks: &Checks) -> u32 {
    until("a watched process", || {
        checks.snapshot()[0].watched_pid.is_some()
    })
    .await;
    checks.snapshot()[0].watched_pid.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_that_is_stopped_runs_again_within_a_second_and_the_verdict_never_changes() {
    let nginx = Nginx::new();
    nginx.start();
    let (checks, mut events) = start(vec![nginx.check()]);
    assert_eq!(verdict(&mut events).await.kind, Kind::First(Verdict::Up));
    for _ in 0..2 {
        let old = watching(&checks).await;
        assert_eq!(
            i32::try_from(old).ok(),
            nginx.pid(),
            "the master, not a worker"
        );
        // Attempts are given back after two passes in a row.
        let runs = checks.snapshot()[0].runs;
        until("two more runs", || checks.snapshot()[0].runs >= runs + 2).await;

        nginx.signal(nix::sys::signal::SIGTERM);
        until("the death", || {
            !nginx.serves() || nginx.pid() != i32::try_from(old).ok()
        })
        .await;
        let died = Instant::now();
        let restarted = event(&mut events, Kind::Restarted).await;
        assert!(
            died.elapsed() < Duration::from_secs(1),
            "{:?}",
            died.elapsed()
        );
        assert!(nginx.serves());
        let text = &restarted.detail;
        assert!(
            text.starts_with(&format!("pid {old} died; restarted in ")),
            "{text}"
        );
        let status = &checks.snapshot()[0];
        assert_eq!(status.verdict, Some(Verdict::Up));
    }
    assert_eq!(checks.snapshot()[0].restarts, 2);
    checks.stop().await;
    while let Ok(event) = events.try_recv() {
        assert_eq!(event.kind.verdict(), None, "{event:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_that_is_broken_for_good_is_down_after_one_attempt_and_up_again_when_mended() {
    let nginx = Nginx::new();
    nginx.start();
    let (checks, mut events) = start(vec![Check {
        interval: Duration::from_millis(200),
        timeout: Duration::from_millis(200),
        ..nginx.check()
    }]);
    assert_eq!(verdict(&mut events).await.kind, Kind::First(Verdict::Up));
    watching(&checks).await;
    nginx.configure("nonsense on;");
    nginx.signal(nix::sys::signal::SIGTERM);
    let began = Instant::now();
    let down = verdict(&mut events).await;
    assert_eq!(down.kind, Kind::Down);
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    assert!(
        down.detail.contains("restart attempt 1 of 1 failed"),
        "{}",
        down.detail
    );
    assert!(
        down.detail.contains("unknown directive \"nonsense\""),
        "{}",
        down.detail
    );

    // It stays down, and nobody tries again.
    let runs = checks.snapshot()[0].runs;
    until("five more runs", || checks.snapshot()[0].runs >= runs + 5).await;
    assert_eq!(checks.snapshot()[0].restarts, 1);

    nginx.configure(&format!("listen {};", nginx.address));
    nginx.start();
    assert_eq!(verdict(&mut events).await.kind, Kind::Up);
    watching(&checks).await;
    checks.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_that_does_not_run_at_the_start_is_started_before_the_first_result() {
    let nginx = Nginx::new();
    let (checks, mut events) = start(vec![nginx.check()]);
    let first = verdict(&mut events).await;
    assert_eq!(first.kind, Kind::First(Verdict::Up));
    assert!(nginx.serves());
    assert_eq!(checks.snapshot()[0].restarts, 1);
    checks.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_death_of_a_process_is_down_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let pid_file = dir.path().join("pid");
    let mut child = Command::new("sleep")
        .arg("600")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    std::fs::write(&pid_file, child.id().to_string()).unwrap();
    // An interval of an hour: whatever is noticed within the test is not noticed by polling.
    let (checks, mut events) = start(vec![Check {
        interval: Duration::from_hours(1),
        ..check("sleeper", Probe::Process(ProcessProbe::PidFile(pid_file)))
    }]);
    assert_eq!(verdict(&mut events).await.kind, Kind::First(Verdict::Up));
    assert_eq!(watching(&checks).await, child.id());
    let began = Instant::now();
    child.kill().unwrap();
    let down = verdict(&mut events).await;
    assert_eq!(down.kind, Kind::Down);
    assert!(
        began.elapsed() < Duration::from_millis(500),
        "{:?}",
        began.elapsed()
    );
    assert!(
        down.detail.contains(&format!("pid {} died", child.id())),
        "{}",
        down.detail
    );
    child.wait().unwrap();
    checks.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_back_before_anybody_looked_stays_up() {
    let dir = tempfile::tempdir().unwrap();
    let pid_file = dir.path().join("pid");
    let mut old = Command::new("sleep")
        .arg("600")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut new = Command::new("sleep")
        .arg("600")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    std::fs::write(&pid_file, old.id().to_string()).unwrap();
    let (checks, mut events) = start(vec![Check {
        interval: Duration::from_hours(1),
        ..check(
            "sleeper",
            Probe::Process(ProcessProbe::PidFile(pid_file.clone())),
        )
    }]);
    assert_eq!(verdict(&mut events).await.kind, Kind::First(Verdict::Up));
    watching(&checks).await;
    std::fs::write(&pid_file, new.id().to_string()).unwrap();
    old.kill().unwrap();
    until("the new process", || {
        checks.snapshot()[0].watched_pid == Some(new.id())
    })
    .await;
    assert!(events.try_recv().is_err());
    new.kill().unwrap();
    assert_eq!(verdict(&mut events).await.kind, Kind::Down);
    old.wait().unwrap();
    new.wait().unwrap();
    checks.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_runs_as_the_configured_user_without_the_agents_groups() {
    let probe = command(&["/bin/sh", "-c", "id -u; id -g; id -G"], "nobody");
    let (send, mut events) = mpsc::channel(8);
    if !nix::unistd::geteuid().is_root() {
        let probe = command(&["/bin/true"], "root");
        let error = Checks::start(vec![check("id", probe)], send).unwrap_err();
        assert!(matches!(error, CheckError::CannotBecome { .. }), "{error}");
        return;
    }
    let checks = Checks::start(vec![check("id", probe)], send).unwrap();
    assert_eq!(verdict(&mut events).await.kind, Kind::First(Verdict::Up));
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    let text = checks.snapshot()[0].last.clone().unwrap().text;
    let (uid, gid) = (nobody.uid, nobody.gid);
    assert_eq!(text, format!("exit status: 0 ({uid}; {gid}; {gid})"));
    checks.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_user_refuses_the_start_and_the_reload_and_changes_nothing() {
    let good = check("good", command(&["/bin/true"], &own_user()));
    let bad = check("bad", command(&["/bin/true"], "no-such-user-here"));
    let (send, _events) = mpsc::channel(8);
    let error = Checks::start(vec![good.clone(), bad.clone()], send).unwrap_err();
    assert!(matches!(error, CheckError::UnknownUser { .. }), "{error}");

    let (mut checks, mut events) = start(vec![good]);
    assert_eq!(verdict(&mut events).await.kind, Kind::First(Verdict::Up));
    assert!(checks.apply(vec![bad]).await.is_err());
    let names: Vec<_> = checks
        .snapshot()
        .into_iter()
        .map(|status| status.name)
        .collect();
    assert_eq!(names, ["good"]);
    checks.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_hangs_is_killed_and_never_runs_twice_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    // Each run fails loudly if another one is there: the directory is the lock.
    let script = format!(
        "mkdir {0}/lock || {{ echo twice >> {0}/log; exit 1; }}; trap 'true' TERM; sleep 600",
        dir.path().display()
    );
    let (checks, mut events) = start(vec![Check {
        interval: Duration::from_millis(50),
        timeout: Duration::from_millis(200),
        ..check("hang", command(&["/bin/sh", "-c", &script], &own_user()))
    }]);
    let first = verdict(&mut events).await;
    assert_eq!(first.kind, Kind::First(Verdict::Down));
    assert!(
        first
            .detail
            .contains("did not end within 200 ms and was killed"),
        "{}",
        first.detail
    );
    // The lock stays, so each further run that starts says so, one after the other.
    until("more runs", || checks.snapshot()[0].runs >= 4).await;
    checks.stop().await;
    assert!(std::fs::read_to_string(log).unwrap().lines().count() >= 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stop_leaves_no_process_behind() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pid");
    let script = format!("sleep 600 & echo $! > {}; wait", file.display());
    let (checks, _events) = start(vec![Check {
        timeout: Duration::from_mins(10),
        ..check("long", command(&["/bin/sh", "-c", &script], &own_user()))
    }]);
    let pid = pid_of(&file).await;
    checks.stop().await;
    until("its death", || {
        !Path::new(&format!("/proc/{pid}/fd/0")).exists()
    })
    .await;
}

async fn pid_of(file: &PathBuf) -> String {
    until("the pid", || {
        std::fs::read_to_string(file).is_ok_and(|text| text.ends_with('\n'))
    })
    .await;
    std::fs::read_to_string(file).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reload_keeps_what_is_unchanged_and_starts_what_is_new_or_changed() {
    let own = own_user();
    let keep = check("keep", command(&["/bin/true"], &own));
    let change = check("change", command(&["/bin/true"], &own));
    let remove = check("remove", command(&["/bin/true"], &own));
    let (mut checks, mut events) = start(vec![keep.clone(), change, remove]);
    for _ in 0..3 {
        assert_eq!(verdict(&mut events).await.kind, Kind::First(Verdict::Up));
    }
    let runs = checks.snapshot()[0].runs;

    let changed = check("change", command(&["/bin/false"], &own));
    let added = check("add", command(&["/bin/true"], &own));
    checks.apply(vec![added, changed, keep]).await.unwrap();
    let mut told: Vec<(String, Kind)> = Vec::new();
    for _ in 0..3 {
        let event = verdict(&mut events).await;
        told.push((event.name.to_string(), event.kind));
    }
    // In the order of each check's own events.
    told.sort_by(|a, b| a.0.cmp(&b.0));
    let [up, down] = [Kind::First(Verdict::Up), Kind::Down];
    let [add, change] = ["add", "change"].map(str::to_owned);
    assert_eq!(told, [(add, up), (change.clone(), up), (change, down)]);
    let after = checks.snapshot();
    let names: Vec<_> = after.iter().map(|status| status.name.as_str()).collect();
    assert_eq!(names, ["add", "change", "keep"]);
    assert!(after[2].runs >= runs && after[2].verdict == Some(Verdict::Up));
    checks.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listening_process_is_watched_and_a_command_has_none_to_watch() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (checks, mut events) = start(vec![
        check("here", Probe::Tcp(address)),
        check("job", command(&["/bin/true"], &own_user())),
    ]);
    for _ in 0..2 {
        assert_eq!(verdict(&mut events).await.kind, Kind::First(Verdict::Up));
    }
    assert_eq!(watching(&checks).await, std::process::id());
    let job = &checks.snapshot()[1];
    assert_eq!((job.watched_pid, job.notice.as_deref()), (None, None));
    checks.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_cannot_be_watched_is_polled_and_the_status_says_why() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        while let Ok((mut stream, _)) = listener.accept().await {
            // A request that nobody has read turns the close into a reset.
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n").await;
        }
    });
    let Probe::Http(mut probe) = http(address) else {
        unreachable!()
    };
    probe.process = Some(ProcessProbe::PidFile("/no/such/pid".into()));
    let (checks, mut events) = start(vec![check("web", Probe::Http(probe))]);
    assert_eq!(verdict(&mut events).await.kind, Kind::First(Verdict::Up));
    until("the notice", || checks.snapshot()[0].notice.is_some()).await;
    let notice = checks.snapshot()[0].notice.clone().unwrap();
    assert!(
        notice.starts_with("death is noticed by polling: cannot read the pid file /no/such/pid"),
        "{notice}"
    );
    checks.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_that_outlive_their_master_serve_on_and_are_watched_then() {
    use nix::sys::signal::Signal::SIGKILL;
    let nginx = Nginx::new();
    nginx.start();
    let (checks, mut events) = start(vec![Check {
        interval: Duration::from_millis(200),
        timeout: Duration::from_millis(200),
        ..nginx.check()
    }]);
    assert_eq!(verdict(&mut events).await.kind, Kind::First(Verdict::Up));
    let master = watching(&checks).await;
    nginx.signal(SIGKILL);
    until("the worker", || {
        checks.snapshot()[0]
            .watched_pid
            .is_some_and(|pid| pid != master)
    })
    .await;
    let worker = watching(&checks).await;
    assert_eq!(checks.snapshot()[0].restarts, 0, "it serves");

    let pid = nix::unistd::Pid::from_raw(i32::try_from(worker).unwrap());
    nix::sys::signal::kill(pid, SIGKILL).unwrap();
    event(&mut events, Kind::Restarted).await;
    assert!(nginx.serves());
    checks.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pid_file_beside_http_names_the_process_to_watch() {
    let nginx = Nginx::new();
    nginx.start();
    let Probe::Http(mut probe) = http(nginx.address) else {
        unreachable!()
    };
    probe.process = Some(ProcessProbe::PidFile(nginx.dir.path().join("pid")));
    let (checks, mut events) = start(vec![Check {
        probe: Probe::Http(probe),
        interval: Duration::from_hours(1),
        ..nginx.check()
    }]);
    assert_eq!(verdict(&mut events).await.kind, Kind::First(Verdict::Up));
    assert_eq!(i32::try_from(watching(&checks).await).ok(), nginx.pid());
    nginx.signal(nix::sys::signal::SIGTERM);
    event(&mut events, Kind::Restarted).await;
    assert!(nginx.serves());
    checks.stop().await;
}
