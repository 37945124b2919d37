//! What happens by itself when time passes.

use serde_json::Value;

use super::{
    action::Action,
    checkout, invoices,
    shape::{integer, text},
    state::State,
    subscriptions,
};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// Something that falls due, in the order in which things of the same moment happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// A session that nobody paid closes.
    Session,
    /// An invoice is finalized and collected, or collected again.
    Invoice,
    /// Collection goes on after a pause.
    Unpause,
    /// The customer is told three days before their trial ends.
    TrialWillEnd,
    /// A first invoice that stayed unpaid for a day ends the subscription.
    Incomplete,
    /// A subscription that was to end at a moment of its own ends.
    Cancel,
    /// A period ends.
    Period,
}

/// When something falls due, what, and the id of whom it happens to.
type Moment = (i64, Due, String);

/// Lets everything happen that falls due until then, in order, on the action's test clock or, if it has
/// none, for all that live by the simulator's own.
pub(super) fn run(action: &mut Action, until: i64) {
    while let Some((at, due, id)) = next(action.state, action.test_clock.as_deref(), until) {
        action.now = at;
        happen(action, due, &id);
    }
    action.now = until;
}

fn next(state: &State, clock: Option<&str>, until: i64) -> Option<Moment> {
    let lives = |object: &&Value| object["test_clock"].as_str() == clock;
    let subscriptions = state.all("subscription").filter(lives);
    let subscriptions = subscriptions.filter(|it| !subscriptions::has_ended(it));
    let mut moments: Vec<Moment> =
        subscriptions.flat_map(|subscription| of_subscription(state, subscription)).collect();
    moments.extend(state.all("invoice").filter(lives).filter_map(of_invoice));
    if clock.is_none() {
        let open = state.all("checkout.session").filter(|session| session["status"] == "open");
        moments.extend(open.map(|session| {
            (integer(session, "expires_at"), Due::Session, text(session, "id").to_owned())
        }));
    }
    moments.into_iter().filter(|(at, ..)| *at <= until).min()
}

fn of_subscription(state: &State, subscription: &Value) -> Vec<Moment> {
    let id = text(subscription, "id");
    let mut moments = Vec::new();
    let mut add = |at: i64, due: Due| moments.push((at, due, id.to_owned()));
    let (start, end) = subscriptions::first_period(subscription);
    match text(subscription, "status") {
        "incomplete" => add(integer(subscription, "created") + 23 * HOUR, Due::Incomplete),
        "paused" => {}
        status => {
            if end > start {
                add(end, Due::Period);
            }
            if status == "trialing" && !state.told.contains(&trial_of(subscription)) {
                let told = integer(subscription, "trial_end") - 3 * DAY;
                add(told.max(integer(subscription, "trial_start")), Due::TrialWillEnd);
            }
        }
    }
    if let Some(at) = subscription["cancel_at"].as_i64().filter(|at| *at < end) {
        add(at, Due::Cancel);
    }
    if let Some(at) = subscriptions::resumes_at(subscription) {
        add(at, Due::Unpause);
    }
    moments
}

/// What is told once only.
fn trial_of(subscription: &Value) -> String {
    format!("{} {}", text(subscription, "id"), subscription["trial_end"])
}

fn of_invoice(invoice: &Value) -> Option<Moment> {
    if invoice["auto_advance"] != true {
        return None;
    }
    let at = match text(invoice, "status") {
        "draft" => invoice["automatically_finalizes_at"].as_i64(),
        "open" => invoice["next_payment_attempt"].as_i64(),
        _ => None,
    };
    Some((at?, Due::Invoice, text(invoice, "id").to_owned()))
}

fn happen(action: &mut Action, due: Due, id: &str) {
    match due {
        Due::Session => {
            // Looking at it closes it.
            let _ = checkout::current(action, id);
        }
        Due::Invoice => {
            if let Some(mut invoice) = action.state.get("invoice", id).cloned() {
                invoices::settle(action, &mut invoice);
            }
        }
        _ => {
            if let Some(subscription) = action.state.get("subscription", id).cloned() {
                happen_to(action, due, subscription);
            }
        }
    }
}

fn happen_to(action: &mut Action, due: Due, subscription: Value) {
    match due {
        Due::TrialWillEnd => {
            action.state.told.insert(trial_of(&subscription));
            action.emit("customer.subscription.trial_will_end", &subscription);
        }
        Due::Incomplete => subscriptions::give_up(action, &subscription),
        Due::Cancel => {
            subscriptions::end(action, subscription, "cancellation_requested");
        }
        Due::Unpause => subscriptions::unpause(action, &subscription),
        _ => {
            subscriptions::turn(action, &subscription);
        }
    }
}
