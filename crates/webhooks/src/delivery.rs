use chrono::{DateTime, TimeDelta, Utc};
use kernel::Id;
use sqlx::{PgConnection, PgExecutor};
use uuid::Uuid;

use crate::Endpoint;

/// Something that happened, as it is sent. Its id is the same for every endpoint and attempt.
#[derive(Debug)]
pub(crate) enum Message {}

/// A message on its way to an endpoint, claimed for one attempt.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) message: Id<Message>,
    pub(crate) payload: String,
    /// Which attempt this is, and in which lane. Whoever writes down its outcome must still be at it.
    pub(crate) attempt: i32,
    lane: Uuid,
}

/// What becomes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Delivered,
    /// Tried again then.
    Again(DateTime<Utc>),
    GivenUp,
}

impl Delivery {
    /// Claims up to `limit` that are due, the oldest first, if the endpoint is still of that version and the
    /// `lane` open for `lease` more. If nobody writes down what became of them, the next lane claims them again: the process
    /// died, maybe after it had sent them.
    pub(crate) async fn claim(
        db: impl PgExecutor<'_>,
        (endpoint, version): (Id<Endpoint>, i64),
        lane: Uuid,
        limit: usize,
        (now, lease): (DateTime<Utc>, TimeDelta),
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"with claimed as (
                   update webhook_deliveries d
                   set attempts = d.attempts + 1, lane = $4
                   from (select endpoint_id, event_id
                         from webhook_deliveries
                         where endpoint_id = $1 and status = 'pending' and due_at <= $2
                           and lane is distinct from $4
                           and exists (select from webhook_endpoints
                                       where id = $1 and version = $5 and disabled_at is null
                                         and lane = $4
                                         and lane_until > clock_timestamp() + $6::bigint * interval '1 millisecond')
                         order by due_at, event_id
                         limit $3
                         for update skip locked) due
                   where (d.endpoint_id, d.event_id) = (due.endpoint_id, due.event_id)
                   returning d.event_id, d.attempts, d.lane
               )
               select e.id as "message: _", e.payload, c.attempts as "attempt", c.lane as "lane!"
               from claimed c
               join webhook_events e on e.id = c.event_id
               order by e.id"#,
            endpoint as _,
            now,
            i64::try_from(limit).unwrap_or(i64::MAX),
            lane,
            version,
            lease.num_milliseconds(),
        )
        .fetch_all(db)
        .await
    }

    /// Gives back what a lane has claimed and not sent to its end, as if it had never been tried.
    pub(crate) async fn give_back(
        db: impl PgExecutor<'_>,
        endpoint: Id<Endpoint>,
        lane: Uuid,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "update webhook_deliveries set attempts = attempts - 1, lane = null
             where endpoint_id = $1 and lane = $2 and status = 'pending'",
            endpoint as _,
            lane,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// Writes down what becomes of it, unless it was meanwhile taken up again.
    pub(crate) async fn settle(
        &self,
        db: &mut PgConnection,
        endpoint: Id<Endpoint>,
        fate: Fate,
    ) -> sqlx::Result<()> {
        let (status, due_at) = match fate {
            Fate::Delivered => ("delivered", None),
            Fate::Again(at) => ("pending", Some(at)),
            Fate::GivenUp => ("failed", None),
        };
        sqlx::query!(
            "update webhook_deliveries set status = $4, due_at = coalesce($5, due_at), lane = null
             where endpoint_id = $1 and event_id = $2 and attempts = $3 and lane = $6
               and status = 'pending'",
            endpoint as _,
            self.message as _,
            self.attempt,
            status,
            due_at,
            self.lane,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}

/// Queues the delivery of what is due at `endpoint`, once `pause` is over.
pub(crate) async fn wake(
    db: impl PgExecutor<'_>,
    endpoint: Id<Endpoint>,
    pause: TimeDelta,
) -> sqlx::Result<()> {
    let milliseconds = pause.num_milliseconds().max(0);
    sqlx::query!(
        r#"select wake_webhook_endpoint($1, $2::bigint * interval '1 millisecond')::text as "done""#,
        endpoint as _,
        milliseconds,
    )
    .fetch_one(db)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use kernel::{Clock, Id, Org};
    use testing::Database;
    use uuid::Uuid;

    use super::{Delivery, Message};
    use crate::Endpoint;

    #[tokio::test]
    async fn what_is_left_of_a_lane_must_outlast_an_attempt() {
        let (database, now) = (Database::new().await, Clock::System.now() + TimeDelta::minutes(1));
        let (org, endpoint, event) =
            (Id::<Org>::new(), Id::<Endpoint>::new(), Id::<Message>::new());
        let lane = Uuid::now_v7();
        let statements = [
            "insert into orgs (id, name, created_at) values ($1, 'x', now())",
            "insert into webhook_endpoints
                 (id, org_id, url, description, events, secret, lane, lane_until, created_at, updated_at)
             select $2, $1, 'https://example.com', '', '{}', '', $4, clock_timestamp() + interval '1 minute', now(), now()",
            "insert into webhook_events (id, org_id, type, payload, created_at) select $3, $1, 'x.y', '{}', now()",
            "insert into webhook_deliveries (endpoint_id, event_id, org_id, status, due_at, created_at)
             select $2, $3, $1, 'pending', now(), now()",
        ];
        for statement in statements {
            let named = format!(
                "with given as (select $1::uuid, $2::uuid, $3::uuid, $4::uuid) {statement}"
            );
            sqlx::query(sqlx::AssertSqlSafe(named))
                .bind(org)
                .bind(endpoint)
                .bind(event)
                .bind(lane)
                .execute(&database.pool)
                .await
                .unwrap();
        }
        let claimed = async |lease| {
            let claimed = Delivery::claim(&database.pool, (endpoint, 1), lane, 5, (now, lease));
            claimed.await.unwrap().len()
        };
        assert_eq!(claimed(TimeDelta::seconds(90)).await, 0, "it would end after the lane");
        assert_eq!(claimed(TimeDelta::seconds(10)).await, 1);
        assert_eq!(claimed(TimeDelta::seconds(10)).await, 0, "it is under way");
        Delivery::give_back(&database.pool, endpoint, lane).await.unwrap();
        let again =
            Delivery::claim(&database.pool, (endpoint, 1), lane, 5, (now, TimeDelta::zero()));
        assert_eq!(again.await.unwrap()[0].attempt, 1, "as if it had never been tried");
    }
}
