use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use web::Access;

use crate::{RateLimit, limiter::Limiter, subject::Subject};

/// Middleware, between finding out who calls and deciding whether they may: refuses requests that
/// come too often, and tells every caller where they stand.
pub async fn limit(State(limits): State<RateLimit>, request: Request, next: Next) -> Response {
    let Some((limiter, subject)) = limits.applicable(&request) else {
        return next.run(request).await;
    };
    match limiter.check(subject) {
        Ok(standing) => {
            let mut response = next.run(request).await;
            for (name, value) in standing.headers() {
                // A narrower limit, met behind this one, is the one to be told about.
                response.headers_mut().entry(name).or_insert(value);
            }
            response
        }
        Err(standing) => standing.refusal().into_response(),
    }
}

impl RateLimit {
    /// `None`: nothing limits the request, or it reaches no operation.
    fn applicable(&self, request: &Request) -> Option<(&Limiter, Subject)> {
        let access = request.extensions().get::<Access>()?;
        let (subject, tier) = Subject::of(*access, request.extensions());
        Some((self.limiters.get(&(access.class, tier))?, subject))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::{
        Extension, Router, body::Body, extract::Request, http::HeaderMap,
        middleware::from_fn_with_state, routing::get,
    };
    use kernel::Id;
    use tower::ServiceExt;
    use uuid::Uuid;
    use web::{
        Access, Caller, ClientIp, Credential, Identity, Permission, Problem, RateClass, Role,
        Scopes, Tier,
    };

    use crate::{Config, Quota, RateLimit, Switch, limit, standing::Standing};

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

    fn limits() -> RateLimit {
        RateLimit::new(&Config { rate_limits: Switch::On })
    }

    fn caller(tier: Tier, key: Option<Id<kernel::ApiKey>>) -> Caller {
        let credential = match key {
            None => Credential::Session(Uuid::nil()),
            Some(id) => Credential::Key { id, scopes: Scopes([].into()) },
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
        let key = Credential::Key { id: Id::new(), scopes: Scopes([].into()) };
        let by_key = Caller { credential: key, ..person.clone() };
        for same in [person, by_key] {
            assert_eq!(call(&limits, write, Identity::Known(same), "192.0.2.9").await.0, 429);
        }
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
    async fn switched_off_nothing_is_counted() {
        let limits = RateLimit::new(&Config { rate_limits: Switch::Off });
        let reset = Access::public().limited_as(RateClass::PasswordReset);
        for _ in 0..20 {
            assert_eq!(call(&limits, reset, Identity::Anonymous, "192.0.2.1").await.0, 200);
        }
    }
}
