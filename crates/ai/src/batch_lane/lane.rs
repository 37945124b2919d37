use chrono::{DateTime, Utc};
use kernel::{ApiKey, Id, Org, User};
use sqlx::{PgConnection, PgExecutor, PgPool, types::Json};
use usage::{Price, Quantities};
use uuid::Uuid;

use crate::{
    batches::Batch,
    generations::{Generation, LEASE},
};

/// A batch that a provider makes for us.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) id: Id<Lane>,
    pub(super) org: Id<Org>,
    pub(super) batch: Id<Batch>,
    pub(super) operation: String,
    pub(super) provider: String,
    pub(super) model: String,
    pub(super) price: Json<Price>,
    pub(super) key_tag: Option<String>,
    pub(super) input_file: Option<String>,
    pub(super) submitting_at: Option<DateTime<Utc>>,
    pub(super) provider_id: Option<String>,
    pub(super) gives_up_at: DateTime<Utc>,
    pub(super) created_at: DateTime<Utc>,
    /// Whether our batch is cancelled, or its time over.
    pub(super) stops: bool,
    /// Whether no more calls join it.
    pub(super) is_full: bool,
}

/// A call of it that has not ended.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) id: Uuid,
    pub(super) user: Id<User>,
    pub(super) api_key: Option<Id<ApiKey>>,
    pub(super) sent: String,
    pub(super) at_most: Json<Quantities>,
}

impl Lane {
    /// Takes on the next one that nobody works on.
    pub(super) async fn take(
        db: impl PgExecutor<'_>,
        after: Id<Self>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<Self>> {
        let lane = sqlx::query_as!(
            Self,
            r#"update ai_provider_batches p
               set leased_until = $3
               from ai_batches b
               where b.id = p.batch_id and p.id = (
                   select id from ai_provider_batches
                   where ended_at is null and (leased_until is null or leased_until < $2) and id > $1
                   order by id
                   limit 1
                   for update skip locked)
               returning p.id as "id: _", p.org_id as "org: _", p.batch_id as "batch: _", b.operation,
                         p.provider, p.model, p.price as "price: _", p.key_tag, p.input_file,
                         p.submitting_at, p.provider_id, p.gives_up_at, p.created_at,
                         (b.status = 'cancelling' or b.expires_at <= $2) as "stops!",
                         not exists (select from generations g where g.batch_id = b.id and g.unsorted)
                             as "is_full!""#,
            after as _,
            now,
            now + LEASE,
        )
        .fetch_optional(db)
        .await?;
        Ok(lane.map(|mut lane| {
            lane.price.0.in_batch = true;
            lane
        }))
    }

    /// Whether our batch is cancelled, or its time over, by now: until `db` commits that does not change.
    pub(super) async fn stops(
        &self,
        db: &mut PgConnection,
        now: DateTime<Utc>,
    ) -> sqlx::Result<bool> {
        sqlx::query_scalar!(
            r#"select status = 'cancelling' or expires_at <= $2 as "stops!"
               from ai_batches where id = $1 for share"#,
            self.batch as _,
            now,
        )
        .fetch_one(db)
        .await
    }

    /// Says that it is still worked on.
    pub(super) async fn renew(
        db: impl PgExecutor<'_>,
        id: Id<Self>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        let until = now + LEASE;
        sqlx::query!(
            "update ai_provider_batches set leased_until = $2 where id = $1",
            id as _,
            until
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// Leaves it to whoever comes next.
    pub(super) async fn put_down(db: impl PgExecutor<'_>, id: Id<Self>) -> sqlx::Result<()> {
        sqlx::query!("update ai_provider_batches set leased_until = null where id = $1", id as _)
            .execute(db)
            .await?;
        Ok(())
    }

    /// Its calls that have not ended, in the order of the file.
    pub(super) async fn waiting(&self, db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Waiting>> {
        sqlx::query_as!(
            Waiting,
            r#"select id, user_id as "user: _", api_key_id as "api_key: _", sent as "sent!",
                      at_most as "at_most!: _"
               from generations
               where provider_batch_id = $1
               order by line"#,
            self.id as _,
        )
        .fetch_all(db)
        .await
    }

    /// Notes where its file is.
    pub(super) async fn uploaded(
        &mut self,
        db: &PgPool,
        tag: String,
        file: String,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "update ai_provider_batches set key_tag = $2, input_file = $3 where id = $1",
            self.id as _,
            tag,
            file,
        )
        .execute(db)
        .await?;
        (self.key_tag, self.input_file) = (Some(tag), Some(file));
        Ok(())
    }

    /// Notes that the provider is about to be asked. `false`: somebody else has asked meanwhile.
    pub(super) async fn submitting(
        &mut self,
        db: &PgPool,
        now: DateTime<Utc>,
    ) -> sqlx::Result<bool> {
        let noted = sqlx::query!(
            "update ai_provider_batches set submitting_at = $2
             where id = $1 and provider_id is null and submitting_at is not distinct from $3",
            self.id as _,
            now,
            self.submitting_at,
        );
        let is_ours = noted.execute(db).await?.rows_affected() == 1;
        self.submitting_at = Some(now);
        Ok(is_ours)
    }

    /// Notes that the provider has certainly not made it.
    pub(super) async fn not_submitted(&mut self, db: &PgPool) -> sqlx::Result<()> {
        sqlx::query!(
            "update ai_provider_batches set submitting_at = null where id = $1",
            self.id as _
        )
        .execute(db)
        .await?;
        self.submitting_at = None;
        Ok(())
    }

    /// Notes what the provider calls it.
    pub(super) async fn submitted(&mut self, db: &PgPool, id: String) -> sqlx::Result<()> {
        sqlx::query!(
            "update ai_provider_batches set provider_id = $2 where id = $1",
            self.id as _,
            id,
        )
        .execute(db)
        .await?;
        self.provider_id = Some(id);
        Ok(())
    }

    pub(super) async fn end(&self, db: &PgPool, now: DateTime<Utc>) -> sqlx::Result<()> {
        sqlx::query!(
            "update ai_provider_batches set ended_at = $2, leased_until = null where id = $1",
            self.id as _,
            now,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}

/// The reservation of a call is found under the call's own id.
pub(super) fn hold_of(call: Uuid) -> Id<quotas::Hold> {
    Id::<Generation>::from(call).uuid().into()
}
