//! The control server: accepts clients, reads their requests, and answers from snapshots.
//!
//! Nothing here can hold up the protocol. Snapshots are taken and written out as JSON on blocking
//! threads; requests, clients and waits are bounded by [`Limits`]; a slow client is dropped.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};

use super::protocol::{
    Command, ErrorKind, ErrorReply, MAX_REQUEST, PROTOCOL_VERSION, Reloaded, Reply, RequestError,
    Switched, Upgrading, VersionInfo, parse_request,
};
pub use super::socket::{ClaimError, ControlSocket, LOCK_NAME, SOCKET_NAME};
use crate::config::model::DatapathChoice;
use crate::status::agent::Status;
use crate::status::peers::Peers;

/// What the server asks of the agent.
pub trait Handler: Send + Sync + 'static {
    /// The current snapshot. Called on a blocking thread; it must not take a lock that the protocol
    /// waits for.
    fn status(&self) -> Status;

    /// A number that changes whenever something that `status` shows has changed; ages and counters
    /// alone do not count.
    fn changes(&self) -> watch::Receiver<u64>;

    /// The peers, from the agent's own maps. Called on a blocking thread.
    fn peers(&self) -> Result<Peers, ErrorReply>;

    /// Reads the configuration again and applies what changed; `force`: whatever it costs.
    fn reload(&self, force: bool) -> impl Future<Output = Result<Reloaded, ErrorReply>> + Send;

    /// Receives the adverts of an instance by another datapath.
    fn datapath(
        &self,
        instance: &str,
        choice: DatapathChoice,
    ) -> impl Future<Output = Result<Switched, ErrorReply>> + Send;

    /// Goes on as the program that is installed now, soon after the answer; or ends for one that the service manager
    /// starts.
    fn upgrade(&self, by: Successor) -> impl Future<Output = Result<Upgrading, ErrorReply>> + Send;
}

/// Who carries on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Successor {
    /// The installed program, in this process.
    SameProcess,
    /// One that the service manager starts.
    NextProcess,
}

/// The bounds of the server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Clients at a time; one more is told so and closed.
    pub clients: usize,
    /// How long a client may take for a complete request, from connecting or from the last answer.
    pub request_wait: Duration,
    /// How long a client may take to receive an answer.
    pub answer_wait: Duration,
    /// A `watch` says something at least this often.
    pub watch_longest: Duration,
    /// A `watch` says something at most this often, however much changes; the latest counts.
    pub watch_shortest: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            clients: 16,
            request_wait: Duration::from_secs(5),
            answer_wait: Duration::from_secs(10),
            watch_longest: Duration::from_secs(1),
            watch_shortest: Duration::from_millis(50),
        }
    }
}

/// How long to wait when the system cannot give us another descriptor.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// Serves clients until `shutdown` resolves; then all of them are closed and the socket is removed.
pub async fn serve<H: Handler>(
    socket: ControlSocket,
    handler: Arc<H>,
    limits: Limits,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let listener = UnixListener::from_std(socket.listener()?)?;
    let mut clients = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        // Before counting, forget those that have gone.
        while clients.try_join_next().is_some() {}
        match accepted {
            Ok((stream, _)) if clients.len() >= limits.clients => refuse(&stream, limits.clients),
            Ok((stream, _)) => {
                clients.spawn(serve_client(stream, Arc::clone(&handler), limits));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a control client");
                sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
}

/// Tells one client too many why it is closed. A fresh socket's buffer takes one line without
/// waiting, so this costs the server nothing.
fn refuse(stream: &UnixStream, limit: usize) {
    let reply = Reply::Error(ErrorReply::new(
        ErrorKind::TooManyClients,
        format!("{limit} clients are connected already; close one, such as a `status --watch`"),
    ));
    let _ = stream.try_write(&encode(&reply));
}

/// What one attempt to read a request gave.
enum Incoming {
    /// A request, or why the line is none.
    Line(Result<Command, RequestError>),
    /// The client has gone.
    Closed,
    /// The client cannot be understood any more; it gets this and is closed.
    Hopeless(ErrorReply),
}

async fn serve_client<H: Handler>(stream: UnixStream, handler: Arc<H>, limits: Limits) {
    let (read, mut write) = stream.into_split();
    let mut reader = BufReader::new(read);
    loop {
        let reply = match read_request(&mut reader, limits.request_wait).await {
            Incoming::Closed => return,
            Incoming::Hopeless(error) => {
                let _ = send(&mut write, &encode(&Reply::Error(error)), limits).await;
                return;
            }
            Incoming::Line(Err(error)) => encode(&Reply::Error(error.into())),
            Incoming::Line(Ok(Command::Watch)) => {
                watch_status(&mut reader, &mut write, &handler, limits).await;
                return;
            }
            Incoming::Line(Ok(command)) => answer(command, &handler).await,
        };
        if send(&mut write, &reply, limits).await.is_err() {
            return;
        }
    }
}

async fn read_request(reader: &mut BufReader<OwnedReadHalf>, wait: Duration) -> Incoming {
    let mut line = Vec::new();
    // One byte more than a full line and its newline tells too long from just right.
    let mut bounded = reader.take(MAX_REQUEST as u64 + 1);
    match timeout(wait, bounded.read_until(b'\n', &mut line)).await {
        Err(_) => Incoming::Hopeless(ErrorReply::new(
            ErrorKind::Timeout,
            format!("no complete request within {} ms", wait.as_millis()),
        )),
        Ok(Err(_) | Ok(0)) => Incoming::Closed,
        Ok(Ok(_)) => {
            if line.last() == Some(&b'\n') {
                line.pop();
            } else if line.len() > MAX_REQUEST {
                return Incoming::Hopeless(RequestError::TooLong.into());
            }
            Incoming::Line(parse_request(&line))
        }
    }
}

/// Answers everything but `watch`.
async fn answer<H: Handler>(command: Command, handler: &Arc<H>) -> Vec<u8> {
    match command {
        Command::Status | Command::Watch => snapshot(handler).await,
        Command::Peers => {
            let handler = Arc::clone(handler);
            blocking(move || handler.peers().map_or_else(Reply::Error, Reply::Peers)).await
        }
        Command::Reload { force } => {
            let result = handler.reload(force).await;
            encode(&result.map_or_else(Reply::Error, Reply::Reload))
        }
        Command::Datapath { instance, datapath } => {
            let result = handler.datapath(&instance, datapath).await;
            let reply = result.map_or_else(Reply::Error, |it| Reply::Datapath(Box::new(it)));
            encode(&reply)
        }
        Command::Upgrade => upgrade(handler, Successor::SameProcess).await,
        Command::HandOver => upgrade(handler, Successor::NextProcess).await,
        Command::Version => encode(&Reply::Version(VersionInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            protocol: PROTOCOL_VERSION,
        })),
    }
}

async fn upgrade<H: Handler>(handler: &Arc<H>, by: Successor) -> Vec<u8> {
    let result = handler.upgrade(by).await;
    encode(&result.map_or_else(Reply::Error, Reply::Upgrade))
}

async fn snapshot<H: Handler>(handler: &Arc<H>) -> Vec<u8> {
    let handler = Arc::clone(handler);
    blocking(move || Reply::Status(Box::new(handler.status()))).await
}

/// Sends snapshots until the client goes, says anything, or is too slow.
async fn watch_status<H: Handler>(
    reader: &mut BufReader<OwnedReadHalf>,
    write: &mut OwnedWriteHalf,
    handler: &Arc<H>,
    limits: Limits,
) {
    let mut changes = handler.changes();
    loop {
        // Marked as seen before the snapshot is taken, so that no change falls between the two.
        changes.mark_unchanged();
        let line = snapshot(handler).await;
        if send(write, &line, limits).await.is_err() {
            return;
        }
        let next = async {
            sleep(limits.watch_shortest).await;
            let rest = limits.watch_longest.saturating_sub(limits.watch_shortest);
            // The sender is gone: the agent is ending.
            timeout(rest, changes.changed())
                .await
                .is_ok_and(|seen| seen.is_err())
        };
        tokio::select! {
            // End of file, an error, or a request that nobody would answer.
            _ = reader.fill_buf() => return,
            agent_gone = next => if agent_gone { return },
        }
    }
}

async fn send(write: &mut OwnedWriteHalf, line: &[u8], limits: Limits) -> io::Result<()> {
    timeout(limits.answer_wait, write.write_all(line))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Makes a reply and its JSON away from the threads that serve others.
async fn blocking(make: impl FnOnce() -> Reply + Send + 'static) -> Vec<u8> {
    spawn_blocking(move || encode(&make()))
        .await
        .unwrap_or_else(|error| {
            let message = format!("cannot encode the reply: {error}");
            encode(&Reply::Error(ErrorReply::new(ErrorKind::Failed, message)))
        })
}

/// One line. Serializing these types cannot fail, but a line has to come out whatever happens.
fn encode(reply: &Reply) -> Vec<u8> {
    let mut line = serde_json::to_vec(reply).unwrap_or_else(|_| {
        br#"{"error":{"kind":"failed","message":"the answer is no JSON"}}"#.to_vec()
    });
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests;
