use chrono::{DateTime, Utc};
use kernel::{Id, Org, User};
use rate_limit::Quota;
use serde::{Deserialize, Serialize};
use sqlx::PgExecutor;
use utoipa::ToSchema;
use web::Caller;

use crate::{Error, Result, Support, text::optional};

/// What one person may give.
const GIVEN: Quota = Quota::per_hour(60);

/// What somebody thinks of the product, or of one thing in it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Feedback {
    /// Identifies it.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) id: Id<Feedback>,
    /// In which organization it was given.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) org_id: Id<Org>,
    /// By whom.
    #[schema(value_type = String, format = Uuid)]
    pub(crate) user_id: Id<User>,
    /// What was asked.
    pub(crate) kind: Kind,
    /// What it was answered with.
    pub(crate) score: Option<i16>,
    /// What it is about.
    pub(crate) about: Option<String>,
    /// What there was to say besides.
    pub(crate) comment: Option<String>,
    /// When.
    pub(crate) created_at: DateTime<Utc>,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = FeedbackKind)]
pub(crate) enum Kind {
    /// How likely it is that they recommend the product: 0 to 10.
    Recommendation,
    /// How good something is: 1 to 5.
    Satisfaction,
    /// What could be better: a comment without a score.
    Idea,
}

/// Feedback to be given.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FeedbackInput {
    kind: Kind,
    /// 0 to 10 for `recommendation`, 1 to 5 for `satisfaction`, absent for `idea`.
    #[schema(minimum = 0, maximum = 10)]
    score: Option<i16>,
    /// What it is about, such as the id of a result or the name of a page.
    #[schema(min_length = 1, max_length = 200)]
    about: Option<String>,
    /// What there is to say; an idea needs one.
    #[schema(min_length = 1, max_length = 5000)]
    comment: Option<String>,
}

impl FeedbackInput {
    fn check(&self) -> Result<()> {
        let scores = match self.kind {
            Kind::Recommendation => 0..=10,
            Kind::Satisfaction => 1..=5,
            Kind::Idea if self.score.is_some() => {
                return Err(Error::Field("/score", "must be absent: an idea has none".to_owned()));
            }
            Kind::Idea if self.comment.is_none() => {
                return Err(Error::Field("/comment", "must say what the idea is".to_owned()));
            }
            Kind::Idea => return Ok(()),
        };
        if self.score.is_some_and(|score| scores.contains(&score)) {
            return Ok(());
        }
        Err(Error::Field("/score", format!("must be {} to {}", scores.start(), scores.end())))
    }
}

impl Support {
    pub(crate) async fn take_feedback(
        &self,
        caller: &Caller,
        input: FeedbackInput,
    ) -> Result<Feedback> {
        input.check()?;
        let feedback = Feedback {
            id: Id::new(),
            org_id: caller.org,
            user_id: caller.user,
            kind: input.kind,
            score: input.score,
            about: optional("/about", input.about.as_deref(), 200)?,
            comment: optional("/comment", input.comment.as_deref(), 5000)?,
            created_at: self.clock.now(),
        };
        self.limits.check("feedback", &caller.user.to_string(), GIVEN).await?;
        let mut tx = self.db.tenant(caller.org).await?;
        sqlx::query!(
            "insert into feedback (id, org_id, user_id, kind, score, about, comment, created_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
            feedback.id as _,
            feedback.org_id as _,
            feedback.user_id as _,
            feedback.kind as _,
            feedback.score,
            feedback.about,
            feedback.comment,
            feedback.created_at,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(feedback)
    }
}

impl Feedback {
    /// Everybody's, the newest first.
    pub(crate) async fn list(
        db: impl PgExecutor<'_>,
        kind: Option<Kind>,
        before: Option<Id<Self>>,
        rows: i64,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", org_id as "org_id: _", user_id as "user_id: _", kind as "kind: _",
                      score, about, comment, created_at
               from feedback
               where ($1::text is null or kind = $1) and ($2::uuid is null or id < $2)
               order by id desc
               limit $3"#,
            kind as _,
            before as _,
            rows,
        )
        .fetch_all(db)
        .await
    }
}
