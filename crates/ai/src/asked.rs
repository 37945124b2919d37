use axum::{
    extract::FromRequestParts,
    http::{HeaderName, request::Parts},
};
use kernel::{ApiKey, Id, NanoUsd, Org, User};
use quotas::Call;
use usage::{Model, ModelKind, Quantities};
use uuid::Uuid;
use web::{Caller, Problem, RequestId, Tier};

use crate::{
    domain::Keep,
    hits::Receipt,
    payload::Payload,
    quote::{QUOTE, Quote},
};

/// Names the project that a call belongs to.
const PROJECT: HeaderName = HeaderName::from_static("x-slipway-project");

/// What is asked of a provider.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    /// Its name in usage records.
    pub(crate) name: &'static str,
    /// Its address below the base URL of a provider that speaks `OpenAI`'s API.
    pub(crate) path: &'static str,
    /// The models that can do it.
    pub(crate) kind: ModelKind,
}

/// For whom a call is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CalledBy {
    pub(crate) org: Id<Org>,
    /// The person, or the maker of the API key.
    pub(crate) user: Id<User>,
    pub(crate) api_key: Option<Id<ApiKey>>,
    /// That of the org's plan, which may pay other credits.
    pub(crate) tier: Tier,
}

impl From<&Caller> for CalledBy {
    fn from(caller: &Caller) -> Self {
        Self { org: caller.org, user: caller.user, api_key: caller.api_key(), tier: caller.tier }
    }
}

/// Who makes a call, and what its headers say about it.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) by: CalledBy,
    pub(crate) tier: Tier,
    pub(crate) request_id: Option<String>,
    pub(crate) project: Option<Uuid>,
    quote: Option<Id<Quote>>,
    receipt: Option<Receipt>,
}

/// A call that wants to be made.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) operation: Operation,
    /// For what it reserves: the dearest of its candidates.
    pub(crate) call: Call,
    /// Who may serve it, the preferred first.
    pub(crate) candidates: Vec<Candidate>,
    pub(crate) payload: Payload,
    /// The quote that it must keep to.
    pub(crate) quote: Option<Id<Quote>>,
    /// Where to note what it used.
    pub(crate) receipt: Option<Receipt>,
    /// Who keeps the answer before it is charged.
    pub(crate) keep: Option<Keep>,
}

/// A model that may serve a call.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) model: Model,
    /// The most that the call can use with it.
    pub(crate) at_most: Quantities,
    /// The dearer model that was asked for.
    pub(crate) instead_of: Option<String>,
}

impl Candidate {
    /// The same, with the credits that it draws on the caller's plan.
    fn for_tier(mut self, tier: Tier) -> Self {
        self.model.price = self.model.price.for_tier(tier);
        self
    }

    fn max_cost(&self) -> NanoUsd {
        self.model.price.cost(&self.at_most)
    }
}

impl<S: Sync> FromRequestParts<S> for Context {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let request_id = parts.extensions.get::<RequestId>().map(|id| id.as_str().to_owned());
        let (project, quote) = (named(parts, PROJECT)?, named(parts, QUOTE)?);
        let (by, tier) = (CalledBy::from(&caller), caller.tier);
        let receipt = parts.extensions.get::<Receipt>().cloned();
        Ok(Self { by, tier, request_id, project, quote: quote.map(Id::from), receipt })
    }
}

impl From<CalledBy> for Context {
    /// A call that no request makes: as everybody may make it.
    fn from(by: CalledBy) -> Self {
        let tier = Tier::default();
        Self { by, tier, request_id: None, project: None, quote: None, receipt: None }
    }
}

fn named(parts: &Parts, header: HeaderName) -> Result<Option<Uuid>, Problem> {
    let Some(value) = parts.headers.get(&header) else { return Ok(None) };
    let id = value.to_str().ok().and_then(|text| text.parse().ok());
    let detail = format!("the header {header} must be an id");
    id.map(Some).ok_or_else(|| Problem::bad_request("invalid_header", detail))
}

impl Asked {
    pub(crate) fn new(
        context: Context,
        operation: Operation,
        candidates: Vec<Candidate>,
        payload: Payload,
    ) -> Result<Self, Problem> {
        let candidates: Vec<_> =
            candidates.into_iter().map(|it| it.for_tier(context.by.tier)).collect();
        let dearest = candidates.iter().max_by_key(|it| it.max_cost());
        let dearest = dearest.ok_or_else(|| Problem::internal(anyhow::anyhow!("no candidate")))?;
        let mut price = dearest.model.price.clone();
        price.credits = candidates.iter().map(|it| it.model.price.credits).fold(0, i64::max);
        let call = Call {
            org: context.by.org,
            user: context.by.user,
            api_key: context.by.api_key,
            project: context.project,
            operation: operation.name,
            provider: dearest.model.provider.clone(),
            model: dearest.model.name.clone(),
            max_tokens: candidates.iter().map(|it| it.at_most.tokens()).fold(0, i64::max),
            max_cost: dearest.max_cost(),
            price,
            request_id: context.request_id,
        };
        let (quote, receipt) = (context.quote, context.receipt);
        Ok(Self { operation, call, candidates, payload, quote, receipt, keep: None })
    }
}
