use serde_json::{Value, json};

use super::{
    action::Action, calendar, customers, error::Error, form::Params, list, shape::integer,
    shape::text,
};

const LIFETIME: i64 = 30 * 24 * 3600;

pub(super) fn create(action: &mut Action, mut params: Params) -> Result<Value, Error> {
    let time = params.integer("frozen_time")?.ok_or_else(|| Error::missing("frozen_time"))?;
    let mut fields = json!({ "deletes_after": action.now + LIFETIME, "frozen_time": time });
    params.copy_texts(&mut fields, &["name"])?;
    params.done()?;
    let clock = action.create("test_helpers.test_clock", fields);
    action.emit("test_helpers.test_clock.created", &clock);
    Ok(clock)
}

pub(super) fn list(action: &Action, params: Params) -> Result<Value, Error> {
    let url = "/v1/test_helpers/test_clocks";
    list::list(action, "test_helpers.test_clock", url, params, &[])
}

fn existing(action: &Action, id: &str) -> Result<Value, Error> {
    let clock = action.find("test_helpers.test_clock", id)?;
    if clock["deleted"] == true {
        return Err(Error::not_found("test_helpers.test_clock", id));
    }
    Ok(clock)
}

/// Lets time pass on a clock; everything that lives by it does what falls due meanwhile.
pub(super) fn advance(action: &mut Action, id: &str, mut params: Params) -> Result<Value, Error> {
    let before = existing(action, id)?;
    let time = params.integer("frozen_time")?.ok_or_else(|| Error::missing("frozen_time"))?;
    params.done()?;
    if time <= integer(&before, "frozen_time") {
        let message = "The frozen time must be later than the clock's current time.";
        return Err(Error::invalid("frozen_time", message));
    }
    action.emit("test_helpers.test_clock.advancing", &before);
    action.test_clock = Some(id.to_owned());
    calendar::run(action, time);
    let mut clock = before;
    clock["frozen_time"] = time.into();
    action.save(&clock);
    action.emit("test_helpers.test_clock.ready", &clock);
    Ok(clock)
}

/// Deletes a clock with everybody who lives by it.
pub(super) fn delete(action: &mut Action, id: &str, params: Params) -> Result<Value, Error> {
    params.done()?;
    existing(action, id)?;
    let own = |customer: &&Value| customer["test_clock"] == id;
    let customers: Vec<String> = action
        .state
        .all("customer")
        .filter(own)
        .map(|customer| text(customer, "id").to_owned())
        .collect();
    for customer in customers {
        customers::delete(action, &customer, Params::default())?;
    }
    let deleted = json!({ "id": id, "object": "test_helpers.test_clock", "deleted": true });
    action.save(&deleted);
    Ok(deleted)
}
