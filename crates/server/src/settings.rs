use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
    time::Duration,
};

use axum::http::HeaderValue;
use kernel::Environment;
use url::Url;
use web::TrustedProxies;

/// Every setting of every crate. Each can be given as a flag, as an environment variable, or as
/// `NAME_FILE` naming a file that holds the value.
#[derive(Clone, Debug, clap::Args)]
pub struct Settings {
    /// Where this runs: development, staging or production. Development starts what is missing.
    #[arg(long, env, default_value_t)]
    pub app_env: Environment,

    /// Port of the API.
    #[arg(long, env, default_value_t = 4000)]
    pub port: u16,

    /// Address to listen on. Loopback in development, all interfaces otherwise.
    #[arg(long, env)]
    pub host: Option<IpAddr>,

    /// Where customers reach this API, for links in mails and redirects: scheme, host and port, no path.
    #[arg(long, env)]
    pub app_url: Option<Url>,

    /// What this process does: api, worker, scheduler, or several of them.
    #[arg(long, env, value_delimiter = ',', default_value = "api,worker,scheduler")]
    pub roles: Vec<Role>,

    /// Address at which a process without the API answers `/health/live`, `/health/ready` and `/health`, such as
    /// `0.0.0.0:9000`, for platforms that look after workers. Unset: none.
    #[arg(long, env)]
    pub worker_health_addr: Option<SocketAddr>,

    /// Whether `serve` applies pending migrations first; turn it off where a release command does.
    #[arg(long, env, default_value_t = true, action = clap::ArgAction::Set)]
    pub migrate_on_start: bool,

    /// Seconds to go on serving after SIGTERM, while load balancers notice that readiness is gone.
    #[arg(long, env, default_value_t = 0)]
    pub drain_seconds: u64,

    /// Seconds that requests and AI calls in flight may take to end after that.
    #[arg(long, env, default_value_t = 30)]
    pub grace_seconds: u64,

    /// Seconds a request may take before it is answered 503; streams, uploads and AI calls keep their own time.
    #[arg(long, env, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    pub request_timeout_seconds: u64,

    /// Milliseconds a health check may take before it counts as failed.
    #[arg(long, env, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..))]
    pub health_timeout_ms: u64,

    /// How many reverse proxies of yours append to X-Forwarded-For.
    #[arg(long, env, default_value_t = 0)]
    pub trusted_proxies: usize,

    /// Origins whose pages may call the API from a browser.
    #[arg(long, env, value_delimiter = ',')]
    pub cors_origins: Vec<Origin>,

    /// The database.
    #[command(flatten)]
    pub db: db::Config,

    /// Logs, errors, metrics.
    #[command(flatten)]
    pub telemetry: telemetry::Config,

    /// Backups.
    #[command(flatten)]
    pub backups: backups::Config,

    /// Background work.
    #[command(flatten)]
    pub jobs: jobs::Config,

    /// URLs that customers give.
    #[command(flatten)]
    pub egress: egress::Config,

    /// Who is told when something is wrong.
    #[command(flatten)]
    pub alerts: alerts::Config,

    /// Long work of orgs.
    #[command(flatten)]
    pub org_jobs: org_jobs::Config,

    /// Rate limits.
    #[command(flatten)]
    pub rate_limit: rate_limit::Config,

    /// Mail.
    #[command(flatten)]
    pub email: email::Config,

    /// Files.
    #[command(flatten)]
    pub storage: storage::Config,

    /// Files of orgs.
    #[command(flatten)]
    pub assets: assets::Config,

    /// What was called, and what it costs.
    #[command(flatten)]
    pub usage: usage::Config,

    /// Budgets.
    #[command(flatten)]
    pub quotas: quotas::Config,

    /// What is told to customers' programs.
    #[command(flatten)]
    pub webhooks: webhooks::Config,

    /// Who did what.
    #[command(flatten)]
    pub audit: audit::Config,

    /// Accounts.
    #[command(flatten)]
    pub auth: auth::Config,

    /// Copies of people's data, and its end.
    #[command(flatten)]
    pub privacy: privacy::Config,

    /// Who is told of tickets, and how long they last.
    #[command(flatten)]
    pub support: support::Config,

    /// AI providers.
    #[command(flatten)]
    pub ai: ai::Config,

    /// Payments.
    #[command(flatten)]
    pub billing: billing::Config,

    /// What people have models make.
    #[command(flatten)]
    pub studio: studio::Config,

    /// How long projects last.
    #[command(flatten)]
    pub projects: projects::Config,
}

/// A part of the program's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Answers requests.
    Api,
    /// Runs jobs.
    Worker,
    /// Queues jobs by the clock.
    Scheduler,
}

/// An origin as browsers send it: scheme, host and port, no path.
#[derive(Clone, Debug)]
pub struct Origin(pub HeaderValue);

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|error| error.to_string())?;
        let origin = url.origin().ascii_serialization();
        if origin != text {
            return Err("expected an origin such as https://app.example.com".into());
        }
        HeaderValue::try_from(origin).map(Self).map_err(|error| error.to_string())
    }
}

impl Settings {
    /// Everything that is wrong with the settings as a whole, so that all of it shows at once.
    pub fn problems(&self) -> Vec<String> {
        let environment = self.app_env;
        let mut problems = self.db.problems();
        problems.extend(self.backups.problems(&self.storage, environment));
        problems.extend(self.egress.problems(environment));
        problems.extend(self.rate_limit.problems(environment));
        problems.extend(self.auth.problems(environment));
        problems.extend(self.email.problems(environment));
        problems.extend(self.billing.problems(environment));
        problems.extend(self.ai.problems(environment));
        problems.extend(self.alerts.problems(environment));
        problems.extend(self.support.problems(environment));
        // The keys may be there for backups alone.
        if self.storage.s3_bucket.is_some() || self.backups.backup_bucket.is_none() {
            problems.extend(self.storage.problems(environment));
        }
        problems.extend(self.assets.problems(environment));
        if environment != Environment::Development || !cfg!(feature = "simulators") {
            problems.extend(self.missing());
        }
        if self.app_url.as_ref().is_some_and(|url| url.path() != "/") {
            problems.push("APP_URL must be an origin such as https://app.example.com".into());
        }
        let secure = self.app_url.as_ref().is_none_or(|url| url.scheme() == "https");
        if environment.is_production() && !secure {
            problems.push("APP_URL must be https in production".into());
        }
        problems
    }

    /// The same for commands that use nothing but the database.
    pub fn database_problems(&self) -> Vec<String> {
        let mut problems = self.db.problems();
        if self.app_env != Environment::Development && self.db.database_url.is_none() {
            problems.push(format!("DATABASE_URL is required when APP_ENV is {}", self.app_env));
        }
        problems
    }

    /// What only development starts by itself.
    fn missing(&self) -> Vec<String> {
        let free = self.billing.billing_mode == billing::Mode::Free;
        let given = [
            ("DATABASE_URL", self.db.database_url.is_some()),
            ("AUTH_SECRET", self.auth.auth_secret.is_some()),
            ("APP_URL", self.app_url.is_some()),
            ("OPENAI_API_KEY, ANTHROPIC_API_KEY or AI_PROVIDERS", !self.ai.is_empty()),
            (
                "STRIPE_SECRET_KEY (or BILLING_MODE=free)",
                free || self.billing.stripe_secret_key.is_some(),
            ),
            ("STRIPE_WEBHOOK_SECRET", free || self.billing.stripe_webhook_secret.is_some()),
            ("SMTP_URL or RESEND_API_KEY", self.email.is_set()),
        ];
        let missing = given.into_iter().filter(|(_, given)| !given);
        missing
            .map(|(name, _)| format!("{name} is required when APP_ENV is {}", self.app_env))
            .collect()
    }

    /// The same for commands that sign nothing and send nothing, so that they need no secrets.
    #[must_use]
    pub fn for_nobody(mut self) -> Self {
        self.auth
            .auth_secret
            .get_or_insert("nothing is signed with this, so it is no secret".into());
        self.without_mail()
    }

    /// For commands that send no mail, so that they need no server for it.
    #[must_use]
    pub fn without_mail(mut self) -> Self {
        if !self.email.is_set() {
            self.email.smtp_url = Some("smtp://127.0.0.1:25".into());
        }
        self
    }

    /// Where customers reach the product.
    pub fn public_url(&self) -> Url {
        self.app_url.clone().unwrap_or_else(|| {
            let local = format!("http://127.0.0.1:{}", self.port);
            Url::parse(&local).expect("a loopback address and a port are a URL")
        })
    }

    /// The address to listen on.
    pub fn listen_host(&self) -> IpAddr {
        let development = self.app_env == Environment::Development;
        self.host.unwrap_or(if development { [127, 0, 0, 1].into() } else { [0, 0, 0, 0].into() })
    }

    /// Whether this process does `role`.
    pub fn does(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    pub(crate) fn http(&self) -> app::HttpSettings {
        app::HttpSettings {
            environment: self.app_env,
            trusted_proxies: TrustedProxies(self.trusted_proxies),
            cors_origins: self.cors_origins.iter().map(|origin| origin.0.clone()).collect(),
            time_limit: Duration::from_secs(self.request_timeout_seconds),
        }
    }

    pub(crate) fn health_timeout(&self) -> Duration {
        Duration::from_millis(self.health_timeout_ms)
    }
}
