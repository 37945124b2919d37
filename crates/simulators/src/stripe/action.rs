use serde_json::{Value, json};

use super::{error::Error, shape, state::State};

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
    pub(super) now: i64,
    /// How many endpoints wait for each event.
    pub(super) webhooks: usize,
    pub(super) changed: bool,
    /// Ids of the events to deliver, in order.
    pub(super) events: Vec<String>,
}

impl Action<'_> {
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
        if kind != "item" && kind != "line_item" {
            object["created"] = self.now.into();
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
        let fields = json!({
            "type": event,
            "data": data,
            "pending_webhooks": self.webhooks,
            "request": {
                "id": self.origin.request_id,
                "idempotency_key": self.origin.idempotency_key,
            },
        });
        let event = self.create("event", fields);
        self.events.push(shape::text(&event, "id").to_owned());
    }
}
