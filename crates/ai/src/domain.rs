use kernel::{ApiKey, Id, Org, User};
use serde_json::Value;
use uuid::Uuid;
use web::{Problem, RawJson, Tier};

use crate::{
    Ai,
    asked::{CalledBy, Context},
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

impl Ai {
    /// Makes a chat completion on behalf of `payer`: budgets, credits, fallbacks and records are those of a call by
    /// the API, whose request and answer it takes and gives.
    pub async fn chat(&self, payer: Payer, request: &Value) -> Result<Value, Problem> {
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
        let asked = ask(self, context, "chat", RawJson(request.to_string().into())).await?;
        let answer = self.complete(asked).await?;
        serde_json::from_slice(&answer.body).map_err(Problem::internal)
    }
}
