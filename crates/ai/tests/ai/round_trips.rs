//! What a call asks the database for.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use testing::{Client, TestApp};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
    subscriber::DefaultGuard,
};

use crate::{calls::give_credits, chat, streamed};

/// Every statement that this thread has sent, as the library logs them.
#[derive(Clone, Default)]
struct Statements(Arc<Mutex<Vec<String>>>);

impl Statements {
    fn watch() -> (Self, DefaultGuard) {
        let statements = Self::default();
        let guard = tracing::subscriber::set_default(statements.clone());
        (statements, guard)
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Subscriber for Statements {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn event(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(Statement::of(event));
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// The statement, or all of it if it is short.
#[derive(Default)]
struct Statement {
    summary: String,
    whole: String,
}

impl Statement {
    fn of(event: &Event<'_>) -> String {
        let mut statement = Self::default();
        event.record(&mut statement);
        if statement.whole.is_empty() { statement.summary } else { statement.whole }
    }
}

impl Visit for Statement {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.summary),
            "db.statement" => value.clone_into(&mut self.whole),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

/// What was asked of the database from `body`'s arrival until the provider was asked, and until the
/// call was booked.
async fn statements_of(
    app: &TestApp,
    owner: &Client,
    statements: &Statements,
    body: &Value,
) -> (Vec<String>, Vec<String>) {
    let calls = app.simulators.ai.state().generations();
    app.simulators.ai.hold();
    // Other tests' threads may have been asked whether anybody listens, and they said no for all.
    tracing::callsite::rebuild_interest_cache();
    statements.take();
    let asked = async {
        app.simulators.ai.wait_for_calls(calls + 1).await;
        let before = statements.take();
        app.simulators.ai.release();
        before
    };
    let (reply, before) = futures::join!(owner.post("/v1/chat/completions", body.clone()), asked);
    assert_eq!(reply.status, 200);
    app.quotas.settled().await;
    (before, statements.take())
}

#[tokio::test]
async fn a_call_makes_one_round_trip_before_the_provider_is_asked_and_one_after() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    give_credits(&app, &owner, 100).await;
    let (statements, _guard) = Statements::watch();

    for body in [chat(), streamed()] {
        let mut fewest = (usize::MAX, usize::MAX);
        // The first call is looked up, and some are when a second has passed: those are not the rule. On a
        // busy machine many are.
        for _ in 0..40 {
            let (before, after) = statements_of(&app, &owner, &statements, &body).await;
            let booked = |all: &[String]| all.iter().any(|it| it.contains("from book("));
            if booked(&before) && booked(&after) {
                fewest = fewest.min((before.len(), after.len()));
            }
            if fewest <= (1, 1) {
                break;
            }
        }
        assert_eq!(fewest, (1, 1));
    }
    app.assert_books_balance().await;
}
