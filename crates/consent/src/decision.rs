use audit::{Entry, Origin};
use chrono::{DateTime, Utc};
use kernel::{Id, User};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgExecutor;
use utoipa::ToSchema;

use crate::{Consent, Result};

/// What somebody's data may be used for, beyond what the product needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Purpose {
    /// To see how the product is used.
    Analytics,
    /// To advertise it.
    Marketing,
    /// To train models.
    Training,
}

/// What somebody decided about a use of their data.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ConsentDecision)]
pub(crate) struct Decision {
    /// The use.
    purpose: Purpose,
    /// Whether it is allowed.
    granted: bool,
    /// When it was decided; it counts until the next one on the same use.
    decided_at: DateTime<Utc>,
}

impl Purpose {
    /// What `user` decided last; `None`, which allows nothing, before they did.
    pub async fn decision(
        self,
        db: impl PgExecutor<'_>,
        user: Id<User>,
    ) -> sqlx::Result<Option<bool>> {
        sqlx::query_scalar!(
            "select granted from consents where user_id = $1 and purpose = $2
             order by id desc
             limit 1",
            user as _,
            self as _,
        )
        .fetch_optional(db)
        .await
    }
}

impl Decision {
    /// Every decision of `user`, the newest first.
    pub(crate) async fn list(db: impl PgExecutor<'_>, user: Id<User>) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select purpose as "purpose: _", granted, decided_at
               from consents
               where user_id = $1
               order by id desc
               limit 1000"#,
            user as _,
        )
        .fetch_all(db)
        .await
    }
}

impl Consent {
    /// Notes a decision, unless it is what was decided before.
    pub(crate) async fn decide(
        &self,
        user: Id<User>,
        (purpose, granted): (Purpose, bool),
        origin: &Origin,
    ) -> Result<Vec<Decision>> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        // One of a person at a time, so that what was said last stands last.
        sqlx::query!(
            r#"select id as "id: Id<User>" from users where id = $1 for no key update"#,
            user as _
        )
        .fetch_optional(&mut *tx)
        .await?;
        let before = purpose.decision(&mut *tx, user).await?;
        if before != Some(granted) {
            sqlx::query!(
                "insert into consents (user_id, purpose, granted, decided_at)
                 values ($1, $2, $3, $4)",
                user as _,
                purpose as _,
                granted,
                now,
            )
            .execute(&mut *tx)
            .await?;
            let entry = Entry::new(origin, None, "consent.decided", user);
            let entry = entry.after(json!({ "purpose": purpose, "granted": granted }));
            entry.record(&mut tx, now).await?;
        }
        let all = Decision::list(&mut *tx, user).await?;
        tx.commit().await?;
        Ok(all)
    }
}
