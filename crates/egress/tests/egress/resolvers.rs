use std::{
    net::SocketAddr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use egress::{Config, Egress, Failure, Limits, Refused};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::support::{Hostile, LONG, Server, open, post};

const OK: &[u8] = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn a_name_that_turns_private_after_it_was_accepted_is_not_dialled() {
    let victim = Server::answering("127.0.0.1:0", OK).await;
    let resolver = Hostile::answering(&[&["127.0.0.1"]]);
    let client = Egress::with_resolver(&Config::default(), resolver.clone()).unwrap();

    // Accepted when it was saved: the name says nothing.
    let target = client.target("https://rebind.example.com/").unwrap();
    assert_eq!(resolver.asked.load(Ordering::SeqCst), 0, "{target:?}");

    let answer = post(&client, "https://rebind.example.com/", Limits::default()).await;
    assert_eq!(answer.unwrap_err(), Failure::Refused(Refused::Host));
    assert_eq!(victim.connections(), 0);
}

#[tokio::test]
async fn the_address_that_is_dialled_is_the_one_that_was_checked() {
    let checked = Server::answering("127.0.0.1:0", OK).await;
    let port = checked.address.port();
    let other = Server::answering(&format!("127.0.0.2:{port}"), OK).await;
    let resolver = Hostile::answering(&[&["127.0.0.1"], &["127.0.0.2"]]);
    let client = Egress::with_resolver(&open(), resolver.clone()).unwrap();

    let url = format!("http://rebind.example.com:{port}/");
    post(&client, &url, Limits::default()).await.unwrap();

    assert_eq!(resolver.asked.load(Ordering::SeqCst), 1, "nobody asked again after the check");
    assert_eq!((checked.connections(), other.connections()), (1, 0));
}

#[tokio::test]
async fn dns_that_is_private_the_second_time_is_refused_the_second_time() {
    let server = Server::answering("127.0.0.1:0", OK).await;
    let resolver = Hostile::answering(&[&["127.0.0.1"], &["169.254.169.254"], &["10.0.0.1"]]);
    let client = Egress::with_resolver(&open(), resolver).unwrap();

    let url = format!("http://rebind.example.com:{}/", server.address.port());
    post(&client, &url, Limits::default()).await.unwrap();
    for _ in 0..2 {
        let again = post(&client, &url, Limits::default()).await;
        assert_eq!(again.unwrap_err(), Failure::Refused(Refused::Host));
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn one_private_address_among_public_ones_is_enough_to_refuse() {
    let mixed: &[&[&str]] = &[
        &["93.184.216.34", "127.0.0.1"],
        &["10.0.0.1", "93.184.216.34"],
        &["2606:4700::1111", "::1"],
        &["2606:4700::1111", "::ffff:10.0.0.1"],
        &["64:ff9b::a00:1"],
        &["93.184.216.34", "fd00:ec2::254"],
    ];
    for answer in mixed {
        let client =
            Egress::with_resolver(&Config::default(), Hostile::answering(&[answer])).unwrap();
        let refused = post(&client, "https://mixed.example.com/", Limits::default()).await;
        assert_eq!(refused.unwrap_err(), Failure::Refused(Refused::Host), "{answer:?}");
    }
}

#[tokio::test]
async fn what_is_refused_is_named_without_telling_what_the_network_looks_like() {
    let resolver = Hostile::answering(&[&["10.11.12.13"]]);
    let client = Egress::with_resolver(&Config::default(), resolver).unwrap();
    let refused = post(&client, "https://example.com/", Limits::default()).await.unwrap_err();
    assert_eq!(refused.to_string(), "the host of the URL is not public");
    assert!(!format!("{refused:?}").contains("10.11"), "{refused:?}");
}

/// Neither answers nor fails.
struct Silent;

impl Resolve for Silent {
    fn resolve(&self, _: Name) -> Resolving {
        Box::pin(std::future::pending())
    }
}

/// Knows nothing.
struct Ignorant;

impl Resolve for Ignorant {
    fn resolve(&self, _: Name) -> Resolving {
        Box::pin(async { Err("NXDOMAIN".into()) })
    }
}

/// Says that there is a host, but nowhere.
struct Empty;

impl Resolve for Empty {
    fn resolve(&self, _: Name) -> Resolving {
        Box::pin(async { Ok(Box::new(std::iter::empty::<SocketAddr>()) as Addrs) })
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_resolver_costs_no_more_than_the_time_to_connect() {
    let client = Egress::with_resolver(&Config::default(), Arc::new(Silent)).unwrap();
    let before = tokio::time::Instant::now();
    let answer = post(&client, "https://example.com/", Limits::default()).await;
    assert_eq!(answer.unwrap_err(), Failure::TimedOut);
    assert!(before.elapsed() < Duration::from_secs(6), "{:?}", before.elapsed());
}

#[tokio::test]
async fn a_name_without_addresses_is_unresolved_and_may_be_resolved_the_next_time() {
    let client = Egress::with_resolver(&Config::default(), Arc::new(Ignorant)).unwrap();
    let answer = post(&client, "https://example.com/", Limits::default()).await;
    assert_eq!(answer.unwrap_err(), Failure::Unresolved);

    let client = Egress::with_resolver(&Config::default(), Arc::new(Empty)).unwrap();
    let answer = post(&client, "https://example.com/", Limits::default()).await;
    assert!(matches!(answer.unwrap_err(), Failure::Unresolved | Failure::Unreachable));
}

#[tokio::test]
async fn more_lookups_than_there_is_room_for_all_get_their_turn() {
    // The system's resolver knows this name without asking anybody.
    let client = Egress::new(&open()).unwrap();
    let server = Server::answering("127.0.0.1:0", OK).await;
    let url = format!("http://localhost:{}/", server.address.port());
    let calls = (0..100).map(|_| {
        let (client, url) = (client.clone(), url.clone());
        tokio::spawn(async move { post(&client, &url, Limits { time: LONG, body: 0 }).await })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap().unwrap();
    }
}
