//! Has prompts judged before they are sent, where the settings say so.

use std::{collections::BTreeMap, time::Duration};

use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use web::Problem;

use crate::{Ai, answer::read, dialect::Sent};

/// Where providers that speak `OpenAI`'s API judge, below the base URL.
const MODERATIONS: &str = "/moderations";
/// No judgement is longer: two kilobytes for each of some thousand texts.
const LARGEST: usize = 16 * 1024 * 1024;
/// How long whoever calls waits for one.
const PATIENCE: Duration = Duration::from_secs(20);
/// Under which members of a request nobody's words stand. Whatever stands under others is judged: tools are called
/// with words, too.
const NO_WORDS: [&str; 11] = [
    "data",
    "file_data",
    "file_id",
    "id",
    "image_url",
    "media_type",
    "model",
    "role",
    "tool_call_id",
    "tool_use_id",
    "type",
];

/// Who judges.
#[derive(Clone, Debug)]
pub(crate) struct Moderator {
    pub(crate) provider: String,
    pub(crate) model: String,
}

#[derive(Deserialize)]
struct Judgement {
    results: Vec<Verdict>,
}

#[derive(Deserialize)]
struct Verdict {
    flagged: bool,
    #[serde(default)]
    categories: BTreeMap<String, Option<bool>>,
}

impl Ai {
    /// Refuses a prompt that the moderator objects to, and any while there is no telling.
    pub(crate) async fn moderate(&self, body: &[u8]) -> Result<(), Problem> {
        let Some(moderator) = self.moderator() else { return Ok(()) };
        // What is no JSON is refused by whoever reads it.
        let request = serde_json::from_slice(body).unwrap_or_default();
        let mut texts = Vec::new();
        words(&request, &mut texts);
        if texts.is_empty() {
            return Ok(());
        }
        let judging = self.judgement(moderator, &texts);
        let judged = tokio::time::timeout(PATIENCE, judging).await;
        let judged = judged.unwrap_or_else(|_| Err(anyhow::anyhow!("it takes too long")));
        let verdicts = judged.map_err(|error| unavailable().because(error))?.results;
        if verdicts.is_empty() {
            return Err(unavailable());
        }
        let Some(categories) = objections(verdicts) else { return Ok(()) };
        let detail = format!("the prompt is not allowed: {}", categories.join(", "));
        Err(Problem::unprocessable("prompt_refused", detail).with("categories", categories))
    }

    async fn judgement(&self, by: &Moderator, texts: &[&str]) -> anyhow::Result<Judgement> {
        let provider = self.providers().get(&by.provider);
        let provider =
            provider.ok_or_else(|| anyhow::anyhow!("nobody is called {:?}", by.provider))?;
        let request = json!({ "model": by.model, "input": texts });
        let sent = Sent { path: MODERATIONS, body: request.to_string().into() };
        let answer = provider.post(&by.model, &sent).await?;
        let body = read(answer, LARGEST, self.idle).await.map_err(anyhow::Error::msg)?;
        Ok(serde_json::from_slice(&body)?)
    }
}

/// Why one of the texts is objected to, as far as the moderator says; `None`: none is.
fn objections(verdicts: Vec<Verdict>) -> Option<Vec<String>> {
    let flagged: Vec<Verdict> = verdicts.into_iter().filter(|it| it.flagged).collect();
    if flagged.is_empty() {
        return None;
    }
    let categories = flagged.into_iter().flat_map(|it| it.categories);
    Some(categories.filter_map(|(name, applies)| (applies == Some(true)).then_some(name)).collect())
}

/// People's words in a request.
fn words<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) if !text.trim().is_empty() => found.push(text),
        Value::Array(items) => items.iter().for_each(|it| words(it, found)),
        Value::Object(members) => {
            let said = members.iter().filter(|(name, _)| !NO_WORDS.contains(&name.as_str()));
            said.for_each(|(_, it)| words(it, found));
        }
        _ => {}
    }
}

fn unavailable() -> Problem {
    let detail = "prompts cannot be judged just now, and none is sent that is not";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "moderation_unavailable", detail).retry_after(10)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Judgement, objections, words};

    #[test]
    fn a_text_that_is_flagged_is_objected_to_though_nobody_says_why() {
        let objections = |results| {
            let judged: Judgement = serde_json::from_value(json!({ "results": results })).unwrap();
            objections(judged.results)
        };
        assert_eq!(objections(json!([{ "flagged": false }])), None);
        assert_eq!(objections(json!([{ "flagged": false }, { "flagged": true }])), Some(vec![]));
        let violent =
            json!({ "flagged": true, "categories": { "violence": true, "harassment": false } });
        assert_eq!(objections(json!([violent])), Some(vec!["violence".to_owned()]));
    }

    #[test]
    fn the_words_of_a_request_are_found_in_either_language() {
        let request = json!({
            "model": "m", "system": [{ "type": "text", "text": "a" }],
            "messages": [
                { "role": "user", "content": "b" },
                { "role": "user", "content": [
                    { "type": "text", "text": "c" },
                    { "type": "image_url", "image_url": { "url": "data:x" } },
                    { "type": "refusal", "refusal": "f" },
                ] },
                { "role": "assistant", "tool_calls": [
                    { "id": "call_1", "type": "function", "function": { "arguments": "g" } },
                ] },
            ],
            "input": ["d", " "], "prompt": "e",
        });
        let mut found = vec![];
        words(&request, &mut found);
        found.sort_unstable();
        assert_eq!(found, ["a", "b", "c", "d", "e", "f", "g"]);
    }
}
