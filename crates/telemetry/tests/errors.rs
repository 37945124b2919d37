//! What reaches Sentry, which is a socket here.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use clap::Parser;
use kernel::Environment;

const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    telemetry: telemetry::Config,
}

/// Takes requests, answers each with 200, hands out the bodies.
fn sink() -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (send, received) = channel();
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let body = body(&mut stream);
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}");
            let _ = send.send(body);
        }
    });
    (port, received)
}

fn body(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .to_lowercase()
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
            if Some(body.len()) >= length {
                return body.to_owned();
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return text,
            Ok(read) => request.extend_from_slice(&chunk[..read]),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_and_panics_are_reported_once_with_their_request_and_without_addresses() {
    let (port, received) = sink();
    let dsn = format!("--sentry-dsn=http://key@127.0.0.1:{port}/1");
    let flags = ["test", "--log-format=json", "--metrics-addr=off", &dsn];
    let config = Settings::parse_from(flags).telemetry;
    let guard = telemetry::init(&config, Environment::Staging, "slipway@1.2.3").unwrap();
    let second = telemetry::init(&config, Environment::Staging, "slipway@1.2.3").unwrap();
    drop(second);

    let request = tracing::info_span!("request", request_id = "r-17").entered();
    tracing::info!("opened by canary@x.example");
    tracing::error!(address = "canary@x.example", "cannot deliver");
    drop(request);
    thread::spawn(|| panic!("lost canary@x.example")).join().unwrap_err();
    drop(guard);

    // Two reports are sent; a third would be one of them again.
    let [error, panic] = [(); 2].map(|()| received.recv_timeout(PATIENCE).expect("a report"));
    assert!(received.try_recv().is_err());
    for report in [&error, &panic] {
        assert!(!report.contains("canary"), "{report}");
        assert!(
            report.contains(r#""slipway@1.2.3""#) && report.contains(r#""staging""#),
            "{report}"
        );
    }
    for part in ["cannot deliver", "r-17", "opened by"] {
        assert!(error.contains(part), "{part} is missing in {error}");
    }
    assert!(panic.contains(r#""type":"panic""#) && panic.contains("lost"), "{panic}");
}
