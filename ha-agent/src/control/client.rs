//! The blocking client that the command line uses.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};
use thiserror::Error;

use super::protocol::{Command, ErrorReply, Reply};
use super::socket::SOCKET_NAME;

/// How long an answer may take; a reload can take a while.
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// How long connecting may take, and a sign of life: an agent gives one at once, whatever else it does.
const LIFE_WAIT: Duration = Duration::from_secs(2);
/// The longest answer in bytes: thousands of instances fit.
const MAX_ANSWER: u64 = 64 << 20;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum ClientError {
    /// No socket, or nobody behind it.
    #[error("no agent is running: nothing listens on {path}")]
    NotRunning {
        /// The socket.
        path: PathBuf,
    },
    /// The socket is not for this user.
    #[error("no permission to use {path}")]
    Denied {
        /// The socket.
        path: PathBuf,
    },
    /// The agent hangs or is stopped.
    #[error("the agent behind {path} does not answer")]
    Silent {
        /// The socket.
        path: PathBuf,
    },
    /// The agent closed the connection without an answer.
    #[error("the agent ended before it answered")]
    Closed,
    /// The answer is not one that this version knows.
    #[error("cannot parse the agent's reply")]
    Unreadable(#[source] serde_json::Error),
    /// The agent says no.
    #[error("{}", .0.message)]
    Refused(ErrorReply),
    /// The system refused.
    #[error("cannot communicate with the agent behind {path}")]
    Io {
        /// The socket.
        path: PathBuf,
        source: io::Error,
    },
}

/// A connection to the agent of a runtime directory.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
    path: PathBuf,
}

impl Client {
    /// Connects to the agent that runs with this runtime directory. One that hangs is found out soon, however long
    /// answers may take.
    pub fn connect(runtime_dir: &Path) -> Result<Self, ClientError> {
        Self::connect_to_living(runtime_dir, LIFE_WAIT, ANSWER_WAIT)
    }

    fn connect_to_living(
        runtime_dir: &Path,
        life_wait: Duration,
        answer_wait: Duration,
    ) -> Result<Self, ClientError> {
        let mut client = Self::connect_within(runtime_dir, life_wait, life_wait)?;
        // Answered by the task that reads requests, without a look at anything else.
        client.ask(&Command::Version)?;
        let socket = client.stream.get_ref();
        socket
            .set_read_timeout(Some(answer_wait))
            .map_err(|error| explain(error, &client.path))?;
        Ok(client)
    }

    /// The same for somebody who can do without an answer: how long to wait for a connection, and for each
    /// answer.
    pub fn connect_within(
        runtime_dir: &Path,
        connect_wait: Duration,
        answer_wait: Duration,
    ) -> Result<Self, ClientError> {
        let path = runtime_dir.join(SOCKET_NAME);
        match open(&path, connect_wait, answer_wait) {
            Ok(stream) => Ok(Self {
                stream: BufReader::new(stream),
                path,
            }),
            Err(error) => Err(explain(error, &path)),
        }
    }

    /// Asks and waits for the answer; a refusal is an error.
    pub fn ask(&mut self, command: &Command) -> Result<Reply, ClientError> {
        match self
            .stream
            .get_mut()
            .write_all(command.to_line().as_bytes())
        {
            // The agent may have said why it closed before we wrote: read that.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(error) => return Err(explain(error, &self.path)),
            Ok(()) => {}
        }
        self.next_reply()
    }

    /// Waits for the next line of a `watch`.
    pub fn next_reply(&mut self) -> Result<Reply, ClientError> {
        let mut line = Vec::new();
        match (&mut self.stream)
            .take(MAX_ANSWER)
            .read_until(b'\n', &mut line)
        {
            Ok(_) if line.last() == Some(&b'\n') => {}
            Ok(_) => return Err(ClientError::Closed),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                return Err(ClientError::Closed);
            }
            Err(error) => return Err(explain(error, &self.path)),
        }
        match serde_json::from_slice(&line) {
            Ok(Reply::Error(error)) => Err(ClientError::Refused(error)),
            Ok(reply) => Ok(reply),
            Err(error) => Err(ClientError::Unreadable(error)),
        }
    }
}

fn open(path: &Path, connect_wait: Duration, answer_wait: Duration) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // The write time-out also bounds `connect`, which waits while the backlog is full.
    socket.set_write_timeout(Some(connect_wait))?;
    socket.set_read_timeout(Some(answer_wait))?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(socket.into())
}

fn explain(source: io::Error, path: &Path) -> ClientError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            ClientError::NotRunning { path }
        }
        io::ErrorKind::PermissionDenied => ClientError::Denied { path },
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => ClientError::Silent { path },
        _ => ClientError::Io { path, source },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_missing_socket_and_a_dead_one_both_mean_that_no_agent_runs() {
        let dir = tempfile::tempdir().unwrap();
        let missing = Client::connect(dir.path()).unwrap_err();
        assert!(matches!(missing, ClientError::NotRunning { .. }));
        drop(UnixListener::bind(dir.path().join(SOCKET_NAME)).unwrap());
        let dead = Client::connect(dir.path()).unwrap_err();
        assert!(matches!(dead, ClientError::NotRunning { .. }));
    }

    #[test]
    fn an_agent_that_says_nothing_is_waited_for_only_as_long_as_told() {
        let dir = tempfile::tempdir().unwrap();
        let _listener = UnixListener::bind(dir.path().join(SOCKET_NAME)).unwrap();
        let short = Duration::from_millis(10);
        let mut client = Client::connect_within(dir.path(), short, short).unwrap();
        let error = client.ask(&Command::Peers).unwrap_err();
        assert!(matches!(error, ClientError::Silent { .. }), "{error}");
        // Though an answer may take its time, a sign of life may not.
        let error = Client::connect_to_living(dir.path(), short, ANSWER_WAIT).unwrap_err();
        assert!(matches!(error, ClientError::Silent { .. }), "{error}");
    }

    #[test]
    fn an_agent_that_ends_in_mid_answer_is_reported_as_such() {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join(SOCKET_NAME)).unwrap();
        let agent = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"{\"version\":").unwrap();
        });
        let mut client = Client::connect_within(dir.path(), ANSWER_WAIT, ANSWER_WAIT).unwrap();
        let error = client.ask(&Command::Version).unwrap_err();
        agent.join().unwrap();
        assert!(matches!(error, ClientError::Closed), "{error}");
    }

    #[test]
    fn the_reason_for_being_closed_is_read_even_if_the_request_could_not_be_written() {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join(SOCKET_NAME)).unwrap();
        let mut client = Client::connect_within(dir.path(), ANSWER_WAIT, ANSWER_WAIT).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .write_all(b"{\"error\":{\"kind\":\"too_many_clients\",\"message\":\"full\"}}\n")
            .unwrap();
        drop(stream);
        let error = client.ask(&Command::Status).unwrap_err();
        assert_eq!(error.to_string(), "full");
    }

    #[test]
    fn an_answer_of_another_kind_of_agent_is_not_mistaken_for_silence() {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(dir.path().join(SOCKET_NAME)).unwrap();
        let mut client = Client::connect_within(dir.path(), ANSWER_WAIT, ANSWER_WAIT).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"{\"moon\":1}\n").unwrap();
        let error = client.ask(&Command::Status).unwrap_err();
        assert!(matches!(error, ClientError::Unreadable(_)), "{error}");
    }
}
