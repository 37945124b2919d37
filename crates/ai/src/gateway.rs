use std::{ops::Deref, sync::Arc, time::Duration};

use bytes::Bytes;
use db::Db;
use email::Mailer;
use kernel::Clock;
use quotas::{Call, Hold, Quotas};
use tokio::sync::{Semaphore, oneshot};
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use usage::{Model, Outcome, PriceBook, Quantities};
use web::Problem;

use crate::{
    Config, Dialect,
    answer::Answer,
    asked::{Asked, Candidate, Context, Operation},
    booking::{Booked, estimate},
    controls::{AnomalyRule, Controls},
    error::ProviderError,
    headers::Told,
    hits::Hits,
    hygiene::Hygiene,
    moderation::Moderator,
    providers::Providers,
    quote::Quote,
    route::Facts,
    routing::Routing,
    streams::Streams,
    upstream::Response,
    usage_report::UsageReport,
};

/// The gateway. Every request and every call has a copy, so copies cost nothing.
#[derive(Clone)]
pub struct Ai(Arc<Gateway>);

/// Price book, quotas and providers, and the calls in flight.
pub struct Gateway {
    prices: PriceBook,
    pub(crate) db: Db,
    pub(crate) clock: Clock,
    pub(crate) mailer: Mailer,
    routing: Routing,
    pub(crate) quotas: Quotas,
    pub(crate) controls: Controls,
    pub(crate) anomaly: Option<AnomalyRule>,
    /// How many calls that nobody waits for are made at the same time.
    pub(crate) background: Arc<Semaphore>,
    /// How many calls of batches are.
    pub(crate) batched: Arc<Semaphore>,
    providers: Providers,
    hygiene: Hygiene,
    moderator: Option<Moderator>,
    /// Streams that a client who lost its connection may join again.
    pub(crate) streams: Streams,
    /// Calls that the response cache answered.
    pub(crate) hits: Hits,
    /// Calls are owned by these tasks, not by the connections that asked for them.
    tasks: TaskTracker,
    pub(crate) idle: Duration,
    /// How long a stream may take.
    pub(crate) longest: Duration,
    /// Whether a stream whose client has left is cancelled at the provider.
    pub(crate) cancels: bool,
}

/// An answer that has begun.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) response: Response,
    pub(crate) dialect: Dialect,
    /// The most that it can use.
    pub(crate) at_most: Quantities,
    pub(crate) server: Server,
}

/// Who serves a call.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) provider: String,
    pub(crate) model: String,
    /// The dearer model that was asked for.
    pub(crate) instead_of: Option<String>,
}

/// A whole answer, and what is told of its call.
#[derive(Debug)]
pub(crate) struct Completed {
    pub(crate) body: Bytes,
    pub(crate) told: Told,
}

impl Deref for Ai {
    type Target = Gateway;

    fn deref(&self) -> &Gateway {
        &self.0
    }
}

impl Ai {
    /// A gateway that sends calls where `config` says.
    pub fn new(
        db: Db,
        clock: Clock,
        mailer: Mailer,
        prices: PriceBook,
        quotas: Quotas,
        config: &Config,
    ) -> anyhow::Result<Self> {
        Ok(Self(Arc::new(Gateway {
            routing: Routing::new(db.clone()),
            controls: Controls::new(db.clone(), clock.clone()),
            anomaly: config.anomaly(),
            background: Arc::new(Semaphore::new(config.ai_background_calls.into())),
            batched: Arc::new(Semaphore::new((config.ai_background_calls / 2).max(1).into())),
            streams: Streams::default(),
            hits: Hits::start(db.clone()),
            db,
            clock,
            mailer,
            prices,
            quotas,
            providers: Providers::new(config)?,
            hygiene: config.hygiene(),
            moderator: config.moderator(),
            tasks: TaskTracker::new(),
            idle: Duration::from_secs(config.ai_idle_seconds),
            longest: Duration::from_secs(config.ai_longest_stream_seconds),
            cancels: config.ai_cancel_abandoned,
        })))
    }

    /// Waits until every call in flight is settled. No new one may be started then.
    pub async fn drain(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.hits.written().await;
        self.quotas.settled().await;
    }

    pub(crate) fn providers(&self) -> &Providers {
        &self.providers
    }

    pub(crate) fn moderator(&self) -> Option<&Moderator> {
        self.moderator.as_ref()
    }

    pub(crate) fn prices(&self) -> &PriceBook {
        &self.prices
    }

    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> tokio::task::JoinHandle<T> {
        // Its state is large, and the runtime moves what it spawns several times.
        self.tasks.spawn(Box::pin(idempotency::carry(task)))
    }

    /// The models that may serve a call to `name`, the preferred first: those of a route, or the model
    /// itself; or the cheaper ones that replace them. Every prompt passes here: one that no provider should
    /// be sent is refused.
    pub(crate) async fn candidates(
        &self,
        context: &Context,
        operation: Operation,
        name: &str,
        body: &[u8],
        at_most: impl Fn(&Model) -> Result<Quantities, Problem>,
    ) -> Result<Vec<Candidate>, Problem> {
        self.hygiene.check(body)?;
        self.moderate(body).await?;
        let models = self.prices.models().await?;
        let routes = self.routing.routes().await.map_err(Problem::unavailable)?;
        let facts = Facts { tier: context.tier, prompt_bytes: body.len() };
        let alone = [name.to_owned()];
        let names = routes.get(name).map_or(&alone[..], |route| route.models(operation, &facts));
        let mut candidates = Vec::with_capacity(names.len());
        for name in names {
            let cheaper = self.controls.instead_of(context.by.org, name).await?;
            let instead_of = cheaper.is_some().then(|| name.clone());
            let name = cheaper.as_deref().unwrap_or(name);
            if let Some(model) = self.providers.find(&models, name, operation.kind) {
                let (at_most, model) = (at_most(model)?, model.clone());
                self.hygiene.check_length(at_most.input_tokens)?;
                candidates.push(Candidate { model, at_most, instead_of });
            }
        }
        if candidates.is_empty() {
            return Err(usage::Error::UnknownModel { name: name.to_owned() }.into());
        }
        Ok(candidates)
    }

    /// The most credits that a call can draw.
    pub(crate) fn credits_at_most(&self, call: &Call) -> i64 {
        self.quotas.credits_for(call.price.credits, call.max_cost)
    }

    /// The one gate that every call passes: reserves the most that it can cost. Only then may a
    /// provider be asked.
    pub(crate) async fn admit(&self, asked: &Asked) -> Result<Hold, Problem> {
        self.controls.of(asked.call.org).await?.check()?;
        if let Some(quote) = asked.quote {
            let mut tx = self.db.tenant(asked.call.org).await?;
            let quote = Quote::find(&mut *tx, quote, self.clock.now()).await?;
            quote.check(&asked.call, self.credits_at_most(&asked.call))?;
        }
        Ok(self.quotas.reserve(asked.call.clone()).await?)
    }

    /// How long a call may take: it must end before its reservation does.
    pub(crate) fn time_limit(&self) -> Duration {
        self.quotas.hold_life().mul_f32(0.9)
    }

    /// Asks the candidates in turn until one begins to answer. The call is booked for that one, also
    /// if its answer is lost: then nobody else may be asked, since it may bill it.
    pub(crate) async fn begin(
        &self,
        asked: &Asked,
        hold: &mut Hold,
    ) -> Result<Begun, ProviderError> {
        let mut failure = ProviderError::unavailable("nobody serves the model", Duration::ZERO);
        for candidate in &asked.candidates {
            let asking = self.ask(asked, candidate).await;
            match asking {
                Err(error) if error.leaves_others() => failure = error,
                _ => {
                    book_for(hold, &candidate.model);
                    return asking;
                }
            }
        }
        Err(failure)
    }

    async fn ask(&self, asked: &Asked, candidate: &Candidate) -> Result<Begun, ProviderError> {
        let Candidate { model, at_most, instead_of } = candidate;
        let provider = self.providers.get(&model.provider);
        let gone = || ProviderError::unavailable("it is not configured", Duration::ZERO);
        let provider = provider.ok_or_else(gone)?;
        let sent = asked.payload.addressed_to(model, provider.dialect, asked.operation);
        let sent = sent.map_err(ProviderError::Unsupported)?;
        let response = provider.post(&model.name, &sent).await?;
        let server = Server {
            provider: model.provider.clone(),
            model: model.name.clone(),
            instead_of: instead_of.clone(),
        };
        Ok(Begun { response, dialect: provider.dialect, at_most: *at_most, server })
    }

    /// Asks for a whole answer and books what it used. All of it, the reservation too, is a task of
    /// its own: a client that leaves can leave nothing behind half-done.
    pub(crate) async fn complete(&self, asked: Asked) -> Result<Completed, Problem> {
        let (answer, answered) = oneshot::channel();
        let ai = self.clone();
        let call = async move {
            let result = match ai.admit(&asked).await {
                Ok(hold) if answer.is_closed() => return ai.release(&hold).await,
                Ok(hold) => ai.complete_held(hold, asked).await,
                Err(problem) => Err(problem),
            };
            // The client may have gone; everything is booked all the same.
            let _ = answer.send(result);
        };
        self.spawn(call.in_current_span());
        answered.await.unwrap_or_else(|error| Err(Problem::internal(error)))
    }

    async fn complete_held(&self, mut hold: Hold, mut asked: Asked) -> Result<Completed, Problem> {
        let fetching = self.fetch(&asked, &mut hold);
        let fetched = tokio::time::timeout(self.time_limit(), fetching).await;
        match fetched.unwrap_or_else(|_| Err(ProviderError::outlived())) {
            Ok((answer, at_most, server)) => {
                if let Some(keep) = asked.keep.take()
                    && !keep.keep(hold.id.uuid(), &server.model, &answer.body).await
                {
                    let reason = "nobody keeps it any more".to_owned();
                    let lost = ProviderError::Lost { reason };
                    self.book_failure(&hold, &lost).await;
                    return Err(lost.into());
                }
                let booked = self.book_answer(&hold, &answer, at_most).await;
                if let Some(receipt) = &asked.receipt {
                    receipt.fill(&hold, &booked);
                }
                let told = Told::whole(&hold, server, booked, self.clock.now());
                Ok(Completed { body: answer.body, told })
            }
            Err(error) => {
                self.book_failure(&hold, &error).await;
                Err(error.into())
            }
        }
    }

    async fn fetch(
        &self,
        asked: &Asked,
        hold: &mut Hold,
    ) -> Result<(Answer, Quantities, Server), ProviderError> {
        let Begun { response, dialect, at_most, server } = self.begin(asked, hold).await?;
        let answer =
            Answer::read(response, self.idle, |body| dialect.answer(body, asked.payload.dialect))
                .await?;
        Ok((answer, at_most, server))
    }

    async fn book_answer(&self, hold: &Hold, answer: &Answer, at_most: Quantities) -> Booked {
        let counted = answer.usage.and_then(UsageReport::quantities);
        if at_most.images > 0 {
            // Some are priced by the tokens of the image; of others these are a by-product.
            let counted = counted.unwrap_or(at_most);
            let by_tokens = at_most.output_tokens > 0;
            let used = Quantities {
                images: at_most.images,
                input_tokens: counted.input_tokens,
                output_tokens: if by_tokens { counted.output_tokens } else { 0 },
                ..Quantities::default()
            };
            return self.book(hold, Outcome::Succeeded, Some(used), used).await;
        }
        let estimate = estimate(at_most, answer.body.len());
        self.book(hold, Outcome::Succeeded, counted, estimate).await
    }
}

/// From now on `hold` is for a call that `model` serves.
fn book_for(hold: &mut Hold, model: &Model) {
    hold.call.provider.clone_from(&model.provider);
    hold.call.model.clone_from(&model.name);
    hold.call.price = model.price.clone();
}
