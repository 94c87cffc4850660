//! The `tcp` probe: a connection can be opened. The `http` probe starts with it.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::finding::Finding;

/// Opens a connection and closes it.
pub(super) async fn probe(address: SocketAddr) -> Finding {
    match connect(address).await {
        Ok(_) => Finding::passed(format!("{address} accepts connections")),
        Err(finding) => finding,
    }
}

/// A connection, or what to report.
pub(super) async fn connect(address: SocketAddr) -> Result<TcpStream, Finding> {
    let stream = match TcpStream::connect(address).await {
        Ok(stream) => stream,
        Err(error) => return Err(refused_or_not(address, &error)),
    };
    // A port of the ephemeral range that nobody listens on can be connected to itself.
    if stream.local_addr().is_ok_and(|own| own == address) {
        return Err(Finding::gone(format!("{address} refuses connections")));
    }
    Ok(stream)
}

fn refused_or_not(address: SocketAddr, error: &io::Error) -> Finding {
    if error.kind() == io::ErrorKind::ConnectionRefused {
        Finding::gone(format!("{address} refuses connections"))
    } else {
        Finding::of_error(format!("cannot connect to {address}: {error}"), error)
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    #[tokio::test]
    async fn a_listener_passes_and_a_free_port_is_gone() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert!(probe(address).await.is_passed());
        drop(listener);
        assert!(probe(address).await.is_gone());
    }

    #[tokio::test]
    async fn an_unreachable_address_fails_but_is_not_gone() {
        // A route that refuses is the one failure besides a reset that needs no packet on a wire.
        let finding = probe("255.255.255.255:9".parse().unwrap()).await;
        assert!(!finding.is_passed() && !finding.is_gone(), "{finding:?}");
    }

    #[tokio::test]
    async fn a_connection_to_itself_is_possible_which_is_why_connect_looks() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let own = socket.local_addr().unwrap();
        let stream = socket.connect(own).await.unwrap();
        assert_eq!(stream.local_addr().unwrap(), stream.peer_addr().unwrap());
    }
}
