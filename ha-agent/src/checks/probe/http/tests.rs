//! Against real listeners that behave and misbehave.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::checks::machine::Outcome;
use crate::checks::probe::{Prober, Report};
use crate::config::model::{Check, Probe};

/// A server that reads a request's headers and then does what `answer` says.
async fn serve<F>(answer: impl Fn(TcpStream, String) -> F + Send + 'static) -> HttpProbe
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => request.push(byte),
                    Err(_) => break,
                }
            }
            tokio::spawn(answer(stream, String::from_utf8(request).unwrap()));
        }
    });
    HttpProbe {
        address,
        path: "/health?full=1".into(),
        host: "www.example.org".into(),
        status: 200..=399,
        body: None,
        process: None,
    }
}

/// A server that says this and closes.
async fn say(answer: impl Into<Vec<u8>>) -> HttpProbe {
    let answer = answer.into();
    serve(move |mut stream, _| {
        let answer = answer.clone();
        async move {
            let _ = stream.write_all(&answer).await;
        }
    })
    .await
}

async fn run(probe: HttpProbe, timeout: Duration) -> Report {
    let check = Check {
        name: "web".into(),
        probe: Probe::Http(probe),
        interval: Duration::from_secs(1),
        timeout,
        fall: 2,
        rise: 2,
        restart: None,
    };
    Prober::new(&check).unwrap().run().await
}

async fn text(probe: HttpProbe) -> (bool, String) {
    let report = run(probe, Duration::from_secs(20)).await;
    (matches!(report.outcome, Outcome::Passed), report.text)
}

#[tokio::test]
async fn the_status_decides_within_the_configured_range() {
    for (status, range, passes) in [
        (200, 200..=399, true),
        (302, 200..=399, true),
        (404, 200..=399, false),
        (500, 200..=399, false),
        (204, 204..=204, true),
        (200, 204..=204, false),
        (503, 500..=599, true),
    ] {
        let answer = format!("HTTP/1.1 {status} Evil\x1b[2J words\r\nContent-Length: 0\r\n\r\n");
        let mut probe = say(answer.replace('\x1b', "")).await;
        probe.status = range;
        let (passed, text) = text(probe).await;
        assert_eq!(passed, passes, "{status}: {text}");
        assert!(
            text.contains(&status.to_string()) && !text.contains("Evil"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn the_request_carries_path_host_and_close() {
    let (told, mut heard) = tokio::sync::mpsc::channel(1);
    let probe = serve(move |mut stream, request| {
        let told = told.clone();
        async move {
            told.send(request).await.unwrap();
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n").await;
        }
    })
    .await;
    assert!(text(probe).await.0);
    let request = heard.recv().await.unwrap().to_lowercase();
    assert!(
        request.starts_with("get /health?full=1 http/1.1\r\n"),
        "{request}"
    );
    assert!(
        request.contains("\r\nhost: www.example.org\r\n"),
        "{request}"
    );
    assert!(request.contains("\r\nconnection: close\r\n"), "{request}");
    assert!(request.contains("\r\nuser-agent: ha-agent/"), "{request}");
}

#[tokio::test]
async fn the_text_is_found_across_pieces_and_only_within_the_first_64_kib() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                   4\r\nI am\r\n8\r\n healthy\r\n1\r\n!\r\n0\r\n\r\n";
    let body = |before: usize| {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", before + 12);
        [
            head.into_bytes(),
            vec![b'x'; before],
            b"I am healthy".to_vec(),
        ]
        .concat()
    };
    for (answer, found) in [
        (chunked.as_bytes().to_vec(), true),
        (body(0), true),
        (body(BODY_LIMIT - 12), true),
        (body(BODY_LIMIT - 11), false),
        (body(BODY_LIMIT), false),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsick".to_vec(),
            false,
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(),
            false,
        ),
    ] {
        let mut probe = say(answer).await;
        probe.body = Some("I am healthy".into());
        let (passed, text) = text(probe).await;
        assert_eq!(passed, found, "{text}");
    }
}

/// Server-sent events, a long poll, a download, a server that closes early.
#[tokio::test]
async fn without_a_text_to_look_for_the_status_decides_whatever_becomes_of_the_body() {
    let silent = |head: &'static str| {
        serve(move |mut stream, _| async move {
            let _ = stream.write_all(head.as_bytes()).await;
            std::future::pending::<()>().await;
        })
    };
    for probe in [
        silent("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await,
        silent("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhal").await,
        silent("HTTP/1.0 200 OK\r\n\r\n").await,
        say("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await,
    ] {
        assert_eq!(text(probe).await, (true, "status 200".to_owned()));
    }
}

#[tokio::test]
async fn an_endless_body_ends_the_probe_at_64_kib() {
    let mut probe = serve(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    })
    .await;
    probe.body = Some("healthy".into());
    let (passed, text) = text(probe).await;
    assert!(!passed && text.contains("first 64 KiB"), "{text}");
}

#[tokio::test]
async fn endless_headers_and_noise_are_refused() {
    let endless = serve(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX: ").await;
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    })
    .await;
    let many = "A: b\r\n".repeat(10_000);
    for probe in [
        endless,
        say(format!("HTTP/1.1 200 OK\r\n{many}\r\n")).await,
        say("SSH-2.0-OpenSSH_9.2\r\n").await,
        say(vec![0_u8; 100_000]).await,
    ] {
        let (passed, text) = text(probe).await;
        assert!(!passed, "{text}");
        assert!(!text.contains("SSH"), "{text}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_fails() {
    for answer in [
        "",
        "HTTP/1.1 200",
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
    ] {
        let mut probe = say(answer).await;
        probe.body = Some("healthy".into());
        let (passed, text) = text(probe).await;
        assert!(!passed, "{answer:?}: {text}");
    }
}

#[tokio::test]
async fn the_limit_covers_silence_and_dripping_headers_and_bodies() {
    let silent = serve(|stream, _| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let drip = |head: &'static str| {
        serve(move |mut stream, _| async move {
            let _ = stream.write_all(head.as_bytes()).await;
            while stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
    };
    for mut probe in [
        silent,
        drip("HTTP/1.1 200 OK\r\nX: ").await,
        drip("HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n").await,
    ] {
        probe.body = Some("healthy".into());
        let began = Instant::now();
        let report = run(probe, Duration::from_millis(300)).await;
        assert!(began.elapsed() >= Duration::from_millis(300));
        assert!(began.elapsed() < Duration::from_secs(10));
        assert!(!matches!(report.outcome, Outcome::Passed), "{report:?}");
        assert_eq!(report.text, "no answer within 300 ms");
    }
}

#[tokio::test]
async fn nobody_there_is_told_from_somebody_who_fails() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut probe = say("").await;
    let gone = |report: &Report| matches!(report.outcome, Outcome::Failed { gone: true, .. });
    assert!(!gone(&run(probe.clone(), Duration::from_secs(20)).await));
    probe.address = address;
    assert!(gone(&run(probe, Duration::from_secs(20)).await));
}
