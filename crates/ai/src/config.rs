use secrecy::SecretString;

/// Where AI calls go and how long they may take.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Key of the OpenAI-compatible provider. Unset, a simulator answers (not in production).
    #[arg(long, env, hide_env_values = true)]
    pub openai_api_key: Option<SecretString>,

    /// Base URL of the provider: `OpenAI`, Gemini, Groq, Together, Ollama, vLLM and others speak its API.
    #[arg(long, env, default_value = "https://api.openai.com/v1")]
    pub openai_base_url: String,

    /// Seconds a provider may take until its answer begins; a whole answer begins when it is finished.
    #[arg(long, env, default_value_t = 600)]
    pub ai_first_byte_seconds: u64,

    /// Seconds a provider may be silent in the middle of an answer.
    #[arg(long, env, default_value_t = 60)]
    pub ai_idle_seconds: u64,
}
