use std::net::{Ipv4Addr, SocketAddr};

use auth::Registration;
use axum::serve::ListenerExt;
use chrono::{Days, NaiveTime, TimeDelta};
use db::Db;
use jobs::Registry;
use kernel::Clock;
use rate_limit::Switch;
use serde_json::json;
use server::{Product, Settings};
use simulators::{
    ai::Ai, identity, identity::Identity, mailbox::Mailbox, resend, sink::Sink, stripe,
    stripe::Stripe,
};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::oneshot};
use totp_rs::Totp;
use uuid::Uuid;
use web::Role;

use crate::{Client, Database, PASSWORD};

const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const NOON: NaiveTime = NaiveTime::from_hms_opt(12, 0, 0).expect("a time of day");
/// The end of a day, in which no test begins that lives by the real time.
const LATE: TimeDelta = TimeDelta::minutes(2);
const LONG_MS: u64 = 60_000;
const STRIPE_SECRET_KEY: &str = "sk_test_simulator";
const STRIPE_WEBHOOK_SECRET: &str = "whsec_simulator";

/// The product, running.
pub struct TestApp {
    /// Where it answers.
    pub url: String,
    /// The database, in both roles.
    pub db: Db,
    /// The time that it believes in; see [`TestApp::advance`].
    pub clock: Clock,
    /// Other people's servers.
    pub simulators: Simulators,
    /// The settings it runs with, to start another process like it.
    pub settings: Settings,
    /// Who did what.
    pub audit: audit::Audit,
    /// Accounts.
    pub auth: auth::Auth,
    /// Reservations.
    pub quotas: quotas::Quotas,
    /// AI calls in flight.
    pub ai: ai::Ai,
    /// What is sold.
    pub billing: billing::Billing,
    /// What is told to customers' programs.
    pub webhooks: webhooks::Webhooks,
    /// What every table keeps about people and orgs.
    pub personal_data: Vec<app::PersonalData>,
    http: reqwest::Client,
    jobs: Registry,
    database: Database,
    _files: TempDir,
}

/// Other people's servers, to be inspected and made to misbehave.
pub struct Simulators {
    /// Payments.
    pub stripe: Stripe,
    /// The AI provider.
    pub ai: Ai,
    /// Mail.
    pub mailbox: Mailbox,
    /// Accounts elsewhere.
    pub identity: Identity,
    /// A customer's program that is told what happens.
    pub sink: Sink,
}

impl TestApp {
    /// The product with traffic limits lifted.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// The product with settings of the test's own.
    pub async fn start_with(adjust: impl FnOnce(&mut Settings)) -> Self {
        // Stands still at noon, so that no test depends on when a day ends.
        let today = Clock::System.now().date_naive();
        let noon = Clock::frozen_at(today.and_time(NOON).and_utc());
        // It is large.
        Box::pin(Self::compose(noon, adjust)).await
    }

    /// The product at the real time, for tests that start processes, which know no other.
    pub async fn live() -> Self {
        let now = Clock::System.now();
        let midnight = (now.date_naive() + Days::new(1)).and_time(NaiveTime::MIN).and_utc();
        if midnight - now < LATE {
            // So that no test depends on when a day ends.
            tokio::time::sleep((midnight - now).to_std().expect("it is ahead")).await;
        }
        Box::pin(Self::compose(Clock::System, |_| {})).await
    }

    async fn compose(clock: Clock, adjust: impl FnOnce(&mut Settings)) -> Self {
        let database = Database::new().await;
        let listener = TcpListener::bind(ANYWHERE).await.expect("listen");
        let address = listener.local_addr().expect("an address");
        let simulators = Simulators::start(address).await;
        let files = TempDir::new().expect("a directory for files");
        let mut settings = simulators.settings();
        settings.port = address.port();
        settings.storage.storage_dir = files.path().to_owned();
        adjust(&mut settings);

        if let Clock::Frozen(_) = clock {
            simulators.stripe.set_now(Some(clock.now().timestamp()));
            simulators.identity.set_now(Some(clock.now().timestamp()));
        }
        let pool = settings.db.pool(database.options.clone());
        let product = Product::compose(&settings, pool, clock.clone());
        let product = product.expect("compose the product");
        product.quotas.set_platform_budget(&settings.quotas).await.expect("set the budgets");
        let (db, jobs) = (product.db.clone(), product.jobs.clone());
        let (billing, personal_data) = (product.billing.clone(), product.personal_data.clone());
        let (audit, webhooks) = (product.audit.clone(), product.webhooks.clone());
        let (auth, quotas, ai) = (product.auth.clone(), product.quotas.clone(), product.ai.clone());
        let service = product.into_router().into_make_service_with_connect_info::<SocketAddr>();
        let listener =
            listener.tap_io(|connection| connection.set_nodelay(true).expect("no delay"));
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self {
            url: format!("http://{address}"),
            db,
            clock,
            simulators,
            settings,
            audit,
            auth,
            quotas,
            ai,
            billing,
            webhooks,
            personal_data,
            http: reqwest::Client::new(),
            jobs,
            database,
            _files: files,
        }
    }

    /// Somebody without credentials.
    pub fn anonymous(&self) -> Client {
        Client::new(self.http.clone(), self.url.clone(), self.quotas.clone())
    }

    /// A signed-in person with a verified address and an org of their own, on the free plan.
    pub async fn owner(&self) -> Client {
        let email = format!("{}@example.com", Uuid::now_v7().simple());
        let registration = Registration {
            email: email.parse().expect("an address"),
            name: auth::Name::new("Ada").expect("a name"),
            password: PASSWORD.into(),
        };
        let registered = self.auth.register_verified(&registration).await.expect("register");
        let mut client = self.anonymous();
        let credentials = json!({ "email": email, "password": PASSWORD });
        let session = client.post("/v1/sessions", credentials).await.ok();
        client.token = session["access_token"].as_str().map(str::to_owned);
        client.refresh_token = session["refresh_token"].as_str().map(str::to_owned);
        client.email = email;
        client.user = Some(registered.user);
        client.org = Some(registered.org);
        client
    }

    /// Somebody signed in who has `role` in the org of `owner`, and acts there.
    pub async fn member(&self, owner: &Client, role: Role) -> Client {
        let mut member = self.owner().await;
        let join =
            "insert into memberships (org_id, user_id, role, created_at) values ($1, $2, $3, $4)";
        sqlx::query(join)
            .bind(owner.org())
            .bind(member.user())
            .bind(role)
            .bind(self.clock.now())
            .execute(self.db.pool())
            .await
            .expect("join the org");
        sqlx::query("update sessions set org_id = $1 where user_id = $2")
            .bind(owner.org())
            .bind(member.user())
            .execute(self.db.pool())
            .await
            .expect("act in the org");
        member.org = owner.org;
        member
    }

    /// Makes `member` something else in the org of `owner`, past the rules of the product.
    pub async fn set_role(&self, owner: &Client, member: &Client, role: Role) {
        sqlx::query("update memberships set role = $1 where org_id = $2 and user_id = $3")
            .bind(role)
            .bind(owner.org())
            .bind(member.user())
            .execute(self.db.pool())
            .await
            .expect("change the role");
        self.db.changes().note(member.user());
    }

    /// One of the people who run the product, signed in with both factors.
    pub async fn operator(&self) -> Client {
        let email = format!("{}@example.com", Uuid::now_v7().simple());
        let mut db = self.db.pool().acquire().await.expect("a connection");
        let email = email.parse().expect("an address");
        let invitation = self.auth.invite_operator(&mut db, &email).await.expect("invite");
        let mut client = self.anonymous();
        let chosen = json!({ "token": invitation, "password": PASSWORD });
        let enrolment = client.post("/admin/v1/enrolments", chosen).await.ok();
        let totp = enrolment["totp_url"].as_str().expect("a second factor");
        let proof = json!({ "token": invitation, "code": self.totp_code(totp) });
        let enrolled = client.post("/admin/v1/enrolment-proofs", proof).await.ok();
        client.token = enrolled["token"].as_str().map(str::to_owned);
        client.totp_url = Some(totp.to_owned());
        client.email = email.to_string();
        client
    }

    /// What an authenticator that scanned `url` shows now.
    pub fn totp_code(&self, url: &str) -> String {
        let time = u64::try_from(self.clock.now().timestamp()).expect("after 1970");
        Totp::from_url(url).expect("a second factor").generate(time).to_string()
    }

    /// Runs every job that is due, and those that they queue, until none is. Failures are shown if
    /// the test fails; their jobs wait for another attempt.
    pub async fn run_jobs(&self) {
        let failed = jobs::run_due(self.db.pool(), &self.jobs).await.expect("run jobs");
        for job in failed {
            eprintln!("job {} failed: {}", job.name, job.last_error);
        }
    }

    /// Runs jobs as the program does, several at the same time, until what is answered is dropped.
    pub async fn start_worker(&self) -> oneshot::Sender<()> {
        let (stop, stopped) = oneshot::channel::<()>();
        let pool = PgPoolOptions::new().max_connections(20);
        let pool = pool.connect_with(self.database_options()).await.expect("connect");
        let config = self.settings.jobs.clone();
        let worker = jobs::Worker::new(pool.clone(), pool, self.jobs.clone(), vec![], config);
        tokio::spawn(worker.run(async {
            // Nothing is sent: the other end is dropped.
            let _ = stopped.await;
        }));
        stop
    }

    /// Moves the time that the product and other people's servers believe in. Postgres stays where it is.
    pub fn advance(&self, by: TimeDelta) {
        self.clock.advance(by);
        self.simulators.stripe.set_now(Some(self.clock.now().timestamp()));
        self.simulators.identity.set_now(Some(self.clock.now().timestamp()));
    }

    /// Fails the test if a rule of the books is broken.
    pub async fn assert_books_balance(&self) {
        self.quotas.settled().await;
        let mut broken = quotas::violations(self.db.pool()).await.expect("read the books");
        broken.extend(billing::violations(self.db.pool()).await.expect("read the books of money"));
        // Postgres, whose clock that rule goes by, stays where it is.
        let expired = self.expired_holds().await;
        broken.retain(|it| {
            it.rule != "hold_is_not_older_than_its_life" || expired.contains(&it.subject)
        });
        assert_eq!(broken, [], "the books are wrong");
        let wrong = quotas::differences(self.db.pool()).await.expect("add up the books");
        assert_eq!(wrong, [], "counters are wrong");
    }

    /// Holds that nobody ended in time, by the product's clock.
    async fn expired_holds(&self) -> Vec<String> {
        let limit = self.clock.now() - TimeDelta::minutes(5);
        let expired = sqlx::query_scalar("select id::text from holds where expires_at < $1");
        expired.bind(limit).fetch_all(self.db.pool()).await.expect("read the holds")
    }

    /// The address of the database, for another process.
    pub fn database_url(&self) -> String {
        self.database.url()
    }

    /// The same, for another pool.
    pub fn database_options(&self) -> PgConnectOptions {
        self.database.options.clone()
    }
}

impl Simulators {
    async fn start(api: SocketAddr) -> Self {
        let stripe = stripe::Config {
            addr: ANYWHERE,
            webhook_url: Some(format!("http://{api}/v1/webhooks/stripe")),
            webhook_secret: STRIPE_WEBHOOK_SECRET.to_owned(),
            secret_key: STRIPE_SECRET_KEY.to_owned(),
            state_file: None,
        };
        Self {
            stripe: Stripe::start(stripe).await.expect("start the Stripe simulator"),
            ai: Ai::start(ANYWHERE).await.expect("start the AI simulator"),
            mailbox: Mailbox::start(ANYWHERE, ANYWHERE).await.expect("start the mailbox"),
            identity: Identity::start(ANYWHERE).await.expect("start the identity provider"),
            sink: Sink::start(ANYWHERE).await.expect("start the webhook sink"),
        }
    }

    /// The defaults, pointed at the simulators.
    fn settings(&self) -> Settings {
        let cli = server::cli::read(vec!["slipway".into()], &|_| None);
        let mut settings = cli.expect("the defaults are valid").settings;
        settings.auth.auth_secret = Some("a secret that is only used by tests, 48 bytes".into());
        settings.egress.egress_allow_loopback = true;
        settings.rate_limit.rate_limits = Switch::Off;
        // A busy machine is no outage.
        settings.request_timeout_seconds = 300;
        settings.health_timeout_ms = LONG_MS;
        settings.db.database_acquire_timeout_ms = LONG_MS;
        settings.db.database_statement_timeout_ms = LONG_MS;
        settings.db.database_lock_timeout_ms = LONG_MS;
        settings.ai.openai_api_key = Some("simulator".into());
        settings.ai.openai_base_url = self.ai.url();
        settings.ai.anthropic_api_key = Some("simulator".into());
        settings.ai.anthropic_base_url = self.ai.url();
        let social = &mut settings.auth.social;
        social.oidc_providers = Some(oidc_provider("simulator", &self.identity).into());
        social.github_client_id = Some(identity::CLIENT_ID.to_owned());
        social.github_client_secret = Some(identity::CLIENT_SECRET.into());
        social.github_url = self.identity.github_url().parse().ok();
        social.github_api_url = self.identity.github_url().parse().ok();
        settings.billing.stripe_secret_key = Some(STRIPE_SECRET_KEY.into());
        settings.billing.stripe_webhook_secret = Some(STRIPE_WEBHOOK_SECRET.into());
        settings.billing.stripe_base_url = self.stripe.url().parse().ok();
        settings.email.resend_webhook_secret = Some(resend::WEBHOOK_SECRET.into());
        settings.email.smtp_url = Some(self.mailbox.smtp_url().into());
        settings
    }
}

/// An identity provider as the settings describe it, in a list of one.
pub fn oidc_provider(name: &str, provider: &Identity) -> String {
    let described = json!([{
        "name": name,
        "issuer": provider.url(),
        "client_id": identity::CLIENT_ID,
        "client_secret": identity::CLIENT_SECRET,
    }]);
    described.to_string()
}
