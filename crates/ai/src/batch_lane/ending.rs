use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use http::StatusCode;
use jobs::Enqueue;
use kernel::Id;
use quotas::Used;
use serde_json::{Value, json};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::lane::Lane;
use crate::{
    error::{ProviderError, carrying_error},
    generations::{Generation, RunGeneration, outcome_unknown},
    refusal::Failure,
};

/// How a call of a lane ended, for its reservation and for who asked for it.
#[derive(Debug)]
pub(super) enum Ending {
    /// It was answered, and charged.
    Answered { answer: String, used: Used },
    /// It failed, and nothing was billed.
    Failed(Value),
    /// Nobody made it, and nothing was billed: we make it by ourselves, unless the batch stops.
    Unmade,
    /// Nobody made it, since a budget is used up: we make it by ourselves from then on.
    Waits(DateTime<Utc>),
    /// The provider may have billed it.
    Unknown,
}

impl Ending {
    /// What it means that the provider answered a call with an error.
    pub(super) fn refused(status: u16, error: &Value) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        match Failure::of(status, None::<Duration>, error).error {
            error @ (ProviderError::Refused { .. } | ProviderError::Unsupported(_)) => {
                let mut problem = carrying_error(error.into()).body(None);
                drop_nul(&mut problem);
                Self::Failed(problem)
            }
            ProviderError::Unavailable { .. } => Self::Unmade,
            ProviderError::Lost { .. } => Self::Unknown,
        }
    }
}

/// Postgres keeps no U+0000, which a provider may well quote.
fn drop_nul(value: &mut Value) {
    match value {
        Value::String(text) => text.retain(|it| it != '\0'),
        Value::Array(items) => items.iter_mut().for_each(drop_nul),
        Value::Object(fields) => fields.values_mut().for_each(drop_nul),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Notes how calls of `lane` ended that are still in it. Those that are to be made after all leave it, unless
/// the batch has been called off meanwhile.
pub(super) async fn note(
    db: &PgPool,
    lane: &Lane,
    endings: &[(Uuid, Ending)],
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let mut tx = db.begin().await?;
    let stops = lane.stops(&mut tx, now).await?;
    let ids: Vec<Uuid> = endings.iter().map(|(id, _)| *id).collect();
    let rows: Vec<Value> = endings.iter().map(|(_, ending)| row(ending, stops)).collect();
    sqlx::query!(
        "update generations g
         set status = n.status, answer = n.answer, problem = n.problem, not_before = n.not_before,
             finished_at = case when n.status = 'queued' then null else $3::timestamptz end,
             provider_batch_id = null, sent = null, at_most = null
         from unnest($1::uuid[], $2::jsonb[]) as given (id, ending),
              jsonb_to_record(given.ending) as n (status text, answer text, problem jsonb, not_before timestamptz)
         where g.id = given.id and g.provider_batch_id = $4",
        &ids,
        &rows,
        now,
        lane.id as _,
    )
    .execute(&mut *tx)
    .await?;
    for (id, ending) in endings.iter().filter(|_| !stops) {
        if let Ending::Waits(at) = ending {
            make_later(&mut tx, *id, *at - now).await?;
        }
    }
    tx.commit().await
}

async fn make_later(db: &mut PgConnection, id: Uuid, pause: TimeDelta) -> sqlx::Result<()> {
    let id = Id::<Generation>::from(id);
    Enqueue::new(&RunGeneration { id }).after(pause).send(db).await
}

fn row(ending: &Ending, stops: bool) -> Value {
    match ending {
        Ending::Answered { answer, .. } => json!({ "status": "succeeded", "answer": answer }),
        Ending::Failed(problem) => json!({ "status": "failed", "problem": problem }),
        Ending::Unknown => json!({ "status": "failed", "problem": outcome_unknown() }),
        Ending::Unmade | Ending::Waits(_) if stops => json!({ "status": "cancelled" }),
        Ending::Unmade => json!({ "status": "queued" }),
        Ending::Waits(at) => json!({ "status": "queued", "not_before": at }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Ending;

    #[test]
    fn a_line_that_failed_is_made_again_only_if_nothing_was_billed() {
        let ended = |status| Ending::refused(status, &json!({ "message": "no", "type": "x" }));
        assert!(
            matches!(ended(400), Ending::Failed(problem) if problem["code"] == "provider_refused")
        );
        assert!(matches!(ended(429), Ending::Unmade));
        let quoted = Ending::refused(400, &json!({ "message": "no \0", "type": "x" }));
        assert!(
            matches!(quoted, Ending::Failed(problem) if !problem.to_string().contains("u0000"))
        );
        assert!(matches!(ended(500), Ending::Unmade));
        assert!(matches!(ended(504), Ending::Unknown), "a proxy gave up, not the provider");
    }
}
