use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use axum::{
    Extension, Router,
    body::{Body, Bytes},
    extract::Request,
    middleware::from_fn_with_state,
    response::Response,
    routing::get,
};
use db::Db;
use futures::{future::join_all, stream};
use rate_limit::{Config, RateLimit, Switch, limit};
use tower::ServiceExt;
use web::{Access, Caller, ClientIp, Identity, Permission, RateClass};

/// One of several instances over one database, and one Redis, if there is one.
pub(crate) fn instance(db: &Db, redis_url: Option<&str>) -> RateLimit {
    let redis_url = redis_url.map(Into::into);
    RateLimit::new(&Config { rate_limits: Switch::On, redis_url }, db.clone()).unwrap()
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

/// Asks from ever new addresses until `is_so`, which must happen soon.
pub(crate) async fn eventually(limits: &RateLimit, is_so: impl AsyncFn() -> bool) {
    let began = Instant::now();
    for number in 0_u32.. {
        ask(limits, &std::net::Ipv4Addr::from(0x0A00_0000 + number).to_string()).await;
        if is_so().await {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "it does not happen");
    }
}
