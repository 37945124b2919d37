use serde::Deserialize;
use usage::Quantities;

/// `usage` as OpenAI-compatible providers report it.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct UsageReport {
    #[serde(default)]
    prompt_tokens: i64,
    #[serde(default)]
    completion_tokens: i64,
    #[serde(default)]
    prompt_tokens_details: Option<PromptDetails>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: i64,
}

impl From<UsageReport> for Quantities {
    fn from(report: UsageReport) -> Self {
        let reported = Self {
            input_tokens: report.prompt_tokens,
            cached_input_tokens: report.prompt_tokens_details.unwrap_or_default().cached_tokens,
            output_tokens: report.completion_tokens,
            images: 0,
        };
        reported.clamped()
    }
}

/// The tokens of a text of that many bytes, for want of the provider's count.
pub(crate) fn estimate_tokens(bytes: usize) -> i64 {
    i64::try_from(bytes.div_ceil(4)).unwrap_or(i64::MAX)
}
