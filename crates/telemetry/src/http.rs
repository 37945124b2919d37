//! Requests and their latency, by route.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Instant,
};

use axum::{
    extract::{MatchedPath, Request},
    http::Method,
    middleware::Next,
    response::Response,
};
use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

/// Answers of this process that nobody has taken yet, and how many of them were 5xx.
static ANSWERS: AtomicU64 = AtomicU64::new(0);
static ERRORS: AtomicU64 = AtomicU64::new(0);

/// How many requests this process has answered since the last time somebody asked, and how many of these with 5xx.
pub fn take_answers() -> (u64, u64) {
    (ANSWERS.swap(0, Relaxed), ERRORS.swap(0, Relaxed))
}

/// Counts the request and measures the time until its answer begins. A layer of the whole router:
///
/// ```
/// # use axum::{Router, middleware::from_fn};
/// let router: Router = Router::new().layer(from_fn(telemetry::http::track));
/// ```
pub async fn track(request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = method(request.method());
    let route = request.extensions().get::<MatchedPath>().cloned();

    let response = next.run(request).await;

    ANSWERS.fetch_add(1, Relaxed);
    if response.status().is_server_error() {
        ERRORS.fetch_add(1, Relaxed);
    }
    let route = route.map_or_else(|| "unmatched".to_owned(), |route| route.as_str().to_owned());
    histogram!("http_request_duration_seconds", "method" => method, "route" => route.clone())
        .record(start.elapsed());
    let status = response.status().as_str().to_owned();
    counter!("http_requests_total", "method" => method, "route" => route, "status" => status)
        .increment(1);
    response
}

/// Anybody may send any method, and each new label would be kept for good.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

pub(crate) fn describe() {
    describe_counter!("http_requests_total", "Requests answered.");
    describe_histogram!(
        "http_request_duration_seconds",
        Unit::Seconds,
        "Time until the answer began."
    );
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::Body, middleware::from_fn, routing::get};
    use tower::ServiceExt;

    use super::*;
    use crate::exporter;

    /// The metrics after these requests.
    fn metrics_after(requests: &[(&str, &str)]) -> String {
        let recorder = exporter::builder().build_recorder();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let things = Router::new().route("/{thing}", get(async || "a thing"));
        let router = Router::new().nest("/v1/things", things).layer(from_fn(track));
        metrics::with_local_recorder(&recorder, || {
            describe();
            for (method, path) in requests {
                let request = Request::builder().method(*method).uri(*path);
                let answer = router.clone().oneshot(request.body(Body::empty()).unwrap());
                runtime.block_on(answer).unwrap();
            }
        });
        recorder.handle().render()
    }

    #[test]
    fn requests_are_counted_and_timed_by_route() {
        let metrics = metrics_after(&[
            ("GET", "/v1/things/1?q=x"),
            ("GET", "/v1/things/2"),
            ("POST", "/v1/things/2"),
        ]);
        for line in [
            "# TYPE http_requests_total counter",
            r#"http_requests_total{method="GET",route="/v1/things/{thing}",status="200"} 2"#,
            r#"http_requests_total{method="POST",route="/v1/things/{thing}",status="405"} 1"#,
            "# TYPE http_request_duration_seconds histogram",
            r#"http_request_duration_seconds_bucket{method="GET",route="/v1/things/{thing}",le="300"} 2"#,
            r#"http_request_duration_seconds_count{method="GET",route="/v1/things/{thing}"} 2"#,
        ] {
            assert!(metrics.contains(line), "{line} is missing in {metrics}");
        }
    }

    #[test]
    fn answers_of_ours_that_failed_are_counted_until_they_are_taken() {
        let broken = get(async || axum::http::StatusCode::SERVICE_UNAVAILABLE);
        let router: Router = Router::new().route("/", broken).layer(from_fn(track));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        take_answers();
        for _ in 0..3 {
            let request = Request::builder().body(Body::empty()).unwrap();
            runtime.block_on(router.clone().oneshot(request)).unwrap();
        }
        // Other tests answer too, but none of theirs fails.
        let (answers, errors) = take_answers();
        assert_eq!((answers >= 3, errors), (true, 3));
        assert_eq!(take_answers().1, 0);
    }

    #[test]
    fn invented_paths_and_methods_make_no_new_series() {
        let paths: Vec<String> = (0..50).map(|number| format!("/scan/{number}")).collect();
        let methods: Vec<String> = (0..50).map(|number| format!("SCAN{number}")).collect();
        let requests: Vec<_> =
            methods.iter().zip(&paths).map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let metrics = metrics_after(&requests);
        let series = r#"http_requests_total{method="other",route="unmatched",status="404"} 50"#;
        assert!(metrics.contains(series), "{metrics}");
    }
}
