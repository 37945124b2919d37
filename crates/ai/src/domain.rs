use std::fmt;

use bytes::Bytes;
use futures::future::BoxFuture;
use kernel::{ApiKey, Id, NanoUsd, Org, User};
use serde_json::Value;
use uuid::Uuid;
use web::{Problem, RawJson, Tier};

use crate::{
    Ai,
    asked::{Asked, CalledBy, Context},
    generations::ask,
};

/// Who pays for a call that a domain makes.
#[derive(Clone, Copy, Debug)]
pub struct Payer {
    /// The org.
    pub org: Id<Org>,
    /// The person for whom it is made.
    pub user: Id<User>,
    /// The key with which they asked for it.
    pub api_key: Option<Id<ApiKey>>,
    /// What of the domain it is made for: the project, to budgets and in reports of usage.
    pub spent_on: Option<Uuid>,
}

/// An answer that is about to be charged, if it is kept.
#[derive(Debug)]
pub struct Kept {
    /// The call, as in usage records.
    pub call: Uuid,
    /// Who answered.
    pub model: String,
    /// The answer, as the API would give it.
    pub answer: Value,
}

/// An answer that was kept, and charged.
#[derive(Clone, Copy, Debug)]
pub struct Charged {
    /// The call, as in usage records.
    pub call: Uuid,
    /// What it cost.
    pub cost: NanoUsd,
}

type KeepIt = dyn FnOnce(Kept) -> BoxFuture<'static, sqlx::Result<bool>> + Send + Sync;

/// Keeps an answer; `false` if it is too late for it.
pub(crate) struct Keep(Box<KeepIt>);

impl Keep {
    pub(crate) async fn keep(self, call: Uuid, model: &str, answer: &Bytes) -> bool {
        let answer = serde_json::from_slice(answer);
        let answer =
            answer.inspect_err(|error| tracing::warn!(%call, %error, "an answer cannot be read"));
        let Ok(answer) = answer else { return false };
        let kept = self.0(Kept { call, model: model.to_owned(), answer }).await;
        kept.inspect_err(|error| tracing::warn!(%call, %error, "an answer was not kept"))
            .unwrap_or_default()
    }
}

impl fmt::Debug for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keep")
    }
}

impl Ai {
    /// Makes a chat completion on behalf of `payer`: budgets, credits, fallbacks and records are those of a call by
    /// the API, whose request and answer it takes and gives.
    pub async fn chat(&self, payer: Payer, request: &Value) -> Result<Value, Problem> {
        let answer = self.complete(self.asked(payer, request).await?).await?;
        serde_json::from_slice(&answer.body).map_err(Problem::internal)
    }

    /// The same, for who must never be charged for an answer that is not there: `keep` writes it down before it
    /// is charged, also if whoever asked is gone by then. If it cannot, or answers `false`, the customer pays nothing.
    pub async fn chat_kept(
        &self,
        payer: Payer,
        request: &Value,
        keep: impl FnOnce(Kept) -> BoxFuture<'static, sqlx::Result<bool>> + Send + Sync + 'static,
    ) -> Result<Charged, Problem> {
        let mut asked = self.asked(payer, request).await?;
        asked.keep = Some(Keep(Box::new(keep)));
        Ok(self.complete(asked).await?.told.charged())
    }

    async fn asked(&self, payer: Payer, request: &Value) -> Result<Asked, Problem> {
        let tier = sqlx::query_scalar!(
            r#"select tier as "tier: Tier" from entitlements where org_id = $1"#,
            payer.org as _,
        )
        .fetch_optional(self.db.pool())
        .await?;
        let Payer { org, user, api_key, spent_on } = payer;
        let by = CalledBy { org, user, api_key, tier: tier.unwrap_or_default() };
        let mut context = Context::from(by);
        context.project = spent_on;
        ask(self, context, "chat", RawJson(request.to_string().into())).await
    }
}
