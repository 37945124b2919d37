//! How long answers take tells nobody who has an account.

use std::time::{Duration, Instant};

use argon2::PasswordHasher;
use chrono::TimeDelta;
use serde_json::json;
use testing::{PASSWORD, TestApp};

use crate::{ADA, execute, sign_in, verified};

/// The quickest of several tries: whatever else the machine does only makes tries slower.
async fn quickest(tries: usize, mut one: impl AsyncFnMut()) -> Duration {
    let mut quickest = Duration::MAX;
    for _ in 0..tries {
        let began = Instant::now();
        one().await;
        quickest = quickest.min(began.elapsed());
    }
    quickest
}

#[tokio::test]
async fn an_unknown_address_and_a_wrong_password_take_one_hash_each() {
    let app = TestApp::start().await;
    verified(&app, ADA).await;
    let mut hash_one = async || {
        let params = argon2::Params::new(19 * 1024, 2, 1, None).unwrap();
        let hashed = argon2::Argon2::from(params).hash_password(b"not the right one");
        assert!(hashed.is_ok());
    };
    let sign_in = async |email| {
        assert_eq!(sign_in(&app, email, "not the right one").await.status, 401);
    };

    let [mut hash, mut wrong, mut unknown] = [Duration::MAX; 3];
    for tries in 1.. {
        hash = hash.min(quickest(1, &mut hash_one).await);
        wrong = wrong.min(quickest(1, async || sign_in(ADA).await).await);
        unknown = unknown.min(quickest(1, async || sign_in("nobody@example.com").await).await);
        // The machine may have been busy with something else whenever a hash was timed.
        if tries >= 5 && wrong.min(unknown) > hash / 2 {
            return;
        }
        assert!(tries < 500, "{wrong:?} and {unknown:?}, a hash takes {hash:?}");
    }
}

/// Whether both take the same time, to a fifth, at their quickest: the more tries, the nearer that
/// comes to what each takes by itself.
async fn take_alike(mut one: impl AsyncFnMut(), mut other: impl AsyncFnMut()) -> bool {
    let (mut first, mut second) = (Duration::MAX, Duration::MAX);
    for tries in 1..=500 {
        // Twice each, so that neither is always hashed by the same thread.
        first = first.min(quickest(2, &mut one).await);
        second = second.min(quickest(2, &mut other).await);
        if tries >= 10 && first.abs_diff(second) * 5 < first.max(second) {
            return true;
        }
    }
    eprintln!("{first:?} and {second:?}");
    false
}

#[tokio::test]
async fn neither_signing_in_nor_registering_tells_by_a_hash_who_has_an_account() {
    let app = TestApp::start().await;
    verified(&app, ADA).await;
    let wrong = async |email: &str| {
        assert_eq!(sign_in(&app, email, "not the right one").await.status, 401);
    };
    let unknown = async || wrong("nobody@example.com").await;
    assert!(take_alike(async || wrong(ADA).await, unknown).await, "a wrong password");
    let n = std::cell::Cell::new(0);
    let register = async |email: String| {
        // An address is registered once a minute.
        app.advance(TimeDelta::minutes(2));
        let new = json!({ "email": email, "password": PASSWORD, "name": "Ada" });
        assert_eq!(app.anonymous().post("/v1/users", new).await.status, 202);
    };
    let new = async || {
        n.set(n.get() + 1);
        register(format!("new{}@example.com", n.get())).await;
    };
    let taken = async || register(ADA.to_owned()).await;
    assert!(take_alike(new, taken).await, "registering");
    execute(&app, "update users set password_hash = null").await;
    assert!(take_alike(async || wrong(ADA).await, unknown).await, "without a password");
}
