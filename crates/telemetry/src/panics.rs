use std::{
    backtrace::{Backtrace, BacktraceStatus},
    panic::set_hook,
};

/// Marks the line of a panic, which Sentry hears of by another way.
pub(crate) const TARGET: &str = "panic";

/// Logs panics as every other line instead of as text; with a backtrace if `RUST_BACKTRACE` is set.
pub(crate) fn log() {
    set_hook(Box::new(|panic| {
        let message = panic.payload_as_str().unwrap_or("no message");
        let location = panic.location().map(tracing::field::display);
        let backtrace = Backtrace::capture();
        let captured = backtrace.status() == BacktraceStatus::Captured;
        let backtrace = captured.then(|| tracing::field::display(&backtrace));
        tracing::error!(target: TARGET, location, backtrace, "panic: {message}");
    }));
}

#[cfg(test)]
mod tests {
    use std::panic::{catch_unwind, take_hook};

    use tracing::subscriber::with_default;
    use tracing_subscriber::{layer::SubscriberExt, registry};

    use crate::json::{JsonLines, testing::Sink};

    #[test]
    fn a_panic_is_one_line_of_the_log() {
        let sink = Sink::default();
        with_default(registry().with(JsonLines::new(sink.writer())), || {
            super::log();
            let panicked = catch_unwind(|| panic!("first\nsecond"));
            let _ = take_hook();
            assert!(panicked.is_err());
        });
        let line: serde_json::Value = serde_json::from_str(&sink.text()).unwrap();
        assert_eq!(line["message"], "panic: first\nsecond");
        assert_eq!(line["level"], "ERROR");
        assert!(line["location"].as_str().unwrap().contains("panics.rs:"), "{line}");
    }
}
