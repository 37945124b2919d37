use std::sync::Arc;

use admin::Admin;
use ai::{Ai, AnswerCache};
use alerts::Alerts;
use app::{App, EventType, Module, PersonalData};
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
use client_errors::ClientErrors;
use consent::Consent;
use db::Db;
use egress::Egress;
use email::Mailer;
use flags::Flags;
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
use studio::Studio;
use support::Support;
use tokio::sync::Semaphore;
use tower::ServiceBuilder;
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

/// What the features share, and the features that others use.
struct Services {
    db: Db,
    clock: Clock,
    limits: Limits,
    mailer: Mailer,
    storage: Storage,
    usage: Usage,
    quotas: Quotas,
    ai: Ai,
    audit: Audit,
    idempotency: Idempotency,
    auth: Auth,
    billing: Billing,
    org_jobs: OrgJobs,
    backups: Backups,
}

impl Services {
    fn new(settings: &Settings, pool: PgPool, clock: Clock) -> anyhow::Result<Self> {
        let db = Db::new(pool);
        let (db, clock) = (|| db.clone(), || clock.clone());
        let (secrets, url) = (|| settings.auth.secrets().cloned(), || settings.public_url());
        let limits = Limits {
            attempts: Durable::new(db(), clock(), &settings.rate_limit),
            traffic: RateLimit::new(&settings.rate_limit, db(), clock())?,
        };
        let mailer = Mailer::new(db(), clock(), &settings.email, url(), secrets())?;
        let prices = PriceBook::new(db(), clock());
        let quotas = Quotas::start(db(), clock(), &settings.quotas);
        let free = Catalogue::embedded().free().entitlement();
        Ok(Self {
            storage: Storage::open(&settings.storage)?,
            ai: Ai::new(
                db(),
                clock(),
                mailer.clone(),
                prices.clone(),
                quotas.clone(),
                &settings.ai,
            )?,
            usage: Usage { db: db(), clock: clock(), prices, config: settings.usage.clone() },
            audit: Audit::new(db(), clock(), secrets(), &settings.audit)?,
            idempotency: Idempotency::new(db(), clock(), secrets(), quotas.hold_life()),
            auth: Auth::new(
                db(),
                clock(),
                &settings.auth,
                url(),
                mailer.clone(),
                limits.clone(),
                free,
            )?,
            billing: Billing::new(db(), clock(), mailer.clone(), &settings.billing, url())?,
            org_jobs: OrgJobs::new(db(), clock(), &settings.org_jobs),
            backups: backups(settings, db(), clock())?,
            db: db(),
            clock: clock(),
            limits,
            mailer,
            quotas,
        })
    }

    /// Their features, and the domains. Yours stands beside the sample.
    fn modules(&self, settings: &Settings) -> Vec<Module> {
        let Self { db, clock, ai, mailer, limits, .. } = self;
        let projects = self.projects(settings);
        let studio = self.studio(settings);
        let work = [projects::work(&projects), studio::work(&studio)].into_iter().flatten();
        vec![
            rate_limit::module(limits.clone()),
            client_errors::module(ClientErrors { db: db.clone(), clock: clock.clone() }),
            audit::module(self.audit.clone()),
            email::module(mailer.clone()),
            storage::module(self.storage.clone()),
            assets::module(assets(settings, db, clock, self.storage.clone())),
            idempotency::module(self.idempotency.clone()),
            usage::module(self.usage.clone()),
            quotas::module(self.quotas.clone()),
            auth::module(self.auth.clone()),
            ai::module(ai.clone()),
            billing::module(self.billing.clone()),
            org_jobs::module(self.org_jobs.clone(), work),
            projects::module(projects),
            studio::module(studio),
            approvals::module(self.approvals(settings)),
            consent::module(Consent { db: db.clone(), clock: clock.clone() }),
            flags::module(Flags::new(db.clone(), clock.clone())),
            news::module(News { db: db.clone(), clock: clock.clone(), mailer: mailer.clone() }),
            admin::module(self.admin()),
            backups::module(self.backups.clone()),
            database::module(db.pool().clone()),
            partitions::module(db.clone(), clock.clone()),
        ]
    }

    fn projects(&self, settings: &Settings) -> Projects {
        Projects {
            db: self.db.clone(),
            clock: self.clock.clone(),
            ai: self.ai.clone(),
            jobs: self.org_jobs.clone(),
            storage: self.storage.clone(),
            app_url: settings.public_url(),
            config: settings.projects.clone(),
        }
    }

    fn studio(&self, settings: &Settings) -> Studio {
        Studio {
            db: self.db.clone(),
            clock: self.clock.clone(),
            ai: self.ai.clone(),
            jobs: self.org_jobs.clone(),
            config: settings.studio.clone(),
        }
    }

    fn approvals(&self, settings: &Settings) -> Approvals {
        Approvals {
            db: self.db.clone(),
            clock: self.clock.clone(),
            mailer: self.mailer.clone(),
            limits: self.limits.attempts.clone(),
            app_url: settings.public_url(),
        }
    }

    fn admin(&self) -> Admin {
        Admin {
            db: self.db.clone(),
            clock: self.clock.clone(),
            quotas: self.quotas.clone(),
            usage: self.usage.clone(),
            ai: self.ai.clone(),
            billing: self.billing.clone(),
            audit: self.audit.clone(),
            auth: self.auth.clone(),
            prompts: [projects::PROMPTS, studio::PROMPTS].concat().into(),
        }
    }

    /// Tells customers' programs of the events of all features so far, and of two that come later.
    fn webhooks(&self, settings: &Settings, app: &App) -> anyhow::Result<Webhooks> {
        Webhooks::new(
            (self.db.clone(), self.clock.clone()),
            (Egress::new(&settings.egress)?, self.mailer.clone()),
            settings.auth.secrets(),
            [app.events.as_slice(), &support::events(), &privacy::events()].concat(),
            &settings.webhooks,
            (settings.jobs.jobs_concurrency, settings.jobs.grace()),
        )
    }

    /// Help for people, and what they are told. The steps into the product are those of all features so far.
    fn support(&self, settings: &Settings, app: &App) -> anyhow::Result<Support> {
        let config = settings.support.clone();
        Ok(Support {
            db: self.db.clone(),
            clock: self.clock.clone(),
            mailer: self.mailer.clone(),
            egress: Egress::new(&settings.egress)?,
            limits: self.limits.attempts.clone(),
            steps: [&[support::GOAL], app.onboarding.as_slice()].concat().into(),
            followers: Arc::new(Semaphore::new(config.notifications_followers.into())),
            config,
        })
    }

    /// Copies and ends of what all tables so far, and its own, keep about somebody.
    fn privacy(&self, settings: &Settings, app: &App) -> Privacy {
        let tables = [app.personal_data.as_slice(), privacy::PERSONAL_DATA].concat();
        Privacy {
            db: self.db.clone(),
            clock: self.clock.clone(),
            storage: self.storage.clone(),
            audit: self.audit.clone(),
            auth: self.auth.clone(),
            secrets: settings.auth.secrets().cloned().collect(),
            mailer: self.mailer.clone(),
            backups_last: settings.backups.last(),
            tables: tables.into(),
            config: settings.privacy.clone(),
            turns: Arc::new(Semaphore::new(1)),
        }
    }
}

impl Product {
    /// Composes the features. Nothing is connected to before it is needed.
    pub fn compose(settings: &Settings, pool: PgPool, clock: Clock) -> anyhow::Result<Self> {
        let services = Services::new(settings, pool, clock)?;
        // These look at the features before them.
        let app = app::assemble(services.modules(settings));
        let webhooks = services.webhooks(settings, &app)?;
        let app = app.with(webhooks::module(webhooks.clone()));
        let alerts = alerts(settings, &services)?;
        let app = app.with(alerts::module(alerts.clone()));
        let support = services.support(settings, &app)?;
        let app = app.with(support::module(support));
        let privacy = services.privacy(settings, &app);
        let app = app.with(privacy::module(privacy));
        let health =
            Health::new(app.checks.clone(), services.clock.clone(), settings.health_timeout());
        let app = app.with(health::module(health.clone()));
        Ok(Self {
            db: services.db,
            clock: services.clock,
            audit: services.audit,
            auth: services.auth,
            quotas: services.quotas,
            ai: services.ai,
            idempotency: services.idempotency,
            mailer: services.mailer,
            billing: services.billing,
            traffic: services.limits.traffic,
            webhooks,
            alerts,
            backups: services.backups,
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

    /// What its features tell customers' programs of.
    pub fn events(&self) -> &[EventType] {
        &self.app.events
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
fn backups(settings: &Settings, db: Db, clock: Clock) -> anyhow::Result<Backups> {
    let pooled = || db.pool().connect_options().as_ref().clone();
    let address = settings.db.direct_address().unwrap_or_else(pooled);
    Backups::new(db, clock, address, &settings.backups, &settings.storage)
}

/// What is watched, and who is told. A rule of your own is added here.
fn alerts(settings: &Settings, services: &Services) -> anyhow::Result<Alerts> {
    let Services { db, clock, mailer, .. } = services;
    let rules = alerts::standard(&settings.alerts, settings.usage.usage_drift_percent);
    let egress = Egress::new(&settings.egress)?;
    Ok(Alerts::new(db.clone(), clock.clone(), mailer.clone(), egress, &settings.alerts, rules))
}
