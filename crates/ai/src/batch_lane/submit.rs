use chrono::TimeDelta;
use serde_json::{json, value::RawValue};

use super::{
    account::{Account, Seen, Trouble},
    lane::{Lane, Waiting},
};
use crate::Ai;

/// How long a request to make a batch can be under way. Only then does its absence mean that there is none.
/// Longer than we wait for the [answer](super::account).
const UNDER_WAY: TimeDelta = TimeDelta::minutes(5);

/// Has the provider make a lane whose calls are all reserved: once, whatever dies in between.
///
/// `None`: it may have been asked, and it is too early to look; or it was not, and it is to be seen first
/// whether it still should be.
pub(super) async fn submit(
    ai: &Ai,
    account: &Account<'_>,
    lane: &mut Lane,
) -> Result<Option<Seen>, Trouble> {
    let db = ai.db.pool();
    if let Some(asked) = lane.submitting_at {
        if ai.clock.now() < asked + UNDER_WAY {
            return Ok(None);
        }
        let found = account.find(lane).await?;
        if found.is_none() {
            lane.not_submitted(db).await?;
        }
        return Ok(found);
    }
    if lane.input_file.is_none() {
        let calls = lane.waiting(db).await?;
        let file = account.upload(&content(lane, &calls)).await?;
        lane.uploaded(db, account.tag(), file).await?;
    }
    if !lane.submitting(db, ai.clock.now()).await? {
        return Ok(None);
    }
    let created = account.create(lane).await;
    if let Err(Trouble::Refused(_) | Trouble::Later(_)) = created {
        lane.not_submitted(db).await?;
    }
    created.map(Some)
}

/// The file of a batch.
fn content(lane: &Lane, calls: &[Waiting]) -> String {
    let mut lines = String::new();
    for call in calls {
        let body: Option<&RawValue> = serde_json::from_str(&call.sent).ok();
        let url = lane.endpoint();
        let told = json!({ "custom_id": call.id, "method": "POST", "url": url, "body": body });
        lines.push_str(&told.to_string());
        lines.push('\n');
    }
    lines
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Self::Later(format!("our own database: {error}"))
    }
}
