//! The server over real sockets.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tempfile::TempDir;
use tokio::io::Lines;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;
use crate::status::sample;

/// An agent whose status is whatever the test puts there.
struct Agent {
    status: Mutex<Status>,
    changes: watch::Sender<u64>,
}

impl Agent {
    fn change(&self, edit: impl FnOnce(&mut Status)) {
        edit(&mut self.status.lock().unwrap());
        self.changes.send_modify(|number| *number += 1);
    }
}

impl Handler for Agent {
    fn status(&self) -> Status {
        self.status.lock().unwrap().clone()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn peers(&self) -> Result<Peers, ErrorReply> {
        Err(ErrorReply::new(ErrorKind::Failed, "no maps here"))
    }

    async fn reload(&self, _: bool) -> Result<Reloaded, ErrorReply> {
        Ok(Reloaded {
            changes: vec!["instance web: priority 100 -> 90".to_owned()],
            ..Reloaded::default()
        })
    }

    async fn datapath(
        &self,
        instance: &str,
        choice: DatapathChoice,
    ) -> Result<Switched, ErrorReply> {
        let message = format!("{instance} cannot have {}", choice.name());
        Err(ErrorReply::new(ErrorKind::Failed, message))
    }

    async fn upgrade(&self, _: Successor) -> Result<Upgrading, ErrorReply> {
        Err(ErrorReply::new(ErrorKind::Failed, "nothing is pinned"))
    }
}

struct Lab {
    dir: TempDir,
    agent: Arc<Agent>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<io::Result<()>>,
}

/// Time is never waited for in full: these only bound a failure.
const LONG: Duration = Duration::from_mins(1);

fn patient() -> Limits {
    Limits {
        request_wait: LONG,
        answer_wait: LONG,
        watch_longest: LONG,
        watch_shortest: Duration::from_millis(1),
        ..Limits::default()
    }
}

fn start(limits: Limits) -> Lab {
    let dir = tempfile::tempdir().unwrap();
    let agent = Arc::new(Agent {
        status: Mutex::new(sample::status()),
        changes: watch::Sender::new(0),
    });
    let socket = ControlSocket::claim(dir.path()).unwrap();
    let (stop, stopped) = oneshot::channel();
    let shutdown = async move {
        let _ = stopped.await;
    };
    let server = tokio::spawn(serve(socket, Arc::clone(&agent), limits, shutdown));
    Lab {
        dir,
        agent,
        stop,
        server,
    }
}

fn socket_path(dir: &Path) -> PathBuf {
    dir.join(SOCKET_NAME)
}

struct Client {
    lines: Lines<BufReader<OwnedReadHalf>>,
    write: OwnedWriteHalf,
}

impl Client {
    async fn connect(lab: &Lab) -> Self {
        let stream = UnixStream::connect(socket_path(lab.dir.path()))
            .await
            .unwrap();
        let (read, write) = stream.into_split();
        Self {
            lines: BufReader::new(read).lines(),
            write,
        }
    }

    async fn say(&mut self, bytes: &[u8]) {
        self.write.write_all(bytes).await.unwrap();
    }

    /// The next answer; `None` once the server has closed.
    async fn hear(&mut self) -> Option<Reply> {
        let line = timeout(LONG, self.lines.next_line()).await.unwrap();
        // A socket that is closed over unread bytes ends in a reset, after what was answered.
        let line = line.ok().flatten()?;
        Some(serde_json::from_str(&line).unwrap())
    }

    async fn ask(&mut self, command: Command) -> Reply {
        self.say(command.to_line().as_bytes()).await;
        self.hear().await.unwrap()
    }

    async fn hear_error(&mut self) -> ErrorReply {
        match self.hear().await {
            Some(Reply::Error(error)) => error,
            other => panic!("expected an error, got {other:?}"),
        }
    }

    async fn hear_status(&mut self) -> Status {
        match self.hear().await {
            Some(Reply::Status(status)) => *status,
            other => panic!("expected a status, got {other:?}"),
        }
    }
}

#[tokio::test]
async fn every_command_is_answered_on_one_connection() {
    let lab = start(patient());
    let mut client = Client::connect(&lab).await;
    let Reply::Status(status) = client.ask(Command::Status).await else {
        panic!("no status");
    };
    assert_eq!(*status, sample::status());
    let Reply::Version(version) = client.ask(Command::Version).await else {
        panic!("no version");
    };
    assert_eq!(version.pid, std::process::id());
    let Reply::Reload(reloaded) = client.ask(Command::Reload { force: false }).await else {
        panic!("no reload");
    };
    assert_eq!(reloaded.changes.len(), 1);
    let Reply::Error(error) = client.ask(Command::Peers).await else {
        panic!("no error");
    };
    assert_eq!(error.message, "no maps here");
    let wanted = Command::Datapath {
        instance: "web".to_owned(),
        datapath: DatapathChoice::Auto,
    };
    let Reply::Error(error) = client.ask(wanted).await else {
        panic!("no error");
    };
    assert_eq!(error.message, "web cannot have auto");
}

#[tokio::test]
async fn a_wrong_request_is_answered_and_the_next_one_still_works() {
    let lab = start(patient());
    let mut client = Client::connect(&lab).await;
    client.say(b"\x00\xff\xfe garbage \x80\n").await;
    assert_eq!(client.hear_error().await.kind, ErrorKind::Request);
    client.say(b"{\"v\":1,\"cmd\":\"explode\"}\n").await;
    let error = client.hear_error().await;
    assert!(
        error.message.contains("known are status, watch"),
        "{error:?}"
    );
    assert!(matches!(
        client.ask(Command::Version).await,
        Reply::Version(_)
    ));
}

#[tokio::test]
async fn a_request_in_pieces_is_put_together() {
    let lab = start(patient());
    let mut client = Client::connect(&lab).await;
    for byte in Command::Version.to_line().as_bytes() {
        client.say(&[*byte]).await;
    }
    assert!(matches!(client.hear().await, Some(Reply::Version(_))));
}

#[tokio::test]
async fn a_request_that_is_too_long_is_refused_and_the_connection_closed() {
    let lab = start(patient());
    let mut client = Client::connect(&lab).await;
    client.say(&vec![b' '; MAX_REQUEST + 1]).await;
    let error = client.hear_error().await;
    assert_eq!(error.message, "the request is longer than 4096 bytes");
    assert_eq!(client.hear().await, None);
}

#[tokio::test]
async fn a_client_that_says_nothing_is_told_so_and_closed() {
    let lab = start(Limits {
        request_wait: Duration::from_millis(20),
        ..patient()
    });
    let mut client = Client::connect(&lab).await;
    client.say(b"{\"v\":1,").await;
    assert_eq!(client.hear_error().await.kind, ErrorKind::Timeout);
    assert_eq!(client.hear().await, None);
}

#[tokio::test]
async fn the_seventeenth_client_is_told_so_and_has_its_place_when_another_leaves() {
    let lab = start(patient());
    let mut clients = Vec::new();
    for _ in 0..16 {
        let mut client = Client::connect(&lab).await;
        client.ask(Command::Version).await;
        clients.push(client);
    }
    let mut extra = Client::connect(&lab).await;
    assert_eq!(extra.hear_error().await.kind, ErrorKind::TooManyClients);
    assert_eq!(extra.hear().await, None);

    drop(clients.pop());
    // The server notices the end of a connection in its own time: ask until it has.
    let served = async {
        loop {
            let mut next = Client::connect(&lab).await;
            let line = Command::Version.to_line();
            let _ = next.write.write_all(line.as_bytes()).await;
            if let Some(Reply::Version(_)) = next.hear().await {
                break;
            }
        }
    };
    timeout(LONG, served).await.unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped_and_holds_up_nobody() {
    let lab = start(Limits {
        answer_wait: Duration::from_millis(50),
        ..patient()
    });
    // Far more than a socket's buffer takes.
    lab.agent
        .change(|status| status.warnings.push("x".repeat(8 << 20)));
    let mut slow = Client::connect(&lab).await;
    slow.say(Command::Status.to_line().as_bytes()).await;

    let mut other = Client::connect(&lab).await;
    assert!(matches!(
        other.ask(Command::Version).await,
        Reply::Version(_)
    ));

    // Dropped means: the write end is closed while the answer is incomplete.
    let closed = async { while slow.write.write_all(b"\n").await.is_ok() {} };
    timeout(LONG, closed).await.unwrap();
    let mut rest = Vec::new();
    let mut reader = slow.lines.into_inner();
    let _ = reader.read_to_end(&mut rest).await;
    assert!(!rest.is_empty() && rest.len() < 8 << 20);
}

#[tokio::test]
async fn a_watch_says_the_status_now_and_on_every_change() {
    let lab = start(patient());
    let mut client = Client::connect(&lab).await;
    client.say(Command::Watch.to_line().as_bytes()).await;
    assert_eq!(client.hear_status().await.warnings.len(), 1);
    for number in 2..5 {
        lab.agent
            .change(|status| status.warnings.push("more".to_owned()));
        assert_eq!(client.hear_status().await.warnings.len(), number);
    }
}

#[tokio::test]
async fn a_watch_says_something_even_if_nothing_changes() {
    let lab = start(Limits {
        watch_longest: Duration::from_millis(10),
        ..patient()
    });
    let mut client = Client::connect(&lab).await;
    client.say(Command::Watch.to_line().as_bytes()).await;
    for _ in 0..3 {
        assert_eq!(client.hear_status().await, sample::status());
    }
}

#[tokio::test]
async fn changes_faster_than_a_watch_may_speak_are_folded_into_the_latest() {
    let lab = start(Limits {
        watch_shortest: Duration::from_millis(200),
        ..patient()
    });
    let mut client = Client::connect(&lab).await;
    client.say(Command::Watch.to_line().as_bytes()).await;
    client.hear_status().await;
    for _ in 0..50 {
        lab.agent
            .change(|status| status.warnings.push("more".to_owned()));
    }
    assert_eq!(client.hear_status().await.warnings.len(), 51);
}

#[tokio::test]
async fn stopping_closes_the_clients_and_removes_the_socket() {
    let lab = start(patient());
    let mut client = Client::connect(&lab).await;
    client.say(Command::Watch.to_line().as_bytes()).await;
    client.hear_status().await;
    lab.stop.send(()).unwrap();
    lab.server.await.unwrap().unwrap();
    assert_eq!(client.hear().await, None);
    assert!(!socket_path(lab.dir.path()).exists());
}

#[tokio::test]
async fn a_watch_ends_when_its_client_says_anything() {
    let lab = start(patient());
    let mut client = Client::connect(&lab).await;
    client.say(Command::Watch.to_line().as_bytes()).await;
    client.hear_status().await;
    client.say(b"{\"v\":1,\"cmd\":\"status\"}\n").await;
    assert_eq!(client.hear().await, None);
}
