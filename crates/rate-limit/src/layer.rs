use axum::{
    extract::{Request, State},
    http::Extensions,
    middleware::Next,
    response::{IntoResponse, Response},
};
use kernel::{Id, Org};
use web::{Access, Identity};

use crate::{PassedLimit, RateLimit, admission::Admission, charge::Charge, passed, policy};

/// Middleware, between finding out who calls and deciding whether they may: refuses requests that
/// come too often, unless they are operators' own, and tells every caller where they stand.
pub async fn limit(State(limits): State<RateLimit>, mut request: Request, next: Next) -> Response {
    let Some(access) = request.extensions().get::<Access>().copied() else {
        return next.run(request).await; // It reaches no operation.
    };
    let charges = Charge::all(access, request.extensions());
    match limits.admit(&charges, calls(access, request.extensions())).await {
        Ok(admission) => admission.attach(next.run(request).await),
        Err(standing) if let Some(operator) = passed::operator(access, request.extensions()) => {
            let told = limits.admit(&[Charge::of_passing(operator)], None).await.is_ok();
            if told {
                let policy = standing.policy;
                request.extensions_mut().insert(PassedLimit { operator, policy });
            }
            next.run(request).await
        }
        Err(standing) => {
            metrics::counter!("rate_limited_total", "policy" => standing.policy).increment(1);
            if limits.only_observes() {
                return Admission::observed(standing).attach(next.run(request).await);
            }
            standing.refusal().into_response()
        }
    }
}

/// Whose AI call a request begins, and how many they may have in flight.
fn calls(access: Access, request: &Extensions) -> Option<(Id<Org>, u32)> {
    let Some(Identity::Known(caller)) = request.get() else { return None };
    policy::calls_at_once(access.class, caller.tier).map(|limit| (caller.org, limit))
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        num::NonZeroU32,
        sync::{
            Arc,
            atomic::{AtomicU32, Ordering::Relaxed},
        },
        time::Duration,
    };

    use axum::{
        Extension, Router,
        body::{Body, Bytes},
        extract::Request,
        http::HeaderMap,
        middleware::from_fn_with_state,
        routing::get,
    };
    use chrono::DateTime;
    use db::Db;
    use kernel::{Clock, Id};
    use sqlx::postgres::PgPoolOptions;
    use tower::ServiceExt;
    use uuid::Uuid;
    use web::{
        Access, Caller, ClientIp, Credential, Identity, Operator, Permission, Problem, RateClass,
        Role, Scopes, Tier,
    };

    use crate::{Config, PassedLimit, Quota, RateLimit, Switch, limit, standing::Standing};

    const READ: Permission = Permission::read("things:read");

    /// The answer's status and headers to one request to an operation with `access`.
    async fn call(
        limits: &RateLimit,
        access: Access,
        identity: Identity,
        ip: &str,
    ) -> (u16, HeaderMap) {
        let app = Router::new()
            .route("/", get(async || "served"))
            .layer(from_fn_with_state(limits.clone(), limit))
            .layer((
                Extension(access),
                Extension(identity),
                Extension(ClientIp(ip.parse().unwrap())),
            ));
        let response = app.oneshot(Request::new(Body::empty())).await.unwrap();
        (response.status().as_u16(), response.headers().clone())
    }

    async fn exhaust(limits: &RateLimit, access: Access, identity: &Identity, ip: &str) {
        while call(limits, access, identity.clone(), ip).await.0 == 200 {}
    }

    /// In memory; the database is asked for nothing.
    fn limits_switched(rate_limits: Switch) -> RateLimit {
        let db = Db::new(PgPoolOptions::new().connect_lazy("postgres://nowhere").unwrap());
        let config = Config { rate_limits, redis_url: None, redis_timeout_ms: 50 };
        // No quota comes back by itself.
        RateLimit::new(&config, db, Clock::frozen_at(DateTime::UNIX_EPOCH)).unwrap()
    }

    fn limits() -> RateLimit {
        limits_switched(Switch::On)
    }

    fn operator() -> Identity {
        Identity::Operator(Operator { id: Id::from(Uuid::nil()), session: Uuid::nil() })
    }

    fn caller(tier: Tier, key: Option<Id<kernel::ApiKey>>) -> Caller {
        let credential = match key {
            None => Credential::Session(Uuid::nil()),
            Some(id) => Credential::Key { id, scopes: Scopes([].into()), per_minute: None },
        };
        Caller { user: Id::new(), org: Id::new(), role: Role::Owner, tier, credential }
    }

    #[tokio::test]
    async fn every_limited_answer_tells_the_policy_and_what_is_left_of_it() {
        let chat = Access::to(READ).limited_as(RateClass::Chat);
        let pro = Identity::Known(caller(Tier::Pro, None));
        let (status, headers) = call(&limits(), chat, pro, "192.0.2.1").await;
        assert_eq!(status, 200);
        assert_eq!(headers["ratelimit-policy"], "\"chat\";q=150;w=60");
        assert_eq!(headers["ratelimit"], "\"chat\";r=149;t=1");
    }

    #[tokio::test]
    async fn strangers_are_counted_by_network_whatever_address_of_it_they_use() {
        let limits = limits();
        let reset = Access::public().limited_as(RateClass::PasswordReset);
        exhaust(&limits, reset, &Identity::Anonymous, "2001:db8:1:2::1").await;

        let (status, headers) =
            call(&limits, reset, Identity::Anonymous, "2001:db8:1:2:ffff::9").await;
        assert_eq!(status, 429);
        assert_eq!(
            headers["ratelimit"],
            format!("\"password-reset\";r=0;t={}", headers["retry-after"].to_str().unwrap())
        );
        assert_eq!(call(&limits, reset, Identity::Anonymous, "2001:db8:1:3::1").await.0, 200);
    }

    #[tokio::test]
    async fn credentials_that_do_not_hold_count_against_the_network() {
        let limits = limits();
        let write = Access::to(READ).limited_as(RateClass::ProjectWrites);
        let refused = Identity::Refused(Problem::unauthenticated());
        exhaust(&limits, write, &refused, "192.0.2.1").await;
        assert_eq!(call(&limits, write, Identity::Anonymous, "192.0.2.1").await.0, 429);
        assert_eq!(call(&limits, write, refused, "192.0.2.2").await.0, 200);
    }

    #[tokio::test]
    async fn a_stock_of_accounts_gives_no_further_attempts_at_signing_in() {
        let limits = limits();
        let sign_in = Access::public().limited_as(RateClass::Auth);
        exhaust(&limits, sign_in, &Identity::Anonymous, "192.0.2.1").await;
        let known = Identity::Known(caller(Tier::Agency, None));
        assert_eq!(call(&limits, sign_in, known, "192.0.2.1").await.0, 429);
    }

    #[tokio::test]
    async fn people_and_orgs_have_limits_of_their_own_but_more_keys_are_not_more_requests() {
        let limits = limits();
        let write = Access::to(READ).limited_as(RateClass::ProjectWrites);
        let person = caller(Tier::Free, None);
        exhaust(&limits, write, &Identity::Known(person.clone()), "192.0.2.1").await;

        let elsewhere = Caller { org: Id::new(), ..person.clone() };
        for other in [caller(Tier::Free, None), elsewhere] {
            assert_eq!(call(&limits, write, Identity::Known(other), "192.0.2.1").await.0, 200);
        }
        let key = caller(Tier::Free, Some(Id::new())).credential;
        let by_key = Caller { credential: key, ..person.clone() };
        for same in [person, by_key] {
            assert_eq!(call(&limits, write, Identity::Known(same), "192.0.2.9").await.0, 429);
        }
    }

    #[tokio::test]
    async fn all_people_of_an_org_have_together_four_times_what_one_has() {
        let limits = limits();
        let write = Access::to(READ).limited_as(RateClass::ProjectWrites);
        let first = caller(Tier::Free, None);
        let people = (0..9).map(|_| Caller { user: Id::new(), ..first.clone() });
        let mut served = 0;
        for person in people {
            let identity = Identity::Known(person);
            for _ in 0..4 {
                let (status, headers) = call(&limits, write, identity.clone(), "192.0.2.1").await;
                served += u32::from(status == 200);
                let named = headers["ratelimit"].to_str().unwrap().contains("project-writes-org");
                assert!(status == 200 || named, "{headers:?}");
            }
        }
        assert_eq!(served, 20);
    }

    #[tokio::test]
    async fn a_key_with_a_limit_of_its_own_has_no_more_and_takes_nothing_from_its_maker() {
        let limits = limits();
        let mut by_key = caller(Tier::Free, Some(Id::new()));
        if let Credential::Key { per_minute, .. } = &mut by_key.credential {
            *per_minute = NonZeroU32::new(2);
        }
        let access = Access::to(READ);
        exhaust(&limits, access, &Identity::Known(by_key.clone()), "192.0.2.1").await;
        let (status, headers) =
            call(&limits, access, Identity::Known(by_key.clone()), "192.0.2.1").await;
        assert_eq!(status, 429);
        assert_eq!(headers["ratelimit-policy"], "\"api-key\";q=2;w=60");

        let person = Caller { credential: Credential::Session(Uuid::nil()), ..by_key };
        let (status, headers) = call(&limits, access, Identity::Known(person), "192.0.2.1").await;
        assert_eq!((status, &headers["ratelimit"]), (200, &"\"api\";r=97;t=1".parse().unwrap()));
    }

    #[tokio::test]
    async fn operators_pass_every_limit_where_only_they_may_do_something_and_it_is_told_once() {
        let limits = limits();
        let told = Arc::new(AtomicU32::default());
        let notes = told.clone();
        let note = async move |passed: Option<Extension<PassedLimit>>| {
            notes.fetch_add(passed.map_or(0, |it| u32::from(it.policy == "api")), Relaxed);
        };
        let app = Router::new()
            .route("/", get(note))
            .layer(from_fn_with_state(limits.clone(), limit))
            .layer((Extension(Access::operators()), Extension(operator())));
        for _ in 0..150 {
            let asked = app.clone().oneshot(Request::new(Body::empty()));
            assert_eq!(asked.await.unwrap().status(), 200);
        }
        assert_eq!(told.load(Relaxed), 1);
        exhaust(&limits, Access::operators(), &Identity::Anonymous, "192.0.2.1").await;
        assert_eq!(call(&limits, Access::operators(), operator(), "192.0.2.1").await.0, 200);
    }

    #[tokio::test]
    async fn an_operator_among_customers_counts_by_network_like_anybody() {
        let limits = limits();
        let write = Access::to(READ).limited_as(RateClass::ProjectWrites);
        exhaust(&limits, write, &operator(), "192.0.2.1").await;
        assert_eq!(call(&limits, write, Identity::Anonymous, "192.0.2.1").await.0, 429);
        assert_eq!(call(&limits, write, operator(), "192.0.2.2").await.0, 200);
    }

    #[tokio::test]
    async fn a_stream_is_in_flight_until_its_answer_is_dropped_and_an_answer_until_it_is_made() {
        let limits = limits();
        let streams = Router::new().route(
            "/",
            get(
                async || Body::from_stream(futures::stream::pending::<Result<Bytes, Infallible>>()),
            ),
        );
        let answers = Router::new().route("/", get(async || "served"));
        let chat = Extension(Access::to(READ).limited_as(RateClass::Chat));
        let known = Extension(Identity::Known(caller(Tier::Free, None)));
        let layered = |app: Router| {
            let limit = from_fn_with_state(limits.clone(), limit);
            app.layer(limit).layer((chat, known.clone()))
        };
        let (streams, answers) = (layered(streams), layered(answers));
        let ask = |app: &Router| app.clone().oneshot(Request::new(Body::empty()));

        let mut open = Vec::new();
        for _ in 0..5 {
            ask(&answers).await.unwrap();
            open.push(ask(&streams).await.unwrap());
        }
        let refused = ask(&answers).await.unwrap();
        assert_eq!(refused.status(), 429);
        assert_eq!(
            refused.headers()["ratelimit-policy"],
            "\"calls-at-once\";q=5;qu=\"concurrent-requests\""
        );
        open.pop();
        assert_eq!(ask(&answers).await.unwrap().status(), 200);
    }

    #[tokio::test]
    async fn probes_and_provider_webhooks_always_get_through_without_headers() {
        let probe = Access::public().limited_as(RateClass::Unlimited);
        let limits = limits();
        for _ in 0..200 {
            let (status, headers) = call(&limits, probe, Identity::Anonymous, "192.0.2.1").await;
            assert_eq!((status, headers.contains_key("ratelimit")), (200, false));
        }
    }

    #[tokio::test]
    async fn the_limit_that_refused_is_told_rather_than_the_one_around_it() {
        let window = Duration::from_secs(9);
        let narrow =
            Standing { policy: "login", quota: Quota::per_minute(5), remaining: 0, window };
        let app = Router::new()
            .route("/", get(async move || narrow.refusal()))
            .layer(from_fn_with_state(limits(), limit))
            .layer(Extension(Access::public().limited_as(RateClass::Auth)));
        let response = app.oneshot(Request::new(Body::empty())).await.unwrap();
        assert_eq!(response.headers()["ratelimit"], "\"login\";r=0;t=9");
        assert_eq!(response.headers()["ratelimit-policy"], "\"login\";q=5;w=60");
    }

    #[tokio::test]
    async fn observed_traffic_is_counted_and_told_and_not_refused() {
        let limits = limits_switched(Switch::Observe);
        let reset = Access::public().limited_as(RateClass::PasswordReset);
        for left in [2, 1, 0, 0, 0] {
            let (status, headers) = call(&limits, reset, Identity::Anonymous, "192.0.2.1").await;
            let told = headers["ratelimit"].to_str().unwrap().to_owned();
            assert_eq!(status, 200);
            assert!(told.starts_with(&format!("\"password-reset\";r={left};")), "{told}");
        }
    }

    #[tokio::test]
    async fn switched_off_nothing_is_counted() {
        let limits = limits_switched(Switch::Off);
        let reset = Access::public().limited_as(RateClass::PasswordReset);
        for _ in 0..20 {
            assert_eq!(call(&limits, reset, Identity::Anonymous, "192.0.2.1").await.0, 200);
        }
    }
}
