use std::{convert::Infallible, net::SocketAddr, time::Duration};

use anyhow::Context;
use idempotency::Idempotency;
use kernel::Clock;
use sqlx::PgPool;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{Development, Product, Role, Settings, database_address, listener, prepare_database};

/// How long connections to Postgres may take to close.
const CLOSING: Duration = Duration::from_secs(5);

/// The program at work: an API that listens, a worker, or both, over one database.
pub struct Running {
    /// Where the API listens, if this process serves it.
    pub address: Option<SocketAddr>,
    /// Where it says how it is, if it serves no API.
    pub health_address: Option<SocketAddr>,
    pool: PgPool,
    ai: ai::Ai,
    idempotency: Idempotency,
    health: health::Health,
    stop: CancellationToken,
    tasks: JoinSet<anyhow::Result<()>>,
    drain: Duration,
    /// How long calls in flight may take to end after the API has stopped taking new ones.
    grace: Duration,
    development: Development,
}

impl Running {
    /// Starts what `settings` ask for; in development also whatever is missing.
    pub async fn start(mut settings: Settings) -> anyhow::Result<Self> {
        let listener = if settings.does(Role::Api) { Some(listen(&settings).await?) } else { None };
        let address = listener.as_ref().map(TcpListener::local_addr).transpose()?;
        let for_health = listen_for_health(&settings).await?;
        let health_address = for_health.as_ref().map(TcpListener::local_addr).transpose()?;
        let lasting = settings.port != 0;
        settings.port = address.map_or(settings.port, |address| address.port());
        let development = Development::start(&mut settings, lasting).await?;
        let database = database_address(&settings, development.database())?;
        if settings.migrate_on_start {
            let pool = settings.db.migration_pool(database.clone());
            prepare_database(&pool, Clock::System.now()).await?;
            pool.close().await;
        }
        let listening = settings.db.listening_pool(database.clone());
        let waking = settings.db.listening_pool(database.clone());
        let pool = settings.db.pool(database);
        let clock = db::clock(&pool).await.context("the database does not answer")?;
        let product = Product::compose(&settings, pool.clone(), clock.clone())?;
        product.quotas.set_platform_budget(&settings.quotas).await?;
        // What an earlier process left behind is ended now, not at the next full minute.
        product.quotas.reap().await?;

        let (ai, idempotency) = (product.ai.clone(), product.idempotency.clone());
        let (health, stop, mut tasks) =
            (product.health.clone(), CancellationToken::new(), JoinSet::new());
        keep(&mut tasks, &stop, db::listen(product.db.changes().clone(), listening));
        keep(&mut tasks, &stop, db::keep_time(clock, pool.clone()));
        keep(&mut tasks, &stop, product.alerts.clone().keep_noting_answers());
        work(&mut tasks, &settings, &product, [&pool, &waking], &stop);
        if let Some(listener) = listener {
            // Who serves before the others know of it would give away what they do.
            product.traffic.beat().await?;
            let beating = product.traffic.clone().keep_beating(stop.clone());
            tasks.spawn(async move {
                beating.await;
                Ok(())
            });
            tasks.spawn(listener::serve(listener, product.into_router(), stop.clone()));
        } else if let Some(listener) = for_health {
            tasks.spawn(listener::serve(listener, health::router(health.clone()), stop.clone()));
        }
        Ok(Self {
            address,
            health_address,
            pool,
            ai,
            idempotency,
            health,
            stop,
            tasks,
            drain: Duration::from_secs(settings.drain_seconds),
            grace: Duration::from_secs(settings.grace_seconds),
            development,
        })
    }

    /// What was started beside the product, for people: name and address.
    pub fn companions(&self) -> Vec<(&'static str, String)> {
        self.development.companions()
    }

    /// Waits until a part of the program fails. They do not end by themselves.
    pub async fn failed(&mut self) -> anyhow::Result<()> {
        match self.tasks.join_next().await {
            Some(ended) => ended.context("a part of the program panicked")?,
            None => std::future::pending().await,
        }
    }

    /// Ends in order: readiness goes first, then the listener, then calls and jobs in flight, then
    /// the database.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.health.start_draining();
        tokio::time::sleep(self.drain).await;
        self.stop.cancel();
        let mut result = Ok(());
        let ending = async {
            while let Some(task) = self.tasks.join_next().await {
                let task = task.context("a part of the program panicked").flatten();
                result = std::mem::replace(&mut result, Ok(())).and(task);
            }
            self.idempotency.drain().await;
            self.ai.drain().await;
        };
        if tokio::time::timeout(self.grace, ending).await.is_err() {
            tracing::warn!("stopped with calls still in flight; their holds will expire");
        }
        if tokio::time::timeout(CLOSING, self.pool.close()).await.is_err() {
            tracing::warn!("connections to Postgres are still in use");
        }
        self.development.stop().await?;
        result
    }
}

async fn listen(settings: &Settings) -> anyhow::Result<TcpListener> {
    let (host, port) = (settings.listen_host(), settings.port);
    let listener = TcpListener::bind((host, port)).await;
    listener.with_context(|| format!("cannot listen on {host}:{port}; set PORT to another port"))
}

/// For processes that serve no API.
async fn listen_for_health(settings: &Settings) -> anyhow::Result<Option<TcpListener>> {
    let address = settings.worker_health_addr.filter(|_| !settings.does(Role::Api));
    let Some(address) = address else { return Ok(None) };
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| {
        format!("cannot listen on {address}; set WORKER_HEALTH_ADDR to another address")
    })?;
    Ok(Some(listener))
}

/// Does what has no end for as long as the program runs.
fn keep(
    tasks: &mut JoinSet<anyhow::Result<()>>,
    stop: &CancellationToken,
    endless: impl Future<Output = Infallible> + Send + 'static,
) {
    let endless = stop.clone().run_until_cancelled_owned(endless);
    tasks.spawn(async move { endless.await.map_or(Ok(()), |never| match never {}) });
}

fn work(
    tasks: &mut JoinSet<anyhow::Result<()>>,
    settings: &Settings,
    product: &Product,
    [pool, waking]: [&PgPool; 2],
    stop: &CancellationToken,
) {
    let (works, schedules) = (settings.does(Role::Worker), settings.does(Role::Scheduler));
    if !works && !schedules {
        return;
    }
    let registry = if works { product.jobs.clone() } else { jobs::Registry::default() };
    let slots = if schedules { product.schedules.clone() } else { Vec::new() };
    let worker =
        jobs::Worker::new(pool.clone(), waking.clone(), registry, slots, settings.jobs.clone());
    let stopped = stop.clone().cancelled_owned();
    tasks.spawn(async move {
        worker.run(stopped).await;
        Ok(())
    });
}
