use bytes::Bytes;
use serde_json::Value;
use usage::{Model, Quantities};
use web::Problem;

use crate::{Ai, Dialect};

/// Whether a request wants its provider to keep the prompt for later ones, and how long: writing it
/// costs more than a prompt does, and reading it less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Caching {
    #[default]
    None,
    /// For five minutes.
    Short,
    /// For an hour.
    Long,
}

impl Caching {
    /// What the `cache_control` at `pointer` asks for.
    pub(crate) fn asked(pointer: &str, control: &Value) -> Result<Self, Problem> {
        let Some(members) = control.as_object() else {
            return if control.is_null() { Ok(Self::None) } else { Err(refused(pointer)) };
        };
        let known = members.keys().all(|name| ["type", "ttl"].contains(&name.as_str()));
        match (control["type"].as_str(), control["ttl"].as_str()) {
            (Some("ephemeral"), Some("1h")) if known => Ok(Self::Long),
            (Some("ephemeral"), Some("5m")) if known => Ok(Self::Short),
            (Some("ephemeral"), None) if known && control["ttl"].is_null() => Ok(Self::Short),
            _ => Err(refused(pointer)),
        }
    }

    /// The dearest that a prompt can be: all of it written.
    fn at_most(self, used: Quantities, model: &Model) -> Result<Quantities, Problem> {
        let price = &model.price;
        let (dearer, cheaper) = match self {
            Self::None => return Ok(used),
            Self::Short => (price.cache_write_per_million, price.input_per_million),
            Self::Long => (price.long_cache_write_per_million, price.cache_write_per_million),
        };
        // Without a price of its own, writing would be charged as reading a prompt is, and costs more.
        if dearer <= cheaper && !price.free {
            let detail = format!("there is no price for what {} caches so", model.name);
            return Err(Problem::unprocessable("unpriced_cache", detail)
                .action("Leave out cache_control, or its ttl."));
        }
        let tokens = used.input_tokens;
        Ok(match self {
            Self::Long => Quantities { long_cache_write_tokens: tokens, ..used },
            _ => Quantities { cache_write_tokens: tokens, ..used },
        })
    }
}

impl Ai {
    /// The most that a request which can use `used` uses with `model`. Only Anthropic is told to cache:
    /// others do it by themselves, at no price.
    pub(crate) fn cached_at_most(
        &self,
        caching: Caching,
        used: Quantities,
        model: &Model,
    ) -> Result<Quantities, Problem> {
        if caching == Caching::None {
            return Ok(used);
        }
        match self.providers().get(&model.provider).map(|it| it.dialect) {
            Some(Dialect::Anthropic) => caching.at_most(used, model),
            _ => Ok(used),
        }
    }
}

/// A chat request without what only Anthropic understands.
pub(crate) fn without_control(json: &[u8]) -> Result<Bytes, Problem> {
    let mut request: Value = serde_json::from_slice(json).map_err(Problem::internal)?;
    let remove = |value: &mut Value| {
        value.as_object_mut().map(|members| members.remove("cache_control"));
    };
    for tool in request["tools"].as_array_mut().into_iter().flatten() {
        remove(tool);
    }
    for turn in request["messages"].as_array_mut().into_iter().flatten() {
        turn["content"].as_array_mut().into_iter().flatten().for_each(remove);
    }
    serde_json::to_vec(&request).map(Bytes::from).map_err(Problem::internal)
}

fn refused(pointer: &str) -> Problem {
    let detail = "must be {\"type\": \"ephemeral\"}, with a ttl of 5m or 1h if any";
    Problem::invalid_field(pointer, detail)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Caching, without_control};

    fn asked(control: Value) -> Option<Caching> {
        Caching::asked("/x", &control).ok()
    }

    #[test]
    fn only_what_has_a_known_price_may_be_asked_for() {
        assert_eq!(asked(Value::Null), Some(Caching::None));
        assert_eq!(asked(json!({ "type": "ephemeral" })), Some(Caching::Short));
        assert_eq!(asked(json!({ "type": "ephemeral", "ttl": "5m" })), Some(Caching::Short));
        assert_eq!(asked(json!({ "type": "ephemeral", "ttl": "1h" })), Some(Caching::Long));
        for unknown in [
            json!({}),
            json!("ephemeral"),
            json!({ "type": "for ever" }),
            json!({ "type": "ephemeral", "ttl": "1d" }),
            json!({ "type": "ephemeral", "ttl": 5 }),
            json!({ "type": "ephemeral", "scope": "global" }),
        ] {
            assert_eq!(asked(unknown.clone()), None, "{unknown}");
        }
    }

    #[test]
    fn what_others_do_not_understand_is_left_out() {
        let control = json!({ "type": "ephemeral" });
        let part = json!({ "type": "text", "text": "cache_control", "cache_control": control });
        let request = json!({
            "model": "m",
            "messages": [{ "role": "system", "content": [part] }, { "role": "user", "content": "a" }],
            "tools": [{ "type": "function", "function": { "name": "f" }, "cache_control": control }],
        });
        let left: Value =
            serde_json::from_slice(&without_control(request.to_string().as_bytes()).unwrap())
                .unwrap();
        assert_eq!(
            left,
            json!({
                "model": "m",
                "messages": [
                    { "role": "system", "content": [{ "type": "text", "text": "cache_control" }] },
                    { "role": "user", "content": "a" },
                ],
                "tools": [{ "type": "function", "function": { "name": "f" } }],
            })
        );
    }
}
