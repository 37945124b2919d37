use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgExecutor;
use utoipa::ToSchema;

/// How people fare with the product.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct SupportReport {
    /// What is counted happened since.
    since: DateTime<Utc>,
    /// People who were signed in.
    people: i64,
    /// Tickets that were opened.
    tickets: i64,
    /// Tickets of every hundred people; null without people.
    tickets_per_100_people: Option<f64>,
    /// Tickets of any age that wait for an answer.
    waiting: i64,
    /// The median of how long the first answer took, of those tickets that have one.
    median_first_answer_seconds: Option<i64>,
    /// Answers to how good something is.
    satisfaction_ratings: i64,
    /// Their average, 1 to 5.
    satisfaction: Option<f64>,
    /// Answers to whether they recommend the product.
    recommendation_ratings: i64,
    /// Percent of those who said 9 or 10, less percent of those who said 0 to 6: -100 to 100.
    net_promoter_score: Option<i64>,
    /// Ideas that were given.
    ideas: i64,
}

impl SupportReport {
    pub(crate) async fn since(db: impl PgExecutor<'_>, since: DateTime<Utc>) -> sqlx::Result<Self> {
        sqlx::query_as!(
            Self,
            r#"select $1 as "since!", people as "people!", tickets as "tickets!",
                      round(100.0 * tickets / nullif(people, 0), 1)::float8 as tickets_per_100_people,
                      waiting as "waiting!", answered.median as median_first_answer_seconds,
                      f.ratings as "satisfaction_ratings!", f.satisfaction,
                      f.recommendations as "recommendation_ratings!", f.net_promoter_score, f.ideas as "ideas!"
               from (select count(distinct user_id) as people from sessions where last_seen_at >= $1) seen,
                    (select count(*) as tickets from tickets where created_at >= $1) opened,
                    (select count(*) as waiting from tickets where status = 'open') waits,
                    (select percentile_cont(0.5) within group (order by extract(epoch from first.at - t.created_at))::bigint
                                as median
                     from tickets t
                     join lateral (select min(created_at) as at from ticket_messages
                                   where ticket_id = t.id and source = 'operator') first on first.at is not null
                     where t.created_at >= $1) answered,
                    (select count(*) filter (where kind = 'satisfaction') as ratings,
                            (round(avg(score) filter (where kind = 'satisfaction'), 2))::float8 as satisfaction,
                            count(*) filter (where kind = 'recommendation') as recommendations,
                            round(100.0 * (count(*) filter (where kind = 'recommendation' and score >= 9)
                                           - count(*) filter (where kind = 'recommendation' and score <= 6))
                                  / nullif(count(*) filter (where kind = 'recommendation'), 0))::bigint
                                as net_promoter_score,
                            count(*) filter (where kind = 'idea') as ideas
                     from feedback where created_at >= $1) f"#,
            since,
        )
        .fetch_one(db)
        .await
    }
}
