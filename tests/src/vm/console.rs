//! Giving the guest orders: shell commands by its second serial port, one at a time.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How long one order may take; emulation is slow.
const ORDER: Duration = Duration::from_secs(30);
/// The longest answer; more is a mistake in the order.
const LONGEST: u64 = 1 << 20;

/// Where the machine is to connect its second serial port to.
#[derive(Debug)]
pub(super) struct Socket(UnixListener);

impl Socket {
    /// Listens there.
    pub(super) fn bind(path: &Path) -> Result<Self> {
        let listener =
            UnixListener::bind(path).with_context(|| format!("cannot bind {}", path.display()))?;
        Ok(Self(listener))
    }

    /// Waits until the guest is there and says that it takes orders.
    pub(super) fn accept(self, timeout: Duration) -> Result<Console> {
        let milliseconds = PollTimeout::try_from(timeout).context("a longer wait than poll has")?;
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        ensure!(
            poll(&mut fds, milliseconds)? == 1,
            "the machine has not started within {timeout:?}"
        );
        let (stream, _) = self.0.accept()?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(ORDER))?;
        let mut console = Console {
            reader: BufReader::new(stream.try_clone()?),
            writer: stream,
            orders: 0,
        };
        console.read_until("ready").context("the guest is not up")?;
        console.writer.set_read_timeout(Some(ORDER))?;
        Ok(console)
    }
}

/// The guest's shell.
#[derive(Debug)]
pub(super) struct Console {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
    orders: u32,
}

impl Console {
    /// Runs a command line to its end: its exit status, and what it wrote.
    pub(super) fn run(&mut self, command: &str) -> Result<(i32, String)> {
        ensure!(!command.contains('\n'), "an order is one line: {command:?}");
        self.orders += 1;
        let number = self.orders;
        writeln!(self.writer, "{number} {command}").context("the guest takes no orders")?;
        let (said, status) = self.read_until(&format!("end {number} "))?;
        let status = status
            .parse()
            .with_context(|| format!("no exit status: {status:?}"))?;
        Ok((status, said))
    }

    /// Reads up to a line that begins with `mark`: what came before it, and what follows the mark.
    fn read_until(&mut self, mark: &str) -> Result<(String, String)> {
        let mut said = String::new();
        let mut limited = (&mut self.reader).take(LONGEST);
        loop {
            let mut line = Vec::new();
            let length = limited.read_until(b'\n', &mut line).context("no answer")?;
            if length == 0 {
                bail!("the guest has gone, or says too much; it said: {said}");
            }
            let line = String::from_utf8_lossy(&line);
            if let Some(rest) = line.strip_prefix(mark) {
                // The newline before the mark is not the command's own.
                let said = said.strip_suffix('\n').unwrap_or(&said);
                return Ok((said.to_owned(), rest.trim_end().to_owned()));
            }
            said.push_str(&line);
        }
    }
}
