use std::{io::Write, time::Duration};

use egress::{Config, Egress, Failure, Limits, Refused};
use flate2::{Compression, write::GzEncoder};
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

use crate::support::{LONG, Server, open, post};

/// Enough for an answer that is there, so that a test of one that is not ends soon.
const SHORT: Limits = Limits { time: Duration::from_millis(300), body: 1024 };
const PATIENT: Limits = Limits { time: LONG, body: 1024 };

#[tokio::test]
async fn a_redirection_is_an_answer_and_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let victim = Server::answering("127.0.0.1:0", b"HTTP/1.1 204 No Content\r\n\r\n").await;
        let location = victim.url();
        let receiver = Server::start("127.0.0.1:0", move |mut stream: TcpStream| {
            let answer = format!(
                "HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
            );
            async move { stream.write_all(answer.as_bytes()).await }
        });
        let receiver = receiver.await;
        let client = Egress::new(&open()).unwrap();

        let answer = post(&client, &receiver.url(), PATIENT).await.unwrap();

        assert_eq!(answer.status.as_u16(), status);
        assert_eq!(victim.connections(), 0, "{status} was followed");
    }
}

#[tokio::test]
async fn a_body_without_an_end_is_cut_off() {
    let receiver = Server::start("127.0.0.1:0", async |mut stream: TcpStream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n").await?;
        loop {
            stream.write_all(&[b'x'; 8192]).await?;
        }
    });
    let receiver = receiver.await;
    let client = Egress::new(&open()).unwrap();

    let answer = post(&client, &receiver.url(), PATIENT).await.unwrap();

    assert_eq!((answer.body.len(), answer.truncated), (1024, true));
}

#[tokio::test]
async fn a_body_that_trickles_ends_in_time() {
    let receiver = Server::start("127.0.0.1:0", async |mut stream: TcpStream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").await?;
        // It is never silent for as long as an answer may take.
        loop {
            stream.write_all(b"x").await?;
            tokio::time::sleep(SHORT.time / 6).await;
        }
    });
    let receiver = receiver.await;
    let client = Egress::new(&open()).unwrap();
    assert_eq!(post(&client, &receiver.url(), SHORT).await.unwrap_err(), Failure::TimedOut);
}

#[tokio::test]
async fn a_server_that_never_answers_is_left_in_time() {
    let receiver =
        Server::start("127.0.0.1:0", async |_stream: TcpStream| std::future::pending().await);
    let receiver = receiver.await;
    let client = Egress::new(&open()).unwrap();
    assert_eq!(post(&client, &receiver.url(), SHORT).await.unwrap_err(), Failure::TimedOut);
}

#[tokio::test]
async fn headers_without_an_end_are_refused() {
    let receiver = Server::start("127.0.0.1:0", async |mut stream: TcpStream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\nX-Long: ").await?;
        loop {
            stream.write_all(&[b'x'; 8192]).await?;
        }
    });
    let long = receiver.await;
    let receiver = Server::start("127.0.0.1:0", async |mut stream: TcpStream| {
        stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
        loop {
            stream.write_all(b"X-Many: x\r\n").await?;
        }
    });
    let many = receiver.await;
    let client = Egress::new(&open()).unwrap();
    for receiver in [long, many] {
        let answer = timeout(LONG, post(&client, &receiver.url(), PATIENT)).await;
        assert_eq!(answer.expect("it ends by itself").unwrap_err(), Failure::Unreadable);
    }
}

#[tokio::test]
async fn what_is_packed_stays_packed() {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(&vec![0; 10_000_000]).unwrap();
    let packed = packed.finish().unwrap();
    let bomb = packed.clone();
    let receiver = Server::start("127.0.0.1:0", move |mut stream: TcpStream| {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
            bomb.len()
        );
        let bomb = bomb.clone();
        async move {
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&bomb).await
        }
    });
    let receiver = receiver.await;
    let client = Egress::new(&open()).unwrap();
    let limits = Limits { time: LONG, body: 100_000 };

    let answer = post(&client, &receiver.url(), limits).await.unwrap();

    assert_eq!(answer.body, packed, "a few kilobytes, as they came");
}

#[tokio::test]
async fn what_is_not_http_or_breaks_off_is_unreadable() {
    let client = Egress::new(&open()).unwrap();
    for answer in [&b"+PONG\r\n"[..], b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"] {
        let receiver = Server::answering("127.0.0.1:0", answer).await;
        let failed = post(&client, &receiver.url(), PATIENT).await.unwrap_err();
        assert_eq!(failed, Failure::Unreadable, "{answer:?}");
    }
}

#[tokio::test]
async fn a_server_without_tls_is_insecure_and_none_at_all_unreachable() {
    let client = Egress::new(&open()).unwrap();
    let plain = Server::answering("127.0.0.1:0", b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let failed = post(&client, &plain.url().replace("http:", "https:"), PATIENT).await;
    assert_eq!(failed.unwrap_err(), Failure::Insecure);

    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let failed = post(&client, &format!("http://{gone}/"), PATIENT).await;
    assert_eq!(failed.unwrap_err(), Failure::Unreachable);
}

#[tokio::test]
async fn a_private_address_is_refused_when_it_is_called_too() {
    let victim = Server::answering("127.0.0.1:0", b"HTTP/1.1 204 No Content\r\n\r\n").await;
    let port = victim.address.port();
    let config = Config { egress_ports: vec![port], ..Config::default() };
    // The resolver is not asked for these, whatever they look like.
    let client = Egress::new(&config).unwrap();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "localhost",
        "x.localhost",
    ] {
        let answer = post(&client, &format!("https://{host}:{port}/"), PATIENT).await;
        assert_eq!(answer.unwrap_err(), Failure::Refused(Refused::Host), "{host}");
    }
    assert_eq!(victim.connections(), 0);
}
