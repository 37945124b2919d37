use serde_json::{Value, json};

use super::{
    error::Error,
    shape::{self, integer, text},
    state::State,
    webhook_endpoints,
};

/// Kinds of objects that do not say when they were made.
const WITHOUT_CREATED: [&str; 4] =
    ["billing.meter_event_summary", "credit_note_line_item", "item", "line_item"];

/// Where an action came from, as its events tell it.
#[derive(Clone, Debug, Default)]
pub(super) struct Origin {
    pub(super) request_id: Option<String>,
    pub(super) idempotency_key: Option<String>,
    /// Where the simulator was reached, for links that lead back to it.
    pub(super) base_url: String,
}

/// One step of the state: a call, a payment on the hosted page, a renewal.
pub(super) struct Action<'a> {
    pub(super) state: &'a mut State,
    pub(super) origin: Origin,
    /// The time it is, on the clock that what is acted upon lives by.
    pub(super) now: i64,
    /// That clock, when it is a test clock.
    pub(super) test_clock: Option<String>,
    /// Whether there is a webhook besides the endpoints that were added by calls.
    pub(super) webhooks: usize,
    pub(super) changed: bool,
    /// Ids of the events to deliver, in order.
    pub(super) events: Vec<String>,
}

impl Action<'_> {
    /// Goes on at the time of the customer's test clock, if they have one.
    pub(super) fn live_by(&mut self, customer: &str) {
        let customer = self.state.get("customer", customer);
        let Some(id) = customer.and_then(|customer| customer["test_clock"].as_str()) else {
            return;
        };
        let id = id.to_owned();
        if let Some(clock) = self.state.get("test_helpers.test_clock", &id) {
            self.now = integer(clock, "frozen_time");
            self.test_clock = Some(id);
        }
    }

    /// Does `work` and takes it back, for those who only want to know what would happen.
    pub(super) fn dry_run<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        let (state, changed, events) = (self.state.clone(), self.changed, self.events.len());
        let result = work(self);
        *self.state = state;
        self.changed = changed;
        self.events.truncate(events);
        result
    }

    /// Does `work`, and takes it back if it fails.
    pub(super) fn all_or_nothing<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (state, changed, events) = (self.state.clone(), self.changed, self.events.len());
        let result = work(self);
        if result.is_err() {
            *self.state = state;
            self.changed = changed;
            self.events.truncate(events);
        }
        result
    }

    pub(super) fn create(&mut self, kind: &str, fields: Value) -> Value {
        let object = self.shape(kind, fields);
        self.save(&object);
        object
    }

    /// An object with an id of its own that lives inside another one.
    pub(super) fn shape(&mut self, kind: &str, fields: Value) -> Value {
        let mut object = shape::shaped(kind, fields);
        if object["id"].is_null() {
            object["id"] = self.state.next_id(shape::prefix(kind)).into();
        }
        if !WITHOUT_CREATED.contains(&kind) {
            object["created"] = self.now.into();
        }
        if let (Some(clock), Some(field)) = (&self.test_clock, object.get_mut("test_clock")) {
            *field = clock.as_str().into();
        }
        object
    }

    pub(super) fn save(&mut self, object: &Value) {
        self.state.put(object.clone());
        self.changed = true;
    }

    /// The object a path names.
    pub(super) fn find(&self, kind: &str, id: &str) -> Result<Value, Error> {
        self.state.get(kind, id).cloned().ok_or_else(|| Error::not_found(kind, id))
    }

    /// The object a parameter names.
    pub(super) fn refer(&self, kind: &str, id: &str, param: &str) -> Result<Value, Error> {
        let found = self.state.get(kind, id).filter(|object| object["deleted"] != true);
        found.cloned().ok_or_else(|| Error::no_such(kind, id, param))
    }

    pub(super) fn emit(&mut self, event: &str, object: &Value) {
        self.emit_data(event, json!({ "object": object }));
    }

    /// Saves `after` and tells what was different `before`.
    pub(super) fn update(&mut self, event: &str, before: &Value, after: &Value) {
        self.save(after);
        let previous: serde_json::Map<String, Value> = before
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(field, old)| after[field.as_str()] != **old)
            .map(|(field, old)| (field.clone(), old.clone()))
            .collect();
        self.emit_data(event, json!({ "object": after, "previous_attributes": previous }));
    }

    fn emit_data(&mut self, event: &str, data: Value) {
        let endpoints = webhook_endpoints::targets(self.state, event).len();
        let fields = json!({
            "type": event,
            "data": data,
            "pending_webhooks": self.webhooks + endpoints,
            "request": {
                "id": self.origin.request_id,
                "idempotency_key": self.origin.idempotency_key,
            },
        });
        let event = self.create("event", fields);
        self.events.push(text(&event, "id").to_owned());
    }
}
