//! A synchronous route netlink socket: batches of requests, dumps, and nothing that waits for ever.

use std::io;
use std::time::{Duration, Instant};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_ACK_TLVS, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR,
    NetlinkBuffer, NetlinkDeserializable, NetlinkHeader, NetlinkMessage, NetlinkPayload,
    NlasIterator,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::errno::Errno;
use nix::sys::socket::{getsockopt, setsockopt, sockopt};
use socket2::SockRef;

/// How long the kernel may take over one answer. It answers within the system call, so reaching
/// this means that an answer was lost.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// Asked for, so that the answers to a large batch fit; they are made before the first can be read.
const RECEIVE_BUFFER: usize = 4 << 20;

/// What one acknowledgement takes of the receive buffer, generously: the kernel counts the whole
/// allocation of about 0.8 KiB.
const ACK_COST: usize = 1280;

/// Bytes of requests in one datagram, below the default send buffer of 208 KiB.
const DATAGRAM: usize = 128 << 10;

/// The kernel builds dump datagrams of at most 32 KiB.
const READ_BUFFER: usize = 64 << 10;

/// How often a dump that changed underneath is asked for again.
const DUMP_ATTEMPTS: u32 = 5;

/// A request to the kernel that could not be carried out at all.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// The socket cannot be opened or set up.
    #[error("cannot open a route netlink socket: {0}")]
    Open(#[source] io::Error),
    /// The kernel does not take the datagram.
    #[error("cannot send to the kernel by netlink: {0}")]
    Send(#[source] io::Error),
    /// No answer within the limit, or the answers overflowed the receive buffer.
    #[error("no answer from the kernel by netlink: {0}")]
    Receive(#[source] io::Error),
    /// An answer that makes no sense.
    #[error("the kernel's netlink answer is malformed: {0}")]
    Malformed(String),
    /// The kernel refuses the request.
    #[error("{0}")]
    Refused(Refusal),
    /// The table kept changing while it was read.
    #[error("the kernel's table changed during each of {DUMP_ATTEMPTS} attempts to read it")]
    Unstable,
}

/// One request that the kernel refused, with its own words where it has any.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}{}", .errno.desc(), .detail.as_ref().map(|text| format!(" ({text})")).unwrap_or_default())]
pub struct Refusal {
    pub errno: Errno,
    /// The extended acknowledgement's text.
    pub detail: Option<String>,
}

/// A bound route socket. One thread at a time uses it.
pub struct RouteSocket {
    socket: Socket,
    sequence: u32,
    /// Requests whose answers fit into the receive buffer together.
    batch_limit: usize,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
}

impl RouteSocket {
    /// Opens the socket in the calling thread's network namespace.
    pub fn open() -> Result<Self, NetlinkError> {
        Self::open_inner().map_err(NetlinkError::Open)
    }

    fn open_inner() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        // Both make errors better and dumps smaller; kernels before 4.20 lack the second.
        socket.set_cap_ack(true)?;
        socket.set_ext_ack(true)?;
        if let Err(error) = socket.set_netlink_get_strict_chk(true)
            && error.raw_os_error() != Some(libc::ENOPROTOOPT)
        {
            return Err(error);
        }
        // Forcing needs CAP_NET_ADMIN; without it the system's limit applies and batches shrink.
        if setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER).is_err() {
            setsockopt(&socket, sockopt::RcvBuf, &RECEIVE_BUFFER)?;
        }
        let granted = getsockopt(&socket, sockopt::RcvBuf)?;
        SockRef::from(&socket).set_read_timeout(Some(ANSWER_LIMIT))?;
        Ok(Self {
            socket,
            sequence: 0,
            batch_limit: (granted / ACK_COST).max(1),
            outgoing: Vec::with_capacity(4096),
            incoming: Vec::with_capacity(READ_BUFFER),
        })
    }

    /// Carries out requests with as few datagrams as the buffers allow, and returns what became of
    /// each, in their order. `flags` are added to `NLM_F_REQUEST | NLM_F_ACK`.
    ///
    /// An error means that the outcome of at least one request is unknown.
    pub fn batch(
        &mut self,
        flags: u16,
        requests: impl IntoIterator<Item = RouteNetlinkMessage>,
    ) -> Result<Vec<Result<(), Refusal>>, NetlinkError> {
        let mut outcomes = Vec::new();
        let mut requests = requests.into_iter().peekable();
        while requests.peek().is_some() {
            self.outgoing.clear();
            let first = self.sequence.wrapping_add(1);
            let mut count = 0;
            while count < self.batch_limit
                && self.outgoing.len() < DATAGRAM
                && let Some(request) = requests.next()
            {
                self.push(NLM_F_REQUEST | NLM_F_ACK | flags, request);
                count += 1;
            }
            self.exchange(first, count, &mut outcomes)?;
        }
        Ok(outcomes)
    }

    /// Reads a table as [`Self::dump_raw`] does, each answer read as a whole. One that cannot be is skipped: what is in
    /// it belongs to somebody else, for ours can be read.
    pub fn dump<T>(
        &mut self,
        request: &RouteNetlinkMessage,
        mut each: impl FnMut(RouteNetlinkMessage) -> Option<T>,
    ) -> Result<Vec<T>, NetlinkError> {
        self.dump_raw(request, |kind, payload| {
            let mut header = NetlinkHeader::default();
            header.message_type = kind;
            let answer =
                <RouteNetlinkMessage as NetlinkDeserializable>::deserialize(&header, payload);
            answer.ok().and_then(&mut each)
        })
    }

    /// Reads a table: `request` with `NLM_F_DUMP`, and of every answer what `each` makes of its type and bytes. When
    /// the table changed meanwhile it is read again from the start.
    pub fn dump_raw<T>(
        &mut self,
        request: &RouteNetlinkMessage,
        mut each: impl FnMut(u16, &[u8]) -> Option<T>,
    ) -> Result<Vec<T>, NetlinkError> {
        for _ in 0..DUMP_ATTEMPTS {
            self.outgoing.clear();
            self.push(NLM_F_REQUEST | NLM_F_DUMP, request.clone());
            self.send()?;
            let mut found = Vec::new();
            if self.read_dump(&mut each, &mut found)? {
                return Ok(found);
            }
        }
        Err(NetlinkError::Unstable)
    }

    /// Reads one thing: of the kernel's answer to `request` what `each` makes of its type and bytes.
    pub fn get<T>(
        &mut self,
        request: &RouteNetlinkMessage,
        mut each: impl FnMut(u16, &[u8]) -> Option<T>,
    ) -> Result<Option<T>, NetlinkError> {
        self.outgoing.clear();
        // The acknowledgement comes behind the answer, and tells that there is no more.
        self.push(NLM_F_REQUEST | NLM_F_ACK, request.clone());
        self.send()?;
        let mut found = Vec::new();
        let deadline = Instant::now() + ANSWER_LIMIT;
        let (mut done, sequence) = (false, self.sequence);
        while !done {
            self.receive(deadline)?;
            for_each_message(&self.incoming, |header, payload| {
                if header.sequence_number != sequence {
                    return Ok(());
                }
                if header.message_type == NLMSG_ERROR {
                    done = true;
                    return parse_ack(header.flags, payload)?.map_err(NetlinkError::Refused);
                }
                found.extend(each(header.message_type, payload));
                Ok(())
            })?;
        }
        Ok(found.pop())
    }

    /// Appends one request to the outgoing datagram.
    fn push(&mut self, flags: u16, request: RouteNetlinkMessage) {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(request));
        message.finalize();
        let start = self.outgoing.len();
        let end = start + message.buffer_len();
        // Messages in a datagram start at multiples of four (NLMSG_ALIGN).
        self.outgoing.resize(end.next_multiple_of(4), 0);
        message.serialize(&mut self.outgoing[start..end]);
    }

    fn send(&self) -> Result<(), NetlinkError> {
        let kernel = SocketAddr::new(0, 0);
        self.socket
            .send_to(&self.outgoing, &kernel, 0)
            .map(drop)
            .map_err(NetlinkError::Send)
    }

    /// Sends the outgoing datagram, whose messages are numbered from `first`, and reads one
    /// acknowledgement for each.
    fn exchange(
        &mut self,
        first: u32,
        count: usize,
        outcomes: &mut Vec<Result<(), Refusal>>,
    ) -> Result<(), NetlinkError> {
        self.send()?;
        let mut answers: Vec<Option<Result<(), Refusal>>> = vec![None; count];
        let mut missing = count;
        let deadline = Instant::now() + ANSWER_LIMIT;
        while missing > 0 {
            self.receive(deadline)?;
            for_each_message(&self.incoming, |header, payload| {
                if header.message_type != NLMSG_ERROR {
                    return Ok(());
                }
                let offset = header.sequence_number.wrapping_sub(first) as usize;
                // Late answers to an earlier, abandoned batch fall outside.
                if let Some(slot) = answers.get_mut(offset)
                    && slot.is_none()
                {
                    *slot = Some(parse_ack(header.flags, payload)?);
                    missing -= 1;
                }
                Ok(())
            })?;
        }
        outcomes.extend(answers.into_iter().flatten());
        Ok(())
    }

    /// True if the dump was consistent.
    fn read_dump<T>(
        &mut self,
        each: &mut impl FnMut(u16, &[u8]) -> Option<T>,
        found: &mut Vec<T>,
    ) -> Result<bool, NetlinkError> {
        let (mut done, mut consistent) = (false, true);
        let sequence = self.sequence;
        while !done {
            // A dump may be long; the limit is on each datagram of it.
            self.receive(Instant::now() + ANSWER_LIMIT)?;
            for_each_message(&self.incoming, |header, payload| {
                if header.sequence_number != sequence {
                    return Ok(());
                }
                consistent &= header.flags & NLM_F_DUMP_INTR == 0;
                match header.message_type {
                    NLMSG_DONE => done = true,
                    NLMSG_ERROR => {
                        parse_ack(header.flags, payload)?.map_err(NetlinkError::Refused)?;
                    }
                    _ => {
                        found.extend(each(header.message_type, payload));
                    }
                }
                Ok(())
            })?;
        }
        Ok(consistent)
    }

    /// Reads one datagram of the kernel's into `incoming`.
    fn receive(&mut self, deadline: Instant) -> Result<(), NetlinkError> {
        loop {
            self.incoming.clear();
            match self.socket.recv_from(&mut self.incoming, libc::MSG_TRUNC) {
                // Only the kernel has port 0: another process could send what it likes.
                Ok((_, sender)) if sender.port_number() != 0 => {}
                Ok((length, _)) if length > self.incoming.len() => {
                    return Err(NetlinkError::Malformed(format!(
                        "a datagram of {length} bytes was truncated to {}",
                        self.incoming.len()
                    )));
                }
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(NetlinkError::Receive(error)),
            }
            if Instant::now() >= deadline {
                return Err(NetlinkError::Receive(io::ErrorKind::TimedOut.into()));
            }
        }
    }
}

/// Walks the messages of one datagram.
pub(super) fn for_each_message(
    mut datagram: &[u8],
    mut each: impl FnMut(&NetlinkHeader, &[u8]) -> Result<(), NetlinkError>,
) -> Result<(), NetlinkError> {
    let malformed =
        |error: netlink_packet_core::DecodeError| NetlinkError::Malformed(error.to_string());
    while !datagram.is_empty() {
        let buffer = NetlinkBuffer::new_checked(datagram).map_err(malformed)?;
        let length = buffer.length() as usize;
        let mut header = NetlinkHeader::default();
        header.length = buffer.length();
        header.message_type = buffer.message_type();
        header.flags = buffer.flags();
        header.sequence_number = buffer.sequence_number();
        header.port_number = buffer.port_number();
        each(&header, buffer.payload())?;
        datagram = datagram
            .get(length.next_multiple_of(4)..)
            .unwrap_or_default();
    }
    Ok(())
}

/// Reads `struct nlmsgerr`: the error, the request's header (`NETLINK_CAP_ACK` cut the rest off),
/// and the extended acknowledgement's attributes.
fn parse_ack(flags: u16, payload: &[u8]) -> Result<Result<(), Refusal>, NetlinkError> {
    const REQUEST_HEADER: usize = 16;
    let Some((code, rest)) = payload.split_first_chunk::<4>() else {
        return Err(NetlinkError::Malformed(
            "an error without a code".to_owned(),
        ));
    };
    let code = i32::from_ne_bytes(*code);
    if code == 0 {
        return Ok(Ok(()));
    }
    let attributes = match rest.get(REQUEST_HEADER..) {
        Some(attributes) if flags & NLM_F_ACK_TLVS != 0 => attributes,
        _ => &[],
    };
    Ok(Err(Refusal {
        errno: Errno::from_raw(code.saturating_neg()),
        detail: extended_text(attributes),
    }))
}

/// `NLMSGERR_ATTR_MSG` of an extended acknowledgement.
fn extended_text(attributes: &[u8]) -> Option<String> {
    const NLMSGERR_ATTR_MSG: u16 = 1;
    let attribute = NlasIterator::new(attributes)
        .map_while(Result::ok)
        .find(|attribute| attribute.kind() == NLMSGERR_ATTR_MSG)?;
    let text = attribute.value();
    let text = text.strip_suffix(&[0]).unwrap_or(text);
    Some(String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_cut_short_is_an_error_and_not_a_panic() {
        let mut good = [0; 20];
        good[..4].copy_from_slice(&20u32.to_ne_bytes());
        good[4..6].copy_from_slice(&NLMSG_ERROR.to_ne_bytes());
        for length in 1..20 {
            let result = for_each_message(&good[..length], |_, _| Ok(()));
            assert!(
                matches!(result, Err(NetlinkError::Malformed(_))),
                "{length}"
            );
        }
        for length in 0..4 {
            assert!(parse_ack(0, &good[..length]).is_err());
        }
        assert_eq!(parse_ack(0, &good[16..]).unwrap(), Ok(()));
    }

    #[test]
    fn a_refusal_carries_the_kernels_own_words() {
        let mut payload = (-libc::EEXIST).to_ne_bytes().to_vec();
        payload.extend([0; 16]);
        payload.extend([9, 0, 1, 0]);
        payload.extend(b"text\0\0\0\0");
        let refusal = parse_ack(NLM_F_ACK_TLVS, &payload).unwrap().unwrap_err();
        assert_eq!(refusal.errno, Errno::EEXIST);
        assert_eq!(refusal.to_string(), "File exists (text)");
    }
}
