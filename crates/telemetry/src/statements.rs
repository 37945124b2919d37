use std::time::{Duration, SystemTime};

use metrics::histogram;
use opentelemetry::{
    Context, KeyValue,
    trace::{Span as _, SpanBuilder, SpanKind, TraceContextExt, Tracer},
};
use opentelemetry_sdk::trace::SdkTracer;
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, filter::Targets, layer, registry::LookupSpan};

/// Where `sqlx` tells of each statement after it.
const TARGET: &str = "sqlx::query";

/// Measures every SQL statement, and shows it in the trace of what it was for.
pub(crate) struct Statements {
    tracer: Option<SdkTracer>,
}

/// Statements, and nothing else.
pub(crate) fn layer<S>(tracer: Option<SdkTracer>) -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    Statements { tracer }.with_filter(Targets::new().with_target(TARGET, Level::TRACE))
}

impl<S: Subscriber> Layer<S> for Statements {
    fn on_event(&self, event: &Event<'_>, _: layer::Context<'_, S>) {
        let mut statement = Statement::default();
        event.record(&mut statement);
        let kind = kind(&statement.summary);
        histogram!("db_statement_duration_seconds", "kind" => kind).record(statement.seconds);
        let context = Context::current();
        if let Some(tracer) = &self.tracer
            && context.span().span_context().is_sampled()
        {
            statement.trace(tracer, &context);
        }
    }
}

/// What is told of one. Its first words: no value of a customer is in them.
#[derive(Default)]
struct Statement {
    summary: String,
    rows: u64,
    seconds: f64,
}

impl Statement {
    /// It has ended now, and began when it did.
    fn trace(self, tracer: &SdkTracer, context: &Context) {
        let end = SystemTime::now();
        let took = Duration::try_from_secs_f64(self.seconds).unwrap_or_default();
        let attributes = vec![
            KeyValue::new("db.system.name", "postgresql"),
            KeyValue::new(
                "db.response.returned_rows",
                i64::try_from(self.rows).unwrap_or(i64::MAX),
            ),
        ];
        let span = SpanBuilder::from_name(self.summary)
            .with_kind(SpanKind::Client)
            .with_start_time(end - took)
            .with_attributes(attributes);
        tracer.build_with_context(span, context).end_with_timestamp(end);
    }
}

impl Visit for Statement {
    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "summary" {
            value.clone_into(&mut self.summary);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "rows_returned" {
            self.rows = value;
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "elapsed_secs" {
            self.seconds = value;
        }
    }
}

/// Its first word, if that is one of a few: each new label would be kept for good.
fn kind(summary: &str) -> &'static str {
    let first = summary.split_whitespace().next().unwrap_or_default();
    let known = ["select", "insert", "update", "delete", "with", "begin", "commit", "rollback"];
    known.into_iter().find(|kind| first.eq_ignore_ascii_case(kind)).unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use tracing::{Level, event, subscriber::with_default};
    use tracing_subscriber::{layer::SubscriberExt, registry};

    use super::{kind, layer};
    use crate::exporter;

    #[test]
    fn statements_are_measured_by_kind_however_slow() {
        let recorder = exporter::builder().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            with_default(registry().with(layer(None)), || {
                // As `sqlx` tells of them.
                let (fast, slow) = ("insert into projects (id, …", "INSERT INTO emails …");
                event!(target: "sqlx::query", Level::TRACE, summary = fast, elapsed_secs = 0.25);
                event!(target: "sqlx::query", Level::WARN, summary = slow, elapsed_secs = 2.0);
                event!(target: "sqlx::postgres", Level::WARN, summary = slow, elapsed_secs = 9.0);
            });
        });
        let metrics = recorder.handle().render();
        for line in [
            r#"db_statement_duration_seconds_sum{kind="insert"} 2.25"#,
            r#"db_statement_duration_seconds_count{kind="insert"} 2"#,
        ] {
            assert!(metrics.contains(line), "{line} is missing in {metrics}");
        }
    }

    #[test]
    fn a_statement_is_of_one_of_a_few_kinds() {
        for (summary, expected) in [
            ("SELECT 1", "select"),
            ("insert into projects (id, …", "insert"),
            ("call isolate_by_org('x')", "other"),
            ("", "other"),
        ] {
            assert_eq!(kind(summary), expected);
        }
    }
}
