//! Whether what people write to models is kept after the answer.

use audit::{Entry, Origin};
use axum::extract::State;
use chrono::TimeDelta;
use kernel::{Id, Org, User};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, Json, Permission, Role, Routes};

use crate::Ai;

const READ: Permission = Permission::read("prompt-retention:read").people_only();
const OF_ORG: Permission = Permission {
    name: "prompt-retention:control",
    roles: &[Role::Owner, Role::Admin],
    keys: false,
};
const OWN: Permission =
    Permission { name: "prompt-retention:write", roles: &Role::ALL, keys: false };

/// How long an answer that nobody keeps can be fetched.
pub const UNKEPT: TimeDelta = TimeDelta::hours(1);

pub(crate) fn routes() -> Routes<Ai> {
    Routes::new()
        .route(Access::to(READ), routes!(show_prompt_retention))
        .route(Access::to(OF_ORG), routes!(set_org_prompt_retention))
        .route(Access::to(OWN), routes!(set_my_prompt_retention))
}

/// Who wants to keep what is written to models.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
struct PromptRetention {
    /// Whether the org does.
    org: bool,
    /// Whether you do.
    me: bool,
    /// Whether yours are kept here: if both do.
    kept: bool,
}

/// What is decided.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PromptRetentionInput {
    /// Whether to keep them.
    keep: bool,
}

impl PromptRetention {
    async fn of(ai: &Ai, caller: &Caller) -> sqlx::Result<Self> {
        let (org, me) = sqlx::query!(
            "select o.keeps_prompts as org, u.keeps_prompts as me from orgs o, users u
             where o.id = $1 and u.id = $2",
            caller.org as _,
            caller.user as _,
        )
        .fetch_one(ai.db.pool())
        .await
        .map(|it| (it.org, it.me))?;
        Ok(Self { org, me, kept: org && me })
    }
}

impl Ai {
    /// Whether prompts and answers of somebody in an org are kept.
    pub async fn keeps_prompts(&self, org: Id<Org>, user: Id<User>) -> sqlx::Result<bool> {
        sqlx::query_scalar!(r#"select keeps_prompts($1, $2) as "keeps!""#, org as _, user as _,)
            .fetch_one(self.db.pool())
            .await
    }

    /// Decides for an org, or for a person in all their orgs. What was kept goes at once, but for answers that may
    /// still be fetched for a while.
    async fn keep_prompts(
        &self,
        (org, user): (Option<Id<Org>>, Option<Id<User>>),
        keep: bool,
        origin: &Origin,
    ) -> sqlx::Result<()> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let changed = sqlx::query_scalar!(
            r#"with org as (update orgs set keeps_prompts = $3 where id = $1 and keeps_prompts <> $3 returning id),
                    person as (update users set keeps_prompts = $3 where id = $2 and keeps_prompts <> $3 returning id)
               select exists (select from org) or exists (select from person) as "changed!""#,
            org as _,
            user as _,
            keep,
        )
        .fetch_one(&mut *tx)
        .await?;
        if !keep {
            sqlx::query!(
                "update generations set request = '', expires_at = least(expires_at, $3)
                 where (org_id = $1 or user_id = $2) and batch_id is null and finished_at is not null",
                org as _,
                user as _,
                now + UNKEPT,
            )
            .execute(&mut *tx)
            .await?;
        }
        if changed {
            let subject = org.map_or_else(|| user.map(Id::uuid), |org| Some(org.uuid()));
            let subject = subject.unwrap_or_default();
            let entry = Entry::new(origin, org, "prompt_retention.changed", subject);
            entry.after(json!({ "keep": keep })).record(&mut tx, now).await?;
        }
        tx.commit().await
    }
}

/// Show whether what you write to models is kept after the answer.
#[utoipa::path(get, path = "/v1/prompt-retention", tag = "privacy",
    responses((status = 200, body = PromptRetention)))]
async fn show_prompt_retention(
    State(ai): State<Ai>,
    caller: Caller,
) -> web::Result<Json<PromptRetention>> {
    Ok(Json(PromptRetention::of(&ai, &caller).await?))
}

/// Keep what people of the org write to models, or forget it from now on. What was kept before goes as well.
#[utoipa::path(put, path = "/v1/org/prompt-retention", tag = "privacy",
    request_body = PromptRetentionInput, responses((status = 200, body = PromptRetention)))]
async fn set_org_prompt_retention(
    State(ai): State<Ai>,
    caller: Caller,
    origin: Origin,
    Json(input): Json<PromptRetentionInput>,
) -> web::Result<Json<PromptRetention>> {
    ai.keep_prompts((Some(caller.org), None), input.keep, &origin).await?;
    Ok(Json(PromptRetention::of(&ai, &caller).await?))
}

/// Keep what you write to models, or forget it from now on, in every org of yours. What was kept before goes as well.
#[utoipa::path(put, path = "/v1/me/prompt-retention", tag = "privacy",
    request_body = PromptRetentionInput, responses((status = 200, body = PromptRetention)))]
async fn set_my_prompt_retention(
    State(ai): State<Ai>,
    caller: Caller,
    origin: Origin,
    Json(input): Json<PromptRetentionInput>,
) -> web::Result<Json<PromptRetention>> {
    ai.keep_prompts((None, Some(caller.user)), input.keep, &origin).await?;
    Ok(Json(PromptRetention::of(&ai, &caller).await?))
}
