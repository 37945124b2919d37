use std::time::Duration;

use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, Request},
    middleware::{from_fn, from_fn_with_state},
    response::Response,
};
use http::{HeaderName, HeaderValue, Method, header};
use kernel::Environment;
use telemetry::traces;
use tower::ServiceBuilder;
use tower_http::{
    catch_panic::CatchPanicLayer,
    cors::CorsLayer,
    request_id::{PropagateRequestIdLayer, SetRequestIdLayer},
    trace::{DefaultOnResponse, OnResponse, TraceLayer},
};
use tracing::{Span, field::Empty};
use utoipa_swagger_ui::SwaggerUi;
use web::{MakeRequestId, RequestId, SameSite, TrustedProxies};

use crate::{
    App, document,
    gate::{Operations, authorize, time_out},
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const BODY_LIMIT: usize = 1024 * 1024;

/// How this deployment is reached.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// Decides on HSTS.
    pub environment: Environment,
    /// How many reverse proxies stand in front.
    pub trusted_proxies: TrustedProxies,
    /// Origins whose pages may call the API from a browser.
    pub cors_origins: Vec<HeaderValue>,
    /// How long a request may take that does not keep its own time.
    pub time_limit: Duration,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            environment: Environment::default(),
            trusted_proxies: TrustedProxies::default(),
            cors_origins: vec![],
            time_limit: Duration::from_secs(30),
        }
    }
}

impl App {
    /// The service. `gates` adds the layers that find out who calls and that limit how often; they
    /// run after the operation is known and before permission is checked.
    pub fn into_router(
        self,
        settings: &HttpSettings,
        gates: impl FnOnce(Router) -> Router,
    ) -> Router {
        let (router, operations) = self.routes.into_parts();
        let (router, openapi) = router.split_for_parts();
        let router = router
            .fallback(web::fallback)
            .method_not_allowed_fallback(web::method_not_allowed)
            .layer(from_fn(authorize));
        let operations = Operations::new(operations);
        let trusted = SameSite::new(&settings.cors_origins);
        let purpose = ServiceBuilder::new()
            .map_request(move |request| operations.name(request))
            .layer(from_fn_with_state(trusted, web::same_site))
            .layer(from_fn_with_state(settings.time_limit, time_out));
        let router = gates(router).layer(purpose).merge(docs(document::finish(openapi)));
        outer_layers(router, settings)
    }
}

/// What surrounds every answer, the first line outermost.
fn outer_layers(router: Router, settings: &HttpSettings) -> Router {
    let (proxies, environment) = (settings.trusted_proxies, settings.environment);
    let layers = ServiceBuilder::new()
        .map_request(drop_odd_request_id)
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestId))
        .map_request(move |mut request: Request| {
            let client = proxies.client_of(&request);
            let id = RequestId::of(&request);
            request.extensions_mut().insert(client);
            if let Some(id) = id {
                request.extensions_mut().insert(id);
            }
            request
        })
        // What fails is logged where it fails, once.
        .layer(TraceLayer::new_for_http().make_span_with(span).on_response(answered).on_failure(()))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .map_response(move |response| web::security_headers(environment, response))
        .layer(cors(settings))
        .layer(from_fn(web::render_problems))
        .layer(CatchPanicLayer::custom(web::panicked))
        .layer(DefaultBodyLimit::max(BODY_LIMIT));
    router.layer(layers)
}

/// A client may name its request, but not with anything that has no place in a log or a header.
fn drop_odd_request_id(mut request: Request) -> Request {
    let is_odd = |id: &HeaderValue| {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
        !(1..=128).contains(&id.len()) || !id.as_bytes().iter().all(plain)
    };
    if request.headers().get(REQUEST_ID).is_some_and(is_odd) {
        request.headers_mut().remove(REQUEST_ID);
    }
    request
}

/// Log lines inside it carry the request's id, and, once known, who called. They name the route and
/// not the path, which may be a link from a mail and then is a secret.
fn span(request: &Request) -> Span {
    let id = request.extensions().get::<RequestId>().map_or("", RequestId::as_str);
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str);
    let span = tracing::info_span!(
        "request",
        request_id = id,
        method = %request.method(),
        route,
        org = Empty,
        user = Empty,
        otel.name = Empty,
        otel.kind = Empty,
        otel.status_code = Empty,
        http.response.status_code = Empty,
    );
    traces::asked(&span, request.method().as_str(), route);
    span
}

fn answered(response: &Response, latency: Duration, span: &Span) {
    traces::answered(span, response.status());
    DefaultOnResponse::default().on_response(response, latency, span);
}

fn cors(settings: &HttpSettings) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(settings.cors_origins.clone())
        // For sessions in cookies; the origins are a list, never a wildcard.
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("last-event-id"),
            HeaderName::from_static("prefer"),
            HeaderName::from_static("x-slipway-cache"),
            HeaderName::from_static("x-slipway-org"),
            HeaderName::from_static("x-slipway-project"),
            HeaderName::from_static("x-slipway-quote"),
        ])
        .expose_headers([
            header::ETAG,
            header::RETRY_AFTER,
            HeaderName::from_static("idempotency-replayed"),
            HeaderName::from_static("ratelimit"),
            HeaderName::from_static("ratelimit-policy"),
            HeaderName::from_static("x-slipway-budget"),
            HeaderName::from_static("x-slipway-cache"),
            HeaderName::from_static("x-slipway-call"),
            HeaderName::from_static("x-slipway-cost-nano-usd"),
            HeaderName::from_static("x-slipway-credits"),
            HeaderName::from_static("x-slipway-credits-left"),
            HeaderName::from_static("x-slipway-instead-of"),
            HeaderName::from_static("x-slipway-model"),
            HeaderName::from_static("x-slipway-paid-by"),
            HeaderName::from_static("x-slipway-provider"),
            HeaderName::from_static("x-slipway-saved-nano-usd"),
            REQUEST_ID,
        ])
}

/// The documentation page, which alone may run scripts, and only our own.
fn docs(openapi: utoipa::openapi::OpenApi) -> Router {
    let policy = HeaderValue::from_static(
        "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; \
         img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'",
    );
    let add_policy = tower_http::set_header::SetResponseHeaderLayer::overriding(
        header::CONTENT_SECURITY_POLICY,
        policy,
    );
    Router::from(SwaggerUi::new("/docs").url("/openapi.json", openapi)).layer(add_policy)
}
