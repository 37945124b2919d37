use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What a call is said to have used; signed, because a misbehaving provider may claim anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt, the cached ones included.
    pub prompt_tokens: i64,
    /// Tokens of the answer, the reasoning included.
    pub completion_tokens: i64,
    /// The part of the prompt that was cached.
    #[serde(default)]
    pub cached_tokens: i64,
    /// The part of the prompt that was written into the cache for a while.
    #[serde(default)]
    pub cache_write_tokens: i64,
    /// The same, for an hour.
    #[serde(default)]
    pub long_cache_write_tokens: i64,
    /// The part of the answer nobody sees.
    #[serde(default)]
    pub reasoning_tokens: i64,
}

impl Usage {
    pub(super) fn new(prompt_tokens: i64, completion_tokens: i64) -> Self {
        Self { prompt_tokens, completion_tokens, ..Self::default() }
    }

    fn total(self) -> i64 {
        self.prompt_tokens.saturating_add(self.completion_tokens)
    }

    pub(super) fn of_chat(self) -> Value {
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.total(),
            "prompt_tokens_details": { "cached_tokens": self.cached_tokens, "audio_tokens": 0 },
            "completion_tokens_details": {
                "reasoning_tokens": self.reasoning_tokens,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        })
    }

    pub(super) fn of_embeddings(self) -> Value {
        json!({ "prompt_tokens": self.prompt_tokens, "total_tokens": self.total() })
    }

    pub(super) fn of_images(self) -> Value {
        json!({
            "input_tokens": self.prompt_tokens,
            "input_tokens_details": { "text_tokens": self.prompt_tokens, "image_tokens": 0 },
            "output_tokens": self.completion_tokens,
            "total_tokens": self.total(),
        })
    }
}
