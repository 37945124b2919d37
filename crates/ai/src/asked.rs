use axum::Extension;
use kernel::{ApiKey, Id, NanoUsd, Org, User};
use quotas::Call;
use usage::{Model, ModelKind, Quantities};
use web::{Caller, Problem, RequestId};

use crate::payload::Payload;

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
}

impl From<&Caller> for CalledBy {
    fn from(caller: &Caller) -> Self {
        Self { org: caller.org, user: caller.user, api_key: caller.api_key() }
    }
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
}

/// A model that may serve a call.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) model: Model,
    /// The most that the call can use with it.
    pub(crate) at_most: Quantities,
}

impl Candidate {
    fn max_cost(&self) -> NanoUsd {
        self.model.price.cost(&self.at_most)
    }
}

impl Asked {
    pub(crate) fn new(
        by: CalledBy,
        operation: Operation,
        candidates: Vec<Candidate>,
        payload: Payload,
        request_id: Option<Extension<RequestId>>,
    ) -> Result<Self, Problem> {
        let dearest = candidates.iter().max_by_key(|it| it.max_cost());
        let dearest = dearest.ok_or_else(|| Problem::internal(anyhow::anyhow!("no candidate")))?;
        let mut price = dearest.model.price.clone();
        price.credits = candidates.iter().map(|it| it.model.price.credits).fold(0, i64::max);
        let call = Call {
            org: by.org,
            user: by.user,
            api_key: by.api_key,
            project: None,
            operation: operation.name,
            provider: dearest.model.provider.clone(),
            model: dearest.model.name.clone(),
            max_tokens: candidates.iter().map(|it| it.at_most.tokens()).fold(0, i64::max),
            max_cost: dearest.max_cost(),
            price,
            request_id: request_id.map(|Extension(id)| id.as_str().to_owned()),
        };
        Ok(Self { operation, call, candidates, payload })
    }
}
