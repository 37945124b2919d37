use std::{
    convert::Infallible,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use axum::{
    Extension, Router,
    body::{Body, Bytes},
    extract::Request,
    middleware::from_fn_with_state,
    response::Response,
    routing::get,
};
use futures::{future::join_all, stream};
use kernel::Clock;
use rate_limit::{Config, RateLimit, Switch, limit};
use testing::TestApp;
use tower::ServiceExt;
use web::{Access, Caller, ClientIp, Identity, Permission, RateClass};

/// One of several instances over one database. Its time stands still, so that no quota comes back by itself.
pub(crate) fn instance(app: &TestApp) -> RateLimit {
    let config = Config { rate_limits: Switch::On, redis_url: None, redis_timeout_ms: 50 };
    RateLimit::new(&config, app.db.clone(), app.clock.clone()).unwrap()
}

/// One over a Redis, too, for which it waits as long as `redis_timeout_ms` says. Its time is real: after a
/// pause it asks again.
pub(crate) fn instance_over(app: &TestApp, redis_url: &str, redis_timeout_ms: u64) -> RateLimit {
    let redis_url = Some(redis_url.into());
    let config = Config { rate_limits: Switch::On, redis_url, redis_timeout_ms };
    RateLimit::new(&config, app.db.clone(), Clock::System).unwrap()
}

/// What `limits` answer to a stranger from `ip` who asks for something of a class of which five a
/// minute are allowed.
pub(crate) async fn ask(limits: &RateLimit, ip: &str) -> Response {
    let app = Router::new()
        .route("/", get(async || "served"))
        .layer(from_fn_with_state(limits.clone(), limit))
        .layer((
            Extension(Access::public().limited_as(RateClass::ProjectWrites)),
            Extension(Identity::Anonymous),
            Extension(ClientIp(ip.parse().unwrap())),
        ));
    app.oneshot(Request::new(Body::empty())).await.unwrap()
}

/// The answer to a chat of `caller` that goes on until it is dropped.
pub(crate) async fn chat(limits: &RateLimit, caller: &Caller) -> Response {
    let endless = async || Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    let app = Router::new()
        .route("/", get(endless))
        .layer(from_fn_with_state(limits.clone(), limit))
        .layer((
            Extension(Access::to(Permission::read("chat")).limited_as(RateClass::Chat)),
            Extension(Identity::Known(caller.clone())),
        ));
    app.oneshot(Request::new(Body::empty())).await.unwrap()
}

/// How many of 30 requests at once, to all instances in turn, are served. All others are refused.
pub(crate) async fn served(instances: &[&RateLimit], ip: &str) -> usize {
    let asked = instances.iter().cycle().take(30).map(|limits| ask(limits, ip));
    let statuses: Vec<u16> = join_all(asked).await.iter().map(|it| it.status().as_u16()).collect();
    assert!(statuses.iter().all(|status| [200, 429].contains(status)), "{statuses:?}");
    statuses.iter().filter(|status| **status == 200).count()
}

/// Asks from ever new addresses until `is_so`.
pub(crate) async fn eventually(limits: &RateLimit, is_so: impl AsyncFn() -> bool) {
    let number = AtomicU32::new(0x0A00_0000);
    testing::eventually("it is so", async || {
        let address = std::net::Ipv4Addr::from(number.fetch_add(1, Relaxed));
        ask(limits, &address.to_string()).await;
        is_so().await
    })
    .await;
}
