//! Traces of requests, jobs, calls of AI providers and SQL, for a collector.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use http::StatusCode;
use kernel::Environment;
use opentelemetry::{
    Context, KeyValue,
    trace::{TraceContextExt, TraceId, TracerProvider},
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracer, SdkTracerProvider},
};
use percent_encoding::percent_decode_str;
use secrecy::ExposeSecret;
use tracing::{Level, Span, Subscriber};
use tracing_subscriber::{Layer, filter::filter_fn, registry::LookupSpan};
use url::Url;

use crate::{Config, Error};

/// Whether somebody looks at traces.
static ON: AtomicBool = AtomicBool::new(false);

/// Sends what it still has to the collector when dropped.
pub(crate) struct Exporting(SdkTracerProvider);

impl Exporting {
    pub(crate) fn tracer(&self) -> SdkTracer {
        self.0.tracer("slipway")
    }
}

impl Drop for Exporting {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "the last traces did not reach the collector");
        }
    }
}

/// Sends traces to `collector` from now on: in batches, by a thread of its own, dropping what it cannot take.
pub(crate) fn connect(
    collector: &Url,
    config: &Config,
    environment: Environment,
    release: &'static str,
) -> Result<Exporting, Error> {
    let headers = config.otel_exporter_otlp_headers.as_ref();
    let headers = headers.map_or("", |headers| headers.expose_secret());
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(format!("{}/v1/traces", collector.as_str().trim_end_matches('/')))
        .with_headers(self::headers(headers)?.collect())
        .build()?;
    let resource = Resource::builder().with_service_name("slipway").with_attributes([
        KeyValue::new("service.version", release),
        KeyValue::new("deployment.environment.name", environment.to_string()),
    ]);
    let share = Sampler::TraceIdRatioBased(config.otel_traces_sampler_arg);
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(Sampler::ParentBased(Box::new(share)))
        .with_resource(resource.build());
    ON.store(true, Relaxed);
    Ok(Exporting(provider.build()))
}

/// `name=value` pairs between commas, percent-encoded, as OpenTelemetry specifies for
/// [`OTEL_EXPORTER_OTLP_HEADERS`](https://opentelemetry.io/docs/specs/otel/protocol/exporter/#specifying-headers-via-environment-variables).
fn headers(text: &str) -> Result<impl Iterator<Item = (String, String)>, Error> {
    let pairs = text.split(',').filter(|pair| !pair.trim().is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').ok_or(Error::CollectorHeaders)?;
        let value = percent_decode_str(value.trim()).decode_utf8();
        Ok((name.trim().to_owned(), value.map_err(|_| Error::CollectorHeaders)?.into_owned()))
    });
    Ok(pairs.collect::<Result<Vec<_>, Error>>()?.into_iter())
}

/// Spans, without the events inside them: the log has those, and they may quote what a collector must not have. The job
/// library has spans of its own around each job, which would be there twice.
pub(crate) fn layer<S>(tracer: SdkTracer) -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_filter(filter_fn(|it| {
            let ours = !it.target().starts_with("graphile_worker");
            it.is_span() && *it.level() <= Level::INFO && ours
        }))
}

/// The trace that is under way here.
pub(crate) fn current() -> Option<String> {
    let context = Context::current();
    let trace = context.span().span_context().trace_id();
    (trace != TraceId::INVALID).then(|| trace.to_string())
}

/// Names the span of a request, which has the fields `otel.name` and `otel.kind`.
pub fn asked(span: &Span, method: &str, route: &str) {
    if ON.load(Relaxed) {
        span.record("otel.name", format!("{method} {route}"));
        span.record("otel.kind", "server");
    }
}

/// Notes in the span of a request, which has the field `otel.status_code`, that we failed.
pub fn answered(span: &Span, status: StatusCode) {
    if ON.load(Relaxed) {
        span.record("http.response.status_code", status.as_u16());
        if status.is_server_error() {
            span.record("otel.status_code", "ERROR");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::headers;

    #[test]
    fn headers_are_pairs_between_commas() {
        let read = |text| headers(text).map(Iterator::collect::<Vec<_>>).ok();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read(""), Some(vec![]));
        let both = vec![pair("authorization", "Basic a=b"), pair("x-tenant", "1")];
        assert_eq!(read("authorization=Basic%20a=b, x-tenant = 1,"), Some(both));
        assert_eq!(read("authorization"), None);
        assert_eq!(read("a=%ff"), None);
    }
}
