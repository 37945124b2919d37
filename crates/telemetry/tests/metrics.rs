//! What Prometheus reads.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
};

use clap::Parser;
use kernel::Environment;

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    telemetry: telemetry::Config,
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_served_at_their_own_address() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let flag = format!("--metrics-addr={address}");
    let config = Settings::parse_from(["test", &flag]).telemetry;
    let _guard = telemetry::init(&config, Environment::Development, "slipway@1.2.3").unwrap();
    metrics::counter!("things_total", "kind" => "new\nline").increment(3);

    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(r#"things_total{kind="new\nline"} 3"#), "{answer}");
}
