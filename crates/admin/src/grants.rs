use audit::{Entry, Origin};
use axum::{extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use quotas::{Credits, GrantSource, NewGrant};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Json, Path, Problem, Routes};

use crate::{Admin, orgs::Summary};

/// More is a mistake.
const MOST: i64 = 1_000_000;

pub(crate) fn routes() -> Routes<Admin> {
    Routes::new().route(Access::operators().after_recent_sign_in(), routes!(grant_credits))
}

/// Credits to be given.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct GrantInput {
    /// How many.
    #[schema(minimum = 1, maximum = 1_000_000)]
    credits: i64,
    /// When what is left of them lapses; absent: never.
    expires_at: Option<DateTime<Utc>>,
    /// Why. Kept in the audit log.
    #[schema(min_length = 1, max_length = 500)]
    reason: String,
    /// Names this gift: sent again, it is given once.
    #[schema(min_length = 1, max_length = 100)]
    reference: String,
}

impl GrantInput {
    fn check(&self, now: DateTime<Utc>) -> web::Result<()> {
        let one_to = |most: usize, text: &str| (1..=most).contains(&text.chars().count());
        if !(1..=MOST).contains(&self.credits) {
            return Err(Problem::invalid_field("/credits", "must be between 1 and 1000000"));
        }
        if self.expires_at.is_some_and(|end| end <= now) {
            return Err(Problem::invalid_field("/expires_at", "must be in the future"));
        }
        if !one_to(500, self.reason.trim()) {
            return Err(Problem::invalid_field("/reason", "must have 1 to 500 characters"));
        }
        if !one_to(100, &self.reference) {
            return Err(Problem::invalid_field("/reference", "must have 1 to 100 characters"));
        }
        Ok(())
    }
}

/// Give an org credits. The same reference gives them once.
#[utoipa::path(post, path = "/admin/v1/orgs/{id}/grants", tag = "operators",
    params(("id" = String, Path, format = Uuid)), request_body = GrantInput,
    responses((status = 201, body = Credits)))]
async fn grant_credits(
    State(admin): State<Admin>,
    Path(id): Path<Id<Org>>,
    origin: Origin,
    Json(input): Json<GrantInput>,
) -> web::Result<(StatusCode, Json<Credits>)> {
    let now = admin.clock.now();
    input.check(now)?;
    let mut tx = admin.db.begin().await?;
    Summary::get(&mut *tx, id).await?;
    let grant = NewGrant {
        org: id,
        source: GrantSource::Admin,
        amount: input.credits,
        expires_at: input.expires_at,
        external_id: format!("admin:{id}:{}", input.reference),
    };
    if grant.give(&mut tx, now).await? {
        let after = json!({
            "credits": input.credits,
            "expires_at": input.expires_at,
            "reason": input.reason.trim(),
        });
        let entry = Entry::new(&origin, Some(id), "credits.granted", input.reference);
        entry.after(after).record(&mut tx, now).await?;
    }
    let credits = Credits::of(&mut *tx, id, now).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(credits)))
}
