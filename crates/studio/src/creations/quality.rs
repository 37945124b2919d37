//! How good a result looks, without asking anybody.

use serde_json::Value;

/// Points of a hundred, and what points were taken off for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Quality {
    pub(crate) score: i16,
    pub(crate) reasons: Vec<String>,
}

/// How models begin that will not do it, in English.
const REFUSALS: [&str; 5] = ["i can't", "i cannot", "i'm sorry", "i am sorry", "as an ai"];
/// From so many words on, repetitions tell.
const MANY_WORDS: usize = 50;

impl Quality {
    /// Of the first choice of an answer to `brief`.
    pub(crate) fn of(brief: &str, choice: &Value) -> Self {
        let text = choice["message"]["content"].as_str().unwrap_or_default().trim();
        let refused = choice["message"]["refusal"].is_string()
            || choice["finish_reason"] == "content_filter"
            || declines(text);
        let faults = [
            ("empty", 100, text.is_empty()),
            ("refused", 80, refused),
            ("cut_off", 40, choice["finish_reason"] == "length"),
            ("short", 20, text.chars().count() < (brief.chars().count() / 10).clamp(10, 400)),
            ("repetitive", 30, repeats_itself(text)),
        ];
        let found = faults.into_iter().filter(|(_, _, is_so)| *is_so);
        let (score, reasons) =
            found.fold((100, vec![]), |(score, mut reasons), (name, points, _)| {
                reasons.push(name.to_owned());
                (score - points, reasons)
            });
        Self { score: score.max(0), reasons }
    }
}

fn declines(text: &str) -> bool {
    let beginning: String = text.chars().take(20).collect();
    let beginning = beginning.to_lowercase().replace('’', "'");
    REFUSALS.iter().any(|it| beginning.starts_with(it))
}

/// Whether fewer than a third of its words are different ones.
fn repeats_itself(text: &str) -> bool {
    let mut words: Vec<_> = text.split_whitespace().map(str::to_lowercase).collect();
    let all = words.len();
    words.sort_unstable();
    words.dedup();
    all >= MANY_WORDS && words.len() * 3 < all
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Quality;

    fn of(text: &Value, finish_reason: &str) -> (i16, Vec<String>) {
        let choice = json!({ "message": { "content": text }, "finish_reason": finish_reason });
        let Quality { score, reasons } = Quality::of("Write a slogan for a boat", &choice);
        (score, reasons)
    }

    #[test]
    fn an_answer_loses_points_for_what_is_wrong_with_it() {
        let good = json!("Sail further than you dream, and come home happier.");
        assert_eq!(of(&good, "stop"), (100, vec![]));
        assert_eq!(of(&good, "length"), (60, vec!["cut_off".to_owned()]));
        assert_eq!(of(&json!("Sail"), "stop"), (80, vec!["short".to_owned()]));
        for nothing in [json!(null), json!(" ")] {
            assert_eq!(of(&nothing, "stop").0, 0);
        }
        assert_eq!(of(&json!("I’m sorry, but I will not write that."), "stop").0, 20);
        assert_eq!(of(&good, "content_filter"), (20, vec!["refused".to_owned()]));
        let words = "one two three ".repeat(30);
        assert_eq!(of(&json!(words), "stop"), (70, vec!["repetitive".to_owned()]));
    }
}
