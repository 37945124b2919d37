use serde::Deserialize;
use usage::Quantities;

/// More tokens than any call has. A report beyond it is nonsense and must not overflow a sum.
const PLAUSIBLE: i64 = 1_000_000_000;

/// `usage` as OpenAI-compatible providers report it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct UsageReport {
    #[serde(alias = "input_tokens")]
    prompt_tokens: Option<i64>,
    #[serde(alias = "output_tokens")]
    completion_tokens: Option<i64>,
    total_tokens: Option<i64>,
    prompt_tokens_details: Option<PromptDetails>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
struct PromptDetails {
    #[serde(rename = "cached_tokens")]
    cached: Option<i64>,
    /// Written into the provider's cache for a while.
    #[serde(rename = "cache_write_tokens")]
    written: Option<i64>,
    /// Written into it to last; not among the others.
    #[serde(rename = "long_cache_write_tokens")]
    written_to_last: Option<i64>,
}

impl UsageReport {
    /// What it says; `None` if it does not say enough to charge by, or counts less than nothing.
    pub(crate) fn quantities(self) -> Option<Quantities> {
        let input_tokens = self.prompt_tokens.filter(|tokens| *tokens > 0)?.min(PLAUSIBLE);
        let output_tokens = Some(self.completion_tokens.unwrap_or(0)).filter(|it| *it >= 0)?;
        let details = self.prompt_tokens_details.unwrap_or_default();
        // Some providers report hidden reasoning only as a part of the total.
        let hidden = self.total_tokens.unwrap_or(0).saturating_sub(input_tokens);
        let reported = Quantities {
            input_tokens,
            cached_input_tokens: details.cached.unwrap_or(0),
            cache_write_tokens: details.written.unwrap_or(0),
            long_cache_write_tokens: details.written_to_last.unwrap_or(0),
            output_tokens: output_tokens.max(hidden).min(PLAUSIBLE),
            ..Quantities::default()
        };
        Some(reported.clamped())
    }
}

/// The tokens of a text of that many bytes, for want of the provider's count.
pub(crate) fn estimate_tokens(bytes: usize) -> i64 {
    i64::try_from(bytes.div_ceil(4)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use usage::Quantities;

    use super::UsageReport;

    fn read(text: &str) -> Option<Quantities> {
        serde_json::from_str::<UsageReport>(text).unwrap().quantities()
    }

    #[test]
    fn hidden_reasoning_is_found_in_the_total() {
        let report = r#"{"prompt_tokens":9,"completion_tokens":1,"total_tokens":103}"#;
        assert_eq!(read(report).unwrap().output_tokens, 94);
    }

    #[test]
    fn a_report_that_says_nothing_is_none() {
        assert_eq!(read("{}"), None);
        assert_eq!(read(r#"{"prompt_tokens":null,"total_tokens":5}"#), None);
        assert_eq!(read(r#"{"prompt_tokens":-1,"completion_tokens":5}"#), None);
        assert_eq!(read(r#"{"prompt_tokens":5,"completion_tokens":-1}"#), None);
    }

    #[test]
    fn nonsense_is_made_plausible() {
        let report = format!(r#"{{"prompt_tokens":{0},"completion_tokens":{0}}}"#, i64::MAX);
        assert_eq!(read(&report).unwrap().tokens(), 2_000_000_000);
    }
}
