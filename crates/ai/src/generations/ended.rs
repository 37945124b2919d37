use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use serde_json::Value;
use sqlx::PgConnection;

use super::Generation;
use crate::{
    batches::Batch,
    webhook_events::{GenerationCompleted, GenerationFailed},
};

/// A generation that has just ended.
pub(crate) struct Ended {
    pub(crate) id: Id<Generation>,
    pub(crate) org: Id<Org>,
    pub(crate) operation: String,
    pub(crate) batch: Option<Id<Batch>>,
}

impl Ended {
    /// Tells the org's programs, in the transaction in which it ends.
    pub(crate) async fn tell(
        &self,
        db: &mut PgConnection,
        problem: Option<&Value>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        let (generation_id, operation) = (self.id, self.operation.clone());
        match problem {
            None => {
                let event = GenerationCompleted { generation_id, operation };
                webhooks::emit(db, self.org, &event, now).await
            }
            Some(problem) => {
                let code = problem["code"].as_str().unwrap_or_default().to_owned();
                let event = GenerationFailed { generation_id, operation, code };
                webhooks::emit(db, self.org, &event, now).await
            }
        }
    }
}
