use std::collections::HashSet;

use kernel::{Environment, NanoUsd};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::{Dialect, controls::AnomalyRule, hygiene::Hygiene, moderation::Moderator};

/// Where AI calls go and how long they may take.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Keys of `OpenAI`, separated by commas. Without any provider, a simulator answers (not in production).
    #[arg(long, env, hide_env_values = true)]
    pub openai_api_key: Option<SecretString>,

    /// Base URL of the provider `openai`; another server that speaks its API may need no key.
    #[arg(long, env, default_value = OPENAI)]
    pub openai_base_url: String,

    /// Whether the provider `openai` has a Batch API: it then makes batches, at its price for them.
    #[arg(long, env, default_value_t = true, action = clap::ArgAction::Set)]
    pub openai_batches: bool,

    /// Keys of Anthropic, separated by commas.
    #[arg(long, env, hide_env_values = true)]
    pub anthropic_api_key: Option<SecretString>,

    /// Base URL of the provider `anthropic`.
    #[arg(long, env, default_value = ANTHROPIC)]
    pub anthropic_base_url: String,

    /// Further providers (Gemini, Groq, Together, vLLM, …) as JSON:
    /// `[{"name": "groq", "base_url": "https://…/v1", "keys": ["a", {"key": "b", "weight": 3}]}]`,
    /// with `"dialect": "anthropic"` if it speaks Anthropic's API, `"batches": true` if it has `OpenAI`'s Batch API.
    #[arg(long, env, hide_env_values = true)]
    pub ai_providers: Option<SecretString>,

    /// Seconds a provider may take until its answer begins; a whole answer begins when it is finished.
    #[arg(long, env, default_value_t = 600)]
    pub ai_first_byte_seconds: u64,

    /// Seconds a provider may be silent in the middle of an answer.
    #[arg(long, env, default_value_t = 60)]
    pub ai_idle_seconds: u64,

    /// Seconds a streamed answer may take in all; its reservation is renewed so long.
    #[arg(long, env, default_value_t = 3600)]
    pub ai_longest_stream_seconds: u64,

    /// Whether a stream is cancelled at its provider when the client leaves, and charged by what was
    /// delivered. For providers that stop billing then; otherwise it is read to its end and charged whole.
    #[arg(long, env, default_value_t = false, action = clap::ArgAction::Set)]
    pub ai_cancel_abandoned: bool,

    /// Calls that nobody waits for (`Prefer: respond-async`) which each process makes at the same time;
    /// half as many of batches.
    #[arg(long, env, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..))]
    pub ai_background_calls: u16,

    /// The most tokens of a prompt, at one for each byte of text and 49,000 for an image; a longer one is refused.
    #[arg(long, env, default_value_t = 4_000_000, value_parser = clap::value_parser!(i64).range(1..))]
    pub ai_longest_prompt: i64,

    /// Whether a prompt is refused that contains control characters other than tabs and ends of lines, such as those
    /// that color what a terminal shows.
    #[arg(long, env, default_value_t = true, action = clap::ArgAction::Set)]
    pub ai_refuse_control_characters: bool,

    /// Who judges each prompt before it is sent, as `provider/model`, such as `openai/omni-moderation-latest`: a
    /// provider with `OpenAI`'s moderation API. Unset: nobody. No prompt is sent while it does not answer.
    #[arg(long, env)]
    pub ai_moderation: Option<String>,

    /// AI calls of an org are switched off when ten minutes cost so many times the usual; 0: never.
    #[arg(long, env, default_value_t = 10)]
    pub ai_anomaly_factor: u16,

    /// US dollars that ten minutes may always cost an org, whatever is usual; all orgs together ten times as much.
    #[arg(long, env, default_value_t = 20)]
    pub ai_anomaly_floor_usd: u32,
}

impl Config {
    pub(crate) fn hygiene(&self) -> Hygiene {
        Hygiene {
            most_tokens: self.ai_longest_prompt,
            refuses_control_characters: self.ai_refuse_control_characters,
        }
    }

    /// Who judges prompts.
    pub(crate) fn moderator(&self) -> Option<Moderator> {
        let (provider, model) = self.ai_moderation.as_ref()?.split_once('/')?;
        Some(Moderator { provider: provider.to_owned(), model: model.to_owned() })
    }

    /// When spending is unusual; `None`: it is not watched.
    pub(crate) fn anomaly(&self) -> Option<AnomalyRule> {
        let floor = NanoUsd::from_dollars(self.ai_anomaly_floor_usd.into());
        (self.ai_anomaly_factor > 0)
            .then(|| AnomalyRule { factor: self.ai_anomaly_factor.into(), floor })
    }
}

const OPENAI: &str = "https://api.openai.com/v1";
const ANTHROPIC: &str = "https://api.anthropic.com/v1";

/// A provider as it is configured.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProviderConfig {
    /// As the price book calls it.
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) dialect: Dialect,
    pub(crate) base_url: String,
    /// Whether it has a Batch API like `OpenAI`'s.
    #[serde(default)]
    pub(crate) batches: bool,
    /// None for a server that asks for none.
    #[serde(default)]
    pub(crate) keys: Vec<KeyConfig>,
}

/// A key, and its share of the calls in relation to the others.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "KeyOrWeighted")]
pub(crate) struct KeyConfig {
    pub(crate) key: SecretString,
    pub(crate) weight: u8,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum KeyOrWeighted {
    Key(String),
    Weighted { key: String, weight: u8 },
}

impl From<KeyOrWeighted> for KeyConfig {
    fn from(given: KeyOrWeighted) -> Self {
        let (key, weight) = match given {
            KeyOrWeighted::Key(key) => (key, 1),
            KeyOrWeighted::Weighted { key, weight } => (key, weight),
        };
        Self { key: key.into(), weight }
    }
}

impl Config {
    /// What is wrong with the settings.
    pub fn problems(&self, environment: Environment) -> Vec<String> {
        let providers = match self.providers() {
            Ok(providers) => providers,
            Err(problem) => return vec![problem],
        };
        let mut problems = Vec::new();
        let mut names = HashSet::new();
        for ProviderConfig { name, base_url, keys, .. } in &providers {
            if !names.insert(name) || name.is_empty() || name.contains('/') {
                problems.push(format!("AI_PROVIDERS: {name:?} is taken or no name"));
            }
            if environment.is_production() && !base_url.starts_with("https://") {
                problems.push(format!(
                    "the AI provider {name} must be https in production ({})",
                    base_url_setting(name)
                ));
            }
            if keys.iter().any(|key| key.weight == 0 || key.key.expose_secret().is_empty()) {
                problems
                    .push(format!("the AI provider {name} has an empty key, or one of weight 0"));
            }
        }
        if self.ai_moderation.is_some() {
            // The simulator that stands in for them all is called openai.
            let known = |it: &Moderator| providers.is_empty() || names.contains(&it.provider);
            if !self.moderator().is_some_and(|it| known(&it)) {
                problems.push("AI_MODERATION must be provider/model, of a provider".to_owned());
            }
        }
        problems
    }

    /// Whether no provider is configured at all, so that a simulator has to stand in.
    pub fn is_empty(&self) -> bool {
        self.providers().is_ok_and(|providers| providers.is_empty())
    }

    /// Every provider, in the order in which a model that several serve is looked up.
    pub(crate) fn providers(&self) -> Result<Vec<ProviderConfig>, String> {
        let built_in = [
            ("openai", Dialect::OpenAi, &self.openai_base_url, OPENAI, &self.openai_api_key),
            (
                "anthropic",
                Dialect::Anthropic,
                &self.anthropic_base_url,
                ANTHROPIC,
                &self.anthropic_api_key,
            ),
        ];
        // A server without keys, such as Ollama, is named by its address alone.
        let used = built_in
            .into_iter()
            .filter(|(_, _, url, default, key)| key.is_some() || url != default);
        let mut providers: Vec<_> = used
            .map(|(name, dialect, base_url, _, keys)| ProviderConfig {
                name: name.to_owned(),
                dialect,
                base_url: base_url.clone(),
                batches: self.openai_batches,
                keys: keys.as_ref().map(split).unwrap_or_default(),
            })
            .collect();
        if let Some(more) = &self.ai_providers {
            let more: Vec<ProviderConfig> = serde_json::from_str(more.expose_secret())
                // The error itself may quote a key.
                .map_err(|error| {
                    format!(
                        "AI_PROVIDERS is not understood at line {}, column {}",
                        error.line(),
                        error.column()
                    )
                })?;
            providers.extend(more);
        }
        Ok(providers)
    }
}

fn split(keys: &SecretString) -> Vec<KeyConfig> {
    let keys = keys.expose_secret().split(',').map(str::trim);
    keys.map(|key| KeyConfig { key: key.into(), weight: 1 }).collect()
}

fn base_url_setting(name: &str) -> &'static str {
    match name {
        "openai" => "OPENAI_BASE_URL",
        "anthropic" => "ANTHROPIC_BASE_URL",
        _ => "AI_PROVIDERS",
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use kernel::Environment;

    use super::Config;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        config: Config,
    }

    fn config(arguments: &[&str]) -> Config {
        Cli::parse_from(std::iter::once(&"slipway").chain(arguments)).config
    }

    #[test]
    fn a_provider_is_used_once_it_has_a_key_or_an_address_of_its_own() {
        assert!(config(&[]).is_empty());
        let local = config(&["--openai-base-url", "http://127.0.0.1:11434/v1"]);
        assert!(local.providers().unwrap()[0].keys.is_empty());
        let two = config(&["--openai-api-key", "a, b", "--anthropic-api-key", "c"]);
        assert_eq!(two.providers().unwrap()[0].keys.len(), 2);
        assert_eq!(two.providers().unwrap()[1].name, "anthropic");
    }

    #[test]
    fn further_providers_bring_weighted_keys() {
        let json =
            r#"[{"name":"groq","base_url":"https://groq/v1","keys":["a",{"key":"b","weight":3}]}]"#;
        let config = config(&["--ai-providers", json]);
        assert_eq!(config.problems(Environment::Production), [""; 0]);
        let groq = &config.providers().unwrap()[0];
        assert_eq!(groq.keys.iter().map(|key| key.weight).collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn mistakes_are_named_and_keys_are_not() {
        for (json, expected) in [
            (r#"[{"name":"a","base_url":"https://a","keys":[{"key":"sk-secret"}]}]"#, "line 1"),
            (r#"[{"name":"a","base_url":"http://a","keys":["sk-secret"]}]"#, "https"),
            (r#"[{"name":"a/b","base_url":"https://a","keys":["sk-secret"]}]"#, "a/b"),
            (
                r#"[{"name":"a","base_url":"https://a","keys":[{"key":"sk-secret","weight":0}]}]"#,
                "weight",
            ),
            (
                r#"[{"name":"a","base_url":"https://a"},{"name":"a","base_url":"https://b"}]"#,
                "taken",
            ),
        ] {
            let problems =
                config(&["--ai-providers", json]).problems(Environment::Production).join(" ");
            assert!(problems.contains(expected), "{problems}");
            assert!(!problems.contains("sk-secret"), "{problems}");
        }
    }
}
