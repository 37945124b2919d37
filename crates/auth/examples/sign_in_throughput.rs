//! How much of the machine signing in leaves for hashing: sign-ins a second over HTTP against a real
//! Postgres, beside bare argon2id hashes a second on as many cores.
//!
//! `cargo run --release -p auth --example sign_in_throughput`

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version};
use serde_json::json;
use testing::{PASSWORD, TestApp};

const MEASURED: Duration = Duration::from_secs(8);
const AT_ONCE: usize = 32;

#[tokio::main]
async fn main() {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut rounds = Vec::new();
    for _ in 0..2 {
        let raw = tokio::task::spawn_blocking(move || raw_hashes(cores)).await.expect("hash");
        let signed_in = sign_ins().await;
        rounds.push((raw, signed_in));
    }
    for (raw, signed_in) in rounds {
        println!(
            "{cores} cores: {raw:.1} hashes/s, {signed_in:.1} sign-ins/s, ratio {:.2}",
            signed_in / raw
        );
    }
}

fn raw_hashes(cores: usize) -> f64 {
    let params = Params::new(19 * 1024, 2, 1, None).expect("parameters");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let done = AtomicUsize::new(0);
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                while began.elapsed() < MEASURED {
                    argon2.hash_password(PASSWORD.as_bytes()).expect("hash");
                    done.fetch_add(1, Relaxed);
                }
            });
        }
    });
    rate(&done, began)
}

async fn sign_ins() -> f64 {
    let app = Arc::new(TestApp::start().await);
    let mut emails = Vec::new();
    for _ in 0..AT_ONCE {
        emails.push(app.owner().await.email);
    }
    let done = Arc::new(AtomicUsize::new(0));
    let began = Instant::now();
    let clients = emails.into_iter().map(|email| {
        let (app, done) = (app.clone(), done.clone());
        tokio::spawn(async move {
            let credentials = json!({ "email": email, "password": PASSWORD });
            while began.elapsed() < MEASURED {
                app.anonymous().post("/v1/sessions", credentials.clone()).await.ok();
                done.fetch_add(1, Relaxed);
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.expect("sign in");
    }
    rate(&done, began)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn rate(done: &AtomicUsize, began: Instant) -> f64 {
    done.load(Relaxed) as f64 / began.elapsed().as_secs_f64()
}
