use serde_json::{Value, json};

use super::{action::Action, error::Error, form::Params, shape};

const DEFAULT_LIMIT: i64 = 10;
const MAX_LIMIT: i64 = 100;

/// A page of all objects of a kind, filtered by the equality of some of their fields.
pub(super) fn list(
    action: &Action,
    kind: &str,
    url: &str,
    mut params: Params,
    filters: &[&str],
) -> Result<Value, Error> {
    let mut objects: Vec<Value> = action.state.all(kind).rev().cloned().collect();
    for filter in filters {
        let Some(wanted) = params.text(filter)? else { continue };
        objects.retain(|object| match &object[*filter] {
            Value::String(value) => *value == wanted,
            Value::Bool(value) => wanted == if *value { "true" } else { "false" },
            _ => false,
        });
    }
    page(objects, url, params)
}

/// The page of `objects` that the parameters ask for.
pub(super) fn page(mut objects: Vec<Value>, url: &str, mut params: Params) -> Result<Value, Error> {
    let limit = params.integer("limit")?.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Error::invalid("limit", format!("Limit must be from 1 to {MAX_LIMIT}.")));
    }
    let limit = usize::try_from(limit).unwrap_or_default();
    objects.retain(|object| object["deleted"] != true);
    created(&mut objects, &mut params)?;
    if let Some(last_seen) = cursor(&objects, &mut params, "starting_after")? {
        objects.drain(..=last_seen);
    }
    let mut skipped = 0;
    if let Some(first_seen) = cursor(&objects, &mut params, "ending_before")? {
        objects.truncate(first_seen);
        skipped = objects.len().saturating_sub(limit);
    }
    params.done()?;
    let has_more = objects.len() > limit;
    let data: Vec<Value> = objects.into_iter().skip(skipped).take(limit).collect();
    Ok(json!({ "object": "list", "url": url, "has_more": has_more, "data": data }))
}

/// Where the object stands that a cursor names.
fn cursor(objects: &[Value], params: &mut Params, field: &str) -> Result<Option<usize>, Error> {
    let Some(id) = params.text(field)? else { return Ok(None) };
    let position = objects.iter().position(|object| object["id"] == id.as_str());
    let kind = shape::kind_of(&id).unwrap_or("object");
    position.map(Some).ok_or_else(|| Error::no_such(kind, &id, field))
}

/// The filter every list has: `created[gte]=…`.
fn created(objects: &mut Vec<Value>, params: &mut Params) -> Result<(), Error> {
    let Some(mut range) = params.map("created")? else { return Ok(()) };
    let (above, from) = (range.integer("gt")?, range.integer("gte")?);
    let (below, to) = (range.integer("lt")?, range.integer("lte")?);
    objects.retain(|object| {
        let at = shape::integer(object, "created");
        above.is_none_or(|bound| at > bound)
            && from.is_none_or(|bound| at >= bound)
            && below.is_none_or(|bound| at < bound)
            && to.is_none_or(|bound| at <= bound)
    });
    range.done()
}
