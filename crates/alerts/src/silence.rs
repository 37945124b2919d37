use chrono::{DateTime, Utc};
use kernel::Id;
use serde::Serialize;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;

/// A time in which nothing is told of a rule, or of any, unless that an alert is over.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AlertSilence)]
pub(crate) struct Silence {
    /// Identifies it.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) id: Id<Silence>,
    /// The rule; absent: all.
    pub(crate) rule: Option<String>,
    /// Why.
    pub(crate) reason: String,
    /// When it ends.
    pub(crate) until: DateTime<Utc>,
    /// When it began.
    pub(crate) created_at: DateTime<Utc>,
}

/// Whether `rule` is silenced.
pub(crate) async fn covers(
    db: impl PgExecutor<'_>,
    rule: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"select exists (select from alert_silences where until > $2 and (rule is null or rule = $1)) as "silent!""#,
        rule,
        now,
    )
    .fetch_one(db)
    .await
}

impl Silence {
    /// Begins one.
    pub(crate) async fn begin(
        db: &mut PgConnection,
        rule: Option<&str>,
        reason: &str,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Self> {
        sqlx::query_as!(
            Self,
            r#"insert into alert_silences (id, rule, reason, until, created_at) values ($1, $2, $3, $4, $5)
               returning id as "id: _", rule, reason, until, created_at"#,
            Id::<Self>::new() as _,
            rule,
            reason,
            until,
            now,
        )
        .fetch_one(db)
        .await
    }

    /// Those that have not ended, the next to end first.
    pub(crate) async fn list(
        db: impl PgExecutor<'_>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", rule, reason, until, created_at
               from alert_silences where until > $1 order by until limit 1000"#,
            now,
        )
        .fetch_all(db)
        .await
    }

    /// Ends one now; `false` if there is none.
    pub(crate) async fn end(
        db: &mut PgConnection,
        id: Id<Self>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<bool> {
        let ended = sqlx::query!(
            "update alert_silences set until = $2 where id = $1 and until > $2",
            id as _,
            now,
        );
        Ok(ended.execute(db).await?.rows_affected() == 1)
    }
}
