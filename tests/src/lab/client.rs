//! A client that never stops asking for the page, and knows when it did not get it.
//!
//! A new request starts at every tick whether or not the ones before have been answered, so an
//! outage is measured to within one tick however long a lost request takes to be given up.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use ha_common::units::{Instant, Nanos};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use super::clock;
use super::host::Host;

/// How the client asks.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// From the start of one request to the start of the next.
    pub every: Duration,
    /// When a request is given up. Below 1 s, else the kernel's repeated SYN would turn an outage
    /// into a slow success.
    pub timeout: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            every: Duration::from_millis(5),
            timeout: Duration::from_millis(500),
        }
    }
}

/// One finished request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// When it began.
    pub start: Instant,
    /// When it was answered or given up.
    pub end: Instant,
    /// The host whose page came, or why none came.
    pub outcome: Result<String, String>,
}

/// A time in which requests failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Outage {
    /// The start of the first request that failed.
    pub start: Instant,
    /// The start of the next one that did not; the end of the record if there is none yet.
    pub end: Instant,
    /// False while no request has succeeded since.
    pub over: bool,
}

impl Outage {
    /// How long it lasted.
    pub fn length(&self) -> Duration {
        self.end.since(self.start).to_duration()
    }
}

#[derive(Debug, Default)]
struct Shared {
    // By start, since answers overtake each other.
    requests: Mutex<BTreeMap<(Instant, u64), Request>>,
    changed: Condvar,
}

/// A running client; ends when dropped.
#[derive(Debug)]
pub struct Client {
    shared: Arc<Shared>,
    pace: Pace,
    _stop: oneshot::Sender<()>,
}

impl Host {
    /// Asks for `http://<target>/` from this host, on and on.
    pub fn request_from(&self, target: IpAddr, pace: Pace) -> Result<Client> {
        if pace.timeout >= Duration::from_secs(1) || pace.every.is_zero() {
            bail!("a client needs a time-out below 1 s and a tick above 0: {pace:?}");
        }
        let shared = Arc::new(Shared::default());
        let sink = Arc::clone(&shared);
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let ns = self.ns().clone();
        std::thread::spawn(move || {
            // One thread and no pool: every socket is opened by a thread inside the namespace.
            let started = ns.enter().and_then(|()| {
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .context("cannot build the client's runtime")
            });
            match started {
                Ok(runtime) => {
                    // The caller has gone only if it panicked.
                    let _ = ready.send(Ok(()));
                    runtime.block_on(ask_on_and_on(
                        SocketAddr::new(target, 80),
                        pace,
                        sink,
                        stopped,
                    ));
                }
                Err(error) => {
                    let _ = ready.send(Err(error));
                }
            }
        });
        is_ready.recv().context("the client's thread has gone")??;
        Ok(Client {
            shared,
            pace,
            _stop: stop,
        })
    }
}

impl Client {
    /// All finished requests by their start.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.lock().values().cloned().collect()
    }

    /// The finished requests that began in this span.
    pub fn requests_between(&self, since: Instant, until: Instant) -> Vec<Request> {
        if since > until {
            return Vec::new();
        }
        let requests = self.shared.lock();
        requests
            .range((since, 0)..=(until, u64::MAX))
            .map(|(_, request)| request.clone())
            .collect()
    }

    /// The outages among requests that began at or after `since`.
    pub fn outages_since(&self, since: Instant) -> Vec<Outage> {
        self.outages_between(since, Instant(u64::MAX))
    }

    /// The outages among requests that began in this span.
    pub fn outages_between(&self, since: Instant, until: Instant) -> Vec<Outage> {
        outages(&self.requests_between(since, until))
    }

    /// All outages.
    pub fn outages(&self) -> Vec<Outage> {
        self.outages_since(Instant(0))
    }

    /// The longest outage of this span; zero if there was none.
    pub fn longest_outage_between(&self, since: Instant, until: Instant) -> Duration {
        self.outages_between(since, until)
            .iter()
            .map(Outage::length)
            .max()
            .unwrap_or_default()
    }

    /// The request that was answered or given up last.
    pub fn last(&self) -> Option<Request> {
        let requests = self.shared.lock();
        // The newest few are enough: none takes longer than the time-out.
        let newest = requests.values().rev().take(1000);
        newest.max_by_key(|request| request.end).cloned()
    }

    /// Whose page the last request answered by `at` got.
    pub fn who_at(&self, at: Instant) -> Option<String> {
        let requests = self.shared.lock();
        requests
            .values()
            .filter(|request| request.end <= at)
            .filter_map(|request| request.outcome.as_ref().ok().map(|who| (request.end, who)))
            .max_by_key(|(end, _)| *end)
            .map(|(_, who)| who.clone())
    }

    /// Waits until a request that began at or after `since` gets this host's page; that request.
    pub fn wait_served_by(
        &self,
        host: &Host,
        since: Instant,
        timeout: Duration,
    ) -> Result<Request> {
        let what = format!("the page of {}", host.name());
        self.wait_for(&what, since, timeout, |request| {
            request.outcome.as_deref() == Ok(host.name())
        })
    }

    /// Waits until a request that began at or after `since` fails; that request.
    pub fn wait_failure(&self, since: Instant, timeout: Duration) -> Result<Request> {
        self.wait_for("a failure", since, timeout, |request| {
            request.outcome.is_err()
        })
    }

    /// Waits until every request that began before this call has been answered or given up, so that what
    /// is asked about the time up to the returned instant has its final answer.
    pub fn settle(&self) -> Result<Instant> {
        let now = clock::now();
        let later = now + nanos(self.pace.timeout);
        let patience = self.pace.timeout * 2 + Duration::from_secs(5);
        self.wait_for("requests", later, patience, |_| true)?;
        Ok(now)
    }

    fn wait_for(
        &self,
        what: &str,
        since: Instant,
        timeout: Duration,
        wanted: impl Fn(&Request) -> bool,
    ) -> Result<Request> {
        let deadline = std::time::Instant::now() + timeout;
        let mut requests = self.shared.lock();
        loop {
            if let Some((_, request)) = requests.range((since, 0)..).find(|(_, it)| wanted(it)) {
                return Ok(request.clone());
            }
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            if left.is_zero() {
                let last = requests.last_key_value().map(|(_, it)| it.outcome.clone());
                bail!("the client has not seen {what} within {timeout:?}; last: {last:?}");
            }
            requests = self
                .shared
                .changed
                .wait_timeout(requests, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

/// The maximal runs of failures.
fn outages(requests: &[Request]) -> Vec<Outage> {
    let mut found: Vec<Outage> = Vec::new();
    for request in requests {
        match (&request.outcome, found.last_mut()) {
            (Ok(_), Some(outage)) if !outage.over => {
                outage.end = request.start;
                outage.over = true;
            }
            (Err(_), Some(outage)) if !outage.over => outage.end = request.end,
            (Err(_), _) => found.push(Outage {
                start: request.start,
                end: request.end,
                over: false,
            }),
            (Ok(_), _) => {}
        }
    }
    found
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Instant, u64), Request>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask_on_and_on(
    target: SocketAddr,
    pace: Pace,
    shared: Arc<Shared>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut ticks = tokio::time::interval(pace.every);
    // After a stall a burst of requests would say nothing about the time of the stall.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut number = 0;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            // An error means that the client was dropped, which is how it is stopped.
            _ = &mut stopped => return,
        }
        number += 1;
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let start = clock::now();
            let outcome = match tokio::time::timeout(pace.timeout, ask(target)).await {
                Ok(Ok(who)) => Ok(who),
                Ok(Err(error)) => Err(format!("{error:#}")),
                Err(_) => Err("no answer in time".to_owned()),
            };
            let request = Request {
                start,
                end: clock::now(),
                outcome,
            };
            shared.lock().insert((start, number), request);
            shared.changed.notify_all();
        });
    }
}

/// One request on a connection of its own. Written out rather than left to an HTTP library, whose
/// connection reuse, retries and pools would hide the outages that are to be measured.
async fn ask(target: SocketAddr) -> Result<String> {
    let mut stream = TcpStream::connect(target).await.context("connect")?;
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        target.ip()
    );
    stream.write_all(request.as_bytes()).await.context("send")?;
    let mut answer = Vec::new();
    stream
        .take(64 * 1024)
        .read_to_end(&mut answer)
        .await
        .context("receive")?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .context("the answer was cut short")?;
    if !head.starts_with("HTTP/1.1 200 ") {
        bail!("{}", head.lines().next().unwrap_or_default());
    }
    let who = body
        .trim()
        .strip_prefix("host ")
        .context("not the lab's page")?;
    Ok(who.to_owned())
}

fn nanos(span: Duration) -> Nanos {
    Nanos(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(start: u64, end: u64, good: bool) -> Request {
        Request {
            start: Instant(start),
            end: Instant(end),
            outcome: if good {
                Ok("h1".into())
            } else {
                Err("no".into())
            },
        }
    }

    #[test]
    fn an_outage_lasts_from_the_first_failed_start_to_the_next_good_start() {
        let record = [
            request(0, 1, true),
            request(5, 505, false),
            request(10, 510, false),
            request(15, 16, true),
            request(20, 520, false),
        ];
        let outage = |start, end, over| Outage {
            start: Instant(start),
            end: Instant(end),
            over,
        };
        assert_eq!(
            outages(&record),
            [outage(5, 15, true), outage(20, 520, false)]
        );
    }
}
