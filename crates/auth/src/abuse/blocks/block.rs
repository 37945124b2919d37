use audit::{Entry, Origin};
use chrono::{DateTime, Utc};
use ipnet::IpNet;
use kernel::Id;
use serde::Serialize;
use serde_json::json;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;
use web::Operator;

/// A network that gets no answer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct IpBlock {
    /// Identifies it.
    #[schema(value_type = String, format = Uuid)]
    pub(super) id: Id<IpBlock>,
    /// In CIDR notation.
    #[schema(example = "203.0.113.0/24")]
    pub(super) network: String,
    pub(super) reason: String,
    /// Whether the product made it, after too many refused sign-ins.
    pub(super) automatic: bool,
    pub(super) created_at: DateTime<Utc>,
    /// When the network is free again; absent: when somebody removes the block.
    pub(super) expires_at: Option<DateTime<Utc>>,
}

/// A block to be made.
pub(super) struct NewIpBlock<'a> {
    pub(super) network: IpNet,
    pub(super) reason: &'a str,
    pub(super) expires_at: Option<DateTime<Utc>>,
    pub(super) by: Option<Id<Operator>>,
}

impl NewIpBlock<'_> {
    /// Blocks a network, or changes until when and why it is blocked. What operators decide and what the
    /// product does by itself stand beside each other: neither shortens the other.
    pub(super) async fn make(
        &self,
        db: &mut PgConnection,
        origin: &Origin,
        now: DateTime<Utc>,
    ) -> sqlx::Result<IpBlock> {
        let block = self.save(&mut *db, now).await?;
        let after = json!({
            "network": block.network, "reason": block.reason, "expires_at": block.expires_at
        });
        Entry::new(origin, None, "ip_block.created", block.id).after(after).record(db, now).await?;
        Ok(block)
    }

    async fn save(&self, db: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<IpBlock> {
        sqlx::query_as!(
            IpBlock,
            r#"insert into ip_blocks (id, network, reason, created_by, created_at, expires_at)
               values ($1, ($2::text)::cidr, $3, $4, $5, $6)
               on conflict (network, (created_by is null)) do update
               set reason = excluded.reason, created_by = excluded.created_by,
                   created_at = excluded.created_at, expires_at = excluded.expires_at
               returning id as "id: _", network::text as "network!", reason,
                         created_by is null as "automatic!", created_at, expires_at"#,
            Id::<IpBlock>::new() as _,
            self.network.to_string(),
            self.reason,
            self.by as _,
            now,
            self.expires_at,
        )
        .fetch_one(db)
        .await
    }
}

impl IpBlock {
    /// What every instance remembers.
    pub(super) async fn all(
        db: impl PgExecutor<'_>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Vec<(IpNet, Option<DateTime<Utc>>)>> {
        let rows = sqlx::query!(
            r#"select network::text as "network!", expires_at from ip_blocks
               where expires_at is null or expires_at > $1"#,
            now,
        )
        .fetch_all(db)
        .await?;
        let blocks = rows.into_iter().filter_map(|row| {
            let network = row.network.parse().ok()?;
            Some((network, row.expires_at))
        });
        Ok(blocks.collect())
    }

    pub(super) async fn list(
        db: impl PgExecutor<'_>,
        after: Option<Id<Self>>,
        rows: i64,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", network::text as "network!", reason,
                      created_by is null as "automatic!", created_at, expires_at
               from ip_blocks
               where (expires_at is null or expires_at > $3) and ($1::uuid is null or id < $1)
               order by id desc
               limit $2"#,
            after as _,
            rows,
            now,
        )
        .fetch_all(db)
        .await
    }

    pub(super) async fn remove(
        db: &mut PgConnection,
        id: Id<Self>,
    ) -> sqlx::Result<Option<String>> {
        sqlx::query_scalar!(
            r#"delete from ip_blocks where id = $1 returning network::text as "network!""#,
            id as _,
        )
        .fetch_optional(db)
        .await
    }

    /// Removes those that have ended.
    pub(crate) async fn purge(db: impl PgExecutor<'_>, now: DateTime<Utc>) -> sqlx::Result<()> {
        sqlx::query!("delete from ip_blocks where expires_at < $1", now).execute(db).await?;
        Ok(())
    }
}
