use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::error::Error;

/// No parameter of the API is nested deeper than this.
const DEPTH: usize = 8;

/// Parameters of a call, taken out one by one; what is left in the end was unknown.
#[derive(Clone, Debug, Default)]
pub(super) struct Params {
    /// The name these are nested in, like `line_items[0]`; empty at the top.
    path: String,
    fields: BTreeMap<String, Node>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum Node {
    Text(String),
    Map(BTreeMap<String, Node>),
}

impl Params {
    /// Reads `a[b][0]=c`, the nested form encoding of Stripe's clients.
    pub(super) fn parse(encoded: &str) -> Self {
        let mut fields = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(encoded.as_bytes()) {
            let keys: Vec<&str> =
                name.splitn(DEPTH, '[').map(|key| key.trim_end_matches(']')).collect();
            insert(&mut fields, &keys, value.into_owned());
        }
        Self { path: String::new(), fields }
    }

    /// The same text for the same parameters, whatever order they came in.
    pub(super) fn canonical(&self) -> Result<String, Error> {
        serde_json::to_string(&self.fields).map_err(|error| Error::internal(error.to_string()))
    }

    pub(super) fn name(&self, field: &str) -> String {
        if self.path.is_empty() { field.to_owned() } else { format!("{}[{field}]", self.path) }
    }

    pub(super) fn text(&mut self, field: &str) -> Result<Option<String>, Error> {
        match self.fields.remove(field) {
            None => Ok(None),
            Some(Node::Text(text)) => Ok(Some(text)),
            Some(Node::Map(_)) => Err(Error::invalid(&self.name(field), "Invalid string")),
        }
    }

    /// Takes a list or object that is given as an empty text, which is how Stripe's are emptied.
    pub(super) fn emptied(&mut self, field: &str) -> bool {
        let empty = matches!(self.fields.get(field), Some(Node::Text(text)) if text.is_empty());
        if empty {
            self.fields.remove(field);
        }
        empty
    }

    pub(super) fn required(&mut self, field: &str) -> Result<String, Error> {
        let name = self.name(field);
        match self.text(field)? {
            None => Err(Error::missing(&name)),
            Some(text) if text.is_empty() => {
                let message = format!("You passed an empty string for '{name}'.");
                Err(Error::malformed("parameter_invalid_empty", &name, message))
            }
            Some(text) => Ok(text),
        }
    }

    pub(super) fn one_of(&mut self, field: &str, known: &[&str]) -> Result<Option<String>, Error> {
        let value = self.text(field)?;
        match &value {
            Some(text) if !known.contains(&text.as_str()) => {
                let message = format!("Invalid {field}: must be one of {}", known.join(", "));
                Err(Error::invalid(&self.name(field), message))
            }
            _ => Ok(value),
        }
    }

    pub(super) fn integer(&mut self, field: &str) -> Result<Option<i64>, Error> {
        let Some(text) = self.text(field)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            let message = format!("Invalid integer: {text}");
            Error::malformed("parameter_invalid_integer", &self.name(field), message)
        })
    }

    /// A moment: a Unix time, or `now` where Stripe takes that word.
    pub(super) fn time(&mut self, field: &str, now: i64) -> Result<Option<i64>, Error> {
        if matches!(self.fields.get(field), Some(Node::Text(text)) if text == "now") {
            self.fields.remove(field);
            return Ok(Some(now));
        }
        self.integer(field)
    }

    pub(super) fn flag(&mut self, field: &str) -> Result<Option<bool>, Error> {
        let value = self.one_of(field, &["true", "false"])?;
        Ok(value.map(|text| text == "true"))
    }

    pub(super) fn map(&mut self, field: &str) -> Result<Option<Self>, Error> {
        let path = self.name(field);
        match self.fields.remove(field) {
            None => Ok(None),
            Some(Node::Map(fields)) => Ok(Some(Self { path, fields })),
            Some(Node::Text(_)) => Err(Error::invalid(&path, "Invalid object")),
        }
    }

    /// A list of objects: `items[0][price]=…`.
    pub(super) fn maps(&mut self, field: &str) -> Result<Vec<Self>, Error> {
        let Some(mut list) = self.map(field)? else { return Ok(Vec::new()) };
        list.indices().iter().filter_map(|index| list.map(index).transpose()).collect()
    }

    /// A list of texts: `expand[]=…` or `expand[0]=…`.
    pub(super) fn texts(&mut self, field: &str) -> Result<Vec<String>, Error> {
        let Some(mut list) = self.map(field)? else { return Ok(Vec::new()) };
        list.indices().iter().filter_map(|index| list.text(index).transpose()).collect()
    }

    /// Moves the named texts into `object`; an empty text unsets, as it does at Stripe.
    pub(super) fn copy_texts(&mut self, object: &mut Value, fields: &[&str]) -> Result<(), Error> {
        for field in fields {
            if let Some(text) = self.text(field)? {
                object[*field] = if text.is_empty() { Value::Null } else { text.into() };
            }
        }
        Ok(())
    }

    /// Merges `metadata[…]` into the object's: an empty value drops its key, an empty `metadata` all.
    pub(super) fn copy_metadata(&mut self, object: &mut Value) -> Result<(), Error> {
        if self.emptied("metadata") {
            object["metadata"] = json!({});
        }
        let Some(given) = self.map("metadata")? else { return Ok(()) };
        let mut metadata = object["metadata"].as_object().cloned().unwrap_or_default();
        for (key, node) in &given.fields {
            match node {
                Node::Text(text) if text.is_empty() => drop(metadata.remove(key)),
                Node::Text(text) if key.len() <= 40 && text.chars().count() <= 500 => {
                    metadata.insert(key.clone(), text.as_str().into());
                }
                _ => {
                    let message = "Metadata keys have up to 40 characters, values up to 500.";
                    return Err(Error::invalid(&given.name(key), message));
                }
            }
        }
        object["metadata"] = Value::Object(metadata);
        Ok(())
    }

    /// Refuses whatever nobody took.
    pub(super) fn done(self) -> Result<(), Error> {
        match self.fields.keys().next() {
            None => Ok(()),
            Some(field) => Err(Error::unknown_parameter(&self.name(field))),
        }
    }

    fn indices(&self) -> Vec<String> {
        let mut indices: Vec<String> = self.fields.keys().cloned().collect();
        indices.sort_by_key(|index| index.parse::<usize>().unwrap_or(usize::MAX));
        indices
    }
}

fn insert(fields: &mut BTreeMap<String, Node>, keys: &[&str], value: String) {
    let Some((first, rest)) = keys.split_first() else { return };
    let key = if first.is_empty() { fields.len().to_string() } else { (*first).to_owned() };
    if rest.is_empty() {
        fields.insert(key, Node::Text(value));
        return;
    }
    let node = fields.entry(key).or_insert_with(|| Node::Map(BTreeMap::new()));
    if let Node::Map(inner) = node {
        insert(inner, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_keep_the_order_of_their_indices() {
        let encoded: Vec<String> = (0..12).rev().map(|i| format!("a[{i}]={i}")).collect();
        let texts = Params::parse(&encoded.join("&")).texts("a").unwrap();
        assert_eq!(texts, (0..12).map(|i| i.to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn leftovers_are_named_with_their_full_path() {
        let mut params = Params::parse("line_items[0][price]=p&line_items[0][colour]=red");
        let mut line = params.maps("line_items").unwrap().remove(0);
        assert_eq!(line.required("price").unwrap(), "p");
        let error = line.done().unwrap_err();
        assert_eq!(error.body()["error"]["param"], "line_items[0][colour]");
        assert!(params.done().is_ok());
    }

    #[test]
    fn metadata_merges_and_an_empty_value_drops_its_key() {
        let mut object = json!({ "metadata": { "a": "1", "b": "2" } });
        Params::parse("metadata[a]=&metadata[c]=3").copy_metadata(&mut object).unwrap();
        assert_eq!(object["metadata"], json!({ "b": "2", "c": "3" }));
        Params::parse("metadata=").copy_metadata(&mut object).unwrap();
        assert_eq!(object["metadata"], json!({}));
    }
}
