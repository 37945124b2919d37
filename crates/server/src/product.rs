use std::sync::Arc;

use admin::Admin;
use ai::{Ai, AnswerCache};
use alerts::Alerts;
use app::{App, Module, PersonalData};
use approvals::Approvals;
use assets::Assets;
use audit::Audit;
use auth::Auth;
use axum::{
    Router,
    middleware::{from_fn, from_fn_with_state},
};
use backups::Backups;
use billing::{Billing, Catalogue};
use db::Db;
use egress::Egress;
use email::Mailer;
use health::Health;
use idempotency::Idempotency;
use jobs::{Registry, Schedule};
use kernel::Clock;
use news::News;
use org_jobs::OrgJobs;
use privacy::Privacy;
use projects::Projects;
use quotas::Quotas;
use rate_limit::{Durable, Limits, RateLimit};
use sqlx::PgPool;
use storage::Storage;
use tokio::sync::Semaphore;
use tower::ServiceBuilder;
use url::Url;
use usage::{PriceBook, Usage};
use webhooks::Webhooks;

use crate::{Settings, database, partitions, passed_limits};

/// Every feature, composed: what the program serves and runs.
pub struct Product {
    /// The database, for both roles.
    pub db: Db,
    /// What time it is.
    pub clock: Clock,
    /// Who did what, for verifying.
    pub audit: Audit,
    /// Accounts, for seeding.
    pub auth: Auth,
    /// Reservations, for starting and draining.
    pub quotas: Quotas,
    /// AI calls in flight.
    pub ai: Ai,
    /// Requests in flight that are done to the end.
    pub idempotency: Idempotency,
    /// Mail, for trying it out.
    pub mailer: Mailer,
    /// Plans and prices, for seeding and for commands.
    pub billing: Billing,
    /// The limits on traffic, for telling other instances of this one.
    pub traffic: RateLimit,
    /// What is told to customers' programs.
    pub webhooks: Webhooks,
    /// What the people who run the product are told.
    pub alerts: Alerts,
    /// Backups, for commands.
    pub backups: Backups,
    /// Readiness.
    pub health: Health,
    /// The work done later.
    pub jobs: Registry,
    /// The work done by the clock.
    pub schedules: Vec<Schedule>,
    /// What every table keeps about people and orgs.
    pub personal_data: Vec<PersonalData>,
    app: App,
    settings: Settings,
}

fn usage(settings: &Settings, db: Db, clock: Clock, prices: PriceBook) -> Usage {
    Usage { db, clock, prices, config: settings.usage.clone() }
}

fn mailer(settings: &Settings, db: Db, clock: Clock) -> anyhow::Result<Mailer> {
    let secrets = settings.auth.secrets().cloned();
    Mailer::new(db, clock, &settings.email, settings.public_url(), secrets)
}

/// Domains that consist of mails for the most part.
fn approvals_and_news(
    db: &Db,
    clock: &Clock,
    mailer: &Mailer,
    limits: &Limits,
    app_url: Url,
) -> [Module; 2] {
    let (db, clock, mailer) = (|| db.clone(), || clock.clone(), || mailer.clone());
    let limits = limits.attempts.clone();
    let approvals = Approvals { db: db(), clock: clock(), mailer: mailer(), limits, app_url };
    let news = News { db: db(), clock: clock(), mailer: mailer() };
    [approvals::module(approvals), news::module(news)]
}

impl Product {
    /// Composes the features. Nothing is connected to before it is needed.
    pub fn compose(settings: &Settings, pool: PgPool, clock: Clock) -> anyhow::Result<Self> {
        let db = Db::new(pool);
        let url = settings.public_url();
        let attempts = Durable::new(db.clone(), clock.clone(), &settings.rate_limit);
        let traffic = RateLimit::new(&settings.rate_limit, db.clone(), clock.clone())?;
        let limits = Limits { attempts, traffic: traffic.clone() };
        let secrets = settings.auth.secrets().cloned();
        let mailer = mailer(settings, db.clone(), clock.clone())?;
        let storage = Storage::open(&settings.storage)?;
        let prices = PriceBook::new(db.clone(), clock.clone());
        let usage = usage(settings, db.clone(), clock.clone(), prices.clone());
        let quotas = Quotas::start(db.clone(), clock.clone(), &settings.quotas);
        let ai = Ai::new(
            db.clone(),
            clock.clone(),
            mailer.clone(),
            prices,
            quotas.clone(),
            &settings.ai,
        )?;
        let audit = Audit::new(db.clone(), clock.clone(), secrets.clone(), &settings.audit)?;
        let idempotency = Idempotency::new(db.clone(), clock.clone(), secrets, quotas.hold_life());
        let auth = Auth::new(
            db.clone(),
            clock.clone(),
            &settings.auth,
            url.clone(),
            mailer.clone(),
            limits.clone(),
            Catalogue::embedded().free().entitlement(),
        )?;
        let billing =
            Billing::new(db.clone(), clock.clone(), mailer.clone(), &settings.billing, url)?;
        let org_jobs = OrgJobs::new(db.clone(), clock.clone(), &settings.org_jobs);
        let projects = Projects::new(&db, &clock, &ai, &org_jobs);
        let work = [projects::work(&projects)].into_iter().flatten();
        let extras = approvals_and_news(&db, &clock, &mailer, &limits, settings.public_url());

        let backups = backups(settings, &db, &clock)?;
        let app = app::assemble(vec![
            rate_limit::module(limits),
            audit::module(audit.clone()),
            email::module(mailer.clone()),
            storage::module(storage.clone()),
            assets::module(assets(settings, &db, &clock, storage.clone())),
            idempotency::module(idempotency.clone()),
            usage::module(usage.clone()),
            quotas::module(quotas.clone()),
            auth::module(auth.clone()),
            ai::module(ai.clone()),
            billing::module(billing.clone()),
            org_jobs::module(org_jobs, work),
            projects::module(projects),
            admin::module(Admin {
                db: db.clone(),
                clock: clock.clone(),
                quotas: quotas.clone(),
                usage: usage.clone(),
                ai: ai.clone(),
                billing: billing.clone(),
                audit: audit.clone(),
                auth: auth.clone(),
            }),
            backups::module(backups.clone()),
            database::module(db.pool().clone()),
            partitions::module(db.clone(), clock.clone()),
        ]);
        let app = extras.into_iter().fold(app, App::with);
        let webhooks = Webhooks::new(
            (db.clone(), clock.clone()),
            (Egress::new(&settings.egress)?, mailer.clone()),
            settings.auth.secrets(),
            app.events.clone(),
            &settings.webhooks,
            settings.jobs.jobs_concurrency,
        )?;
        let alerts = alerts(settings, db.clone(), clock.clone(), mailer.clone())?;
        let app = app.with(webhooks::module(webhooks.clone())).with(alerts::module(alerts.clone()));
        let app = with_privacy(app, settings, &db, &clock, storage, &mailer);
        let health = Health::new(app.checks.clone(), clock.clone(), settings.health_timeout());
        let app = app.with(health::module(health.clone()));
        Ok(Self {
            db,
            clock,
            audit,
            auth,
            quotas,
            ai,
            idempotency,
            mailer,
            billing,
            traffic,
            webhooks,
            alerts,
            backups,
            health,
            jobs: app.jobs.clone(),
            schedules: app.schedules.clone(),
            personal_data: app.personal_data.clone(),
            app,
            settings: settings.clone(),
        })
    }

    /// What every feature says must be true.
    pub(crate) fn checks(&self) -> &[app::Check] {
        &self.app.checks
    }

    /// The API, with everything in front of it.
    pub fn into_router(self) -> Router {
        // Layers are cloned for every request.
        let (auth, traffic) = (Arc::new(self.auth), self.traffic);
        let answers = AnswerCache::new(self.ai);
        let noting = (self.db, self.clock);
        self.app
            .into_router(&self.settings.http(), |router| {
                // One layer made of all: each layer of a router copies those below it for every request.
                let gates = ServiceBuilder::new()
                    .layer(from_fn(ai::carry_errors))
                    .layer(from_fn_with_state(auth.clone(), auth::refuse_blocked))
                    .layer(from_fn_with_state(auth, auth::identify))
                    .layer(from_fn_with_state(traffic, rate_limit::limit))
                    .layer(from_fn_with_state(noting, passed_limits::write_down))
                    .layer(from_fn_with_state(self.idempotency, idempotency::guard))
                    .layer(from_fn_with_state(answers, ai::cached));
                router.layer(gates)
            })
            .layer(from_fn(telemetry::http::track))
    }

    /// The API's description and every operation in it.
    pub fn describe(self) -> (utoipa::openapi::OpenApi, Vec<web::Operation>) {
        self.app.describe()
    }
}

/// Files of orgs.
pub(crate) fn assets(settings: &Settings, db: &Db, clock: &Clock, storage: Storage) -> Assets {
    let (secrets, url) = (settings.auth.secrets(), settings.public_url());
    Assets::new((db.clone(), clock.clone()), storage, secrets, url, &settings.assets)
}

/// Of the whole database, past any transaction pooler.
fn backups(settings: &Settings, db: &Db, clock: &Clock) -> anyhow::Result<Backups> {
    let pooled = || db.pool().connect_options().as_ref().clone();
    let address = settings.db.direct_address().unwrap_or_else(pooled);
    Backups::new(db.clone(), clock.clone(), address, &settings.backups, &settings.storage)
}

/// Copies and ends of what all tables so far, and its own, keep about somebody.
fn with_privacy(
    app: App,
    settings: &Settings,
    db: &Db,
    clock: &Clock,
    storage: Storage,
    mailer: &Mailer,
) -> App {
    let tables = [app.personal_data.as_slice(), privacy::PERSONAL_DATA].concat();
    app.with(privacy::module(Privacy {
        db: db.clone(),
        clock: clock.clone(),
        storage,
        mailer: mailer.clone(),
        tables: tables.into(),
        config: settings.privacy.clone(),
        turns: Arc::new(Semaphore::new(1)),
    }))
}

/// What is watched, and who is told. A rule of your own is added here.
fn alerts(settings: &Settings, db: Db, clock: Clock, mailer: Mailer) -> anyhow::Result<Alerts> {
    let rules = alerts::standard(&settings.alerts, settings.usage.usage_drift_percent);
    let egress = Egress::new(&settings.egress)?;
    Ok(Alerts::new(db, clock, mailer, egress, &settings.alerts, rules))
}
