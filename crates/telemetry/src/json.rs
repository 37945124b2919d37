use std::{fmt::Debug, io::Write};

use serde::Serialize;
use serde_json::{Map, Value};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    fmt::{
        MakeWriter,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    layer::Context,
    registry::{LookupSpan, Scope},
};

use crate::traces;

/// Writes each event as one line of JSON, with the fields of the spans around it.
///
/// The library's own form nests them, so a search for one request would have to know the depth.
pub(crate) struct JsonLines<W> {
    writer: W,
}

impl<W> JsonLines<W> {
    pub(crate) fn new(writer: W) -> Self {
        Self { writer }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    level: &'a str,
    target: &'a str,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut new = Fields::default();
        // Before the lock: formatting a value is foreign code and may panic, which is logged too.
        values.record(&mut new);
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            fields.0.extend(new.0);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context.event_scope(event).into_iter().flat_map(Scope::from_root) {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                fields.0.extend(of_span.0.iter().cloned());
            }
        }
        event.record(&mut fields);
        if let Some(trace) = traces::current() {
            fields.0.push(("trace_id", trace.into()));
        }

        let metadata = event.metadata();
        let line = Line {
            timestamp: timestamp(),
            level: metadata.level().as_str(),
            target: metadata.target(),
            // Of fields with one name the innermost counts.
            fields: fields.0.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        };
        if let Ok(mut line) = serde_json::to_vec(&line) {
            line.push(b'\n');
            // A log that cannot be written, as on a full disk, must not stop what is logged.
            let _ = self.writer.make_writer_for(metadata).write_all(&line);
        }
    }
}

fn timestamp() -> String {
    let mut text = String::new();
    let _ = SystemTime.format_time(&mut Writer::new(&mut text));
    text
}

/// In the order in which they were recorded; every request has some, and few are ever written.
#[derive(Default)]
struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    fn insert(&mut self, field: &Field, value: impl Into<Value>) {
        // For traces, which say it in their own way.
        if !field.name().starts_with("otel.") {
            self.0.push((field.name(), value.into()));
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.insert(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value);
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    /// Remembers what is written.
    #[derive(Clone, Default)]
    pub(crate) struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Sink {
        pub(crate) fn writer(&self) -> impl Fn() -> Self + 'static {
            let sink = self.clone();
            move || sink.clone()
        }

        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::OpenOptions, sync::Arc};

    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing::{error, field::Empty, info, info_span, subscriber::with_default};
    use tracing_subscriber::{layer::SubscriberExt, registry};

    use super::{testing::Sink, *};

    fn logged(log: impl FnOnce()) -> String {
        let sink = Sink::default();
        with_default(registry().with(JsonLines::new(sink.writer())), log);
        sink.text()
    }

    #[test]
    fn a_line_carries_the_fields_of_the_spans_around_it() {
        let line = logged(|| {
            let request =
                info_span!("request", request_id = "r1", org = Empty, user = "u1").entered();
            request.record("org", "o1");
            let _inner = info_span!("inner", user = "u2", attempt = 3).entered();
            error!(cents = -5, retry = true, "no {}", "luck");
        });
        let mut line: Value = serde_json::from_str(&line).unwrap();
        assert!(line["timestamp"].take().as_str().unwrap().ends_with('Z'));
        assert_eq!(
            line,
            serde_json::json!({
                "timestamp": null, "level": "ERROR", "target": "telemetry::json::tests",
                "message": "no luck", "cents": -5, "retry": true,
                "request_id": "r1", "org": "o1", "user": "u2", "attempt": 3,
            })
        );
    }

    #[test]
    fn a_line_within_a_trace_names_it() {
        let sink = Sink::default();
        let tracer = SdkTracerProvider::default().tracer("test");
        let log = registry().with(traces::layer(tracer)).with(JsonLines::new(sink.writer()));
        let expected = with_default(log, || {
            let _request = info_span!("request", otel.name = "GET /").entered();
            info!("inside");
            traces::current().unwrap()
        });
        let line: Value = serde_json::from_str(&sink.text()).unwrap();
        assert_eq!((&line["trace_id"], line.get("otel.name")), (&expected.into(), None));
    }

    #[test]
    fn a_value_cannot_begin_a_new_line_or_colour_the_terminal() {
        let value = "a\nb\r\u{1b}[31mc\0\"}\n{\"level\":\"ERROR\"}";
        let line = logged(|| info!(value, debug = ?value, "{value}"));
        assert_eq!(line.find('\n'), Some(line.len() - 1), "{line}");
        assert!(!line.trim_end().contains(char::is_control), "{line}");
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&line["value"], &line["message"]), (&value.into(), &value.into()));
    }

    #[test]
    fn a_full_disk_is_ignored() {
        let full = Arc::new(OpenOptions::new().write(true).open("/dev/full").unwrap());
        with_default(registry().with(JsonLines::new(full)), || info!("lost"));
    }
}
