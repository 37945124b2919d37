use axum::{
    http::{HeaderName, HeaderValue, header},
    response::Response,
};
use kernel::Environment;

/// The policy of answers that are data: nothing may be loaded or framed.
pub const CONTENT_SECURITY_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");

/// Adds the security headers to an answer; every one has them, errors included. A handler that sets
/// one of them itself (a page with a form, say) keeps its own.
pub fn security_headers(environment: Environment, mut response: Response) -> Response {
    let headers = response.headers_mut();
    let mut default = |name: HeaderName, value: HeaderValue| {
        headers.entry(name).or_insert(value);
    };
    default(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    default(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    default(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    default(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    default(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if environment.is_production() {
        let two_years = HeaderValue::from_static("max-age=63072000; includeSubDomains");
        default(header::STRICT_TRANSPORT_SECURITY, two_years);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_production_promises_https_and_a_handlers_own_header_stays() {
        let policy = "default-src 'self'";
        for environment in [Environment::Development, Environment::Staging, Environment::Production]
        {
            let response = Response::builder().header(header::CONTENT_SECURITY_POLICY, policy);
            let response = response.body(axum::body::Body::empty()).unwrap();
            let answer = security_headers(environment, response);
            let promised = answer.headers().get(header::STRICT_TRANSPORT_SECURITY);
            let expected =
                environment.is_production().then_some("max-age=63072000; includeSubDomains");
            assert_eq!(promised.map(|it| it.to_str().unwrap()), expected, "{environment}");
            assert_eq!(answer.headers()[header::CONTENT_SECURITY_POLICY], policy);
        }
    }
}
