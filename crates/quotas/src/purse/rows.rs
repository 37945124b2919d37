use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use sqlx::PgConnection;

use super::{Bucket, Cover, Move, Purse};
use crate::{Grant, ledger::Entry};

impl Purse {
    /// Locks all grants of `org` and reads them.
    pub(crate) async fn lock(
        db: &mut PgConnection,
        org: Id<Org>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Self> {
        Grant::lock(&mut *db, org).await?;
        let grants = sqlx::query_as!(
            Bucket,
            r#"select id as "id: Id<Grant>", external_id as given_for, source = 'overage' as "billed!", priority,
                      expires_at, amount,
                      spent, held, revoked, clawed_back, lapsed, movements
               from grants
               where org_id = $1
               order by id"#,
            org as _,
        )
        .fetch_all(&mut *db)
        .await?;
        let covers = sqlx::query_as!(
            Cover,
            r#"select lender_id as "lender: Id<Grant>", debtor_id as "debtor: Id<Grant>", amount
               from grant_covers
               where org_id = $1
               order by debtor_id, lender_id"#,
            org as _,
        )
        .fetch_all(db)
        .await?;
        Ok(Self { org, now, grants, covers, moves: Vec::new() })
    }

    /// Writes what was done, and books it.
    pub(crate) async fn save(self, db: &mut PgConnection) -> sqlx::Result<()> {
        for grant in &self.grants {
            save_grant(&mut *db, grant).await?;
        }
        let org = self.org;
        let moves: Vec<_> = self.moves.iter().map(|it| it.entry(org)).collect();
        if moves.is_empty() {
            return Ok(());
        }
        for cover in &self.covers {
            save_cover(&mut *db, org, cover).await?;
        }
        Entry::insert_all(db, &moves, self.now).await
    }
}

impl Move {
    fn entry(&self, org: Id<Org>) -> Entry {
        let Self { grant, number, from, to, credits } = *self;
        let external_id = format!("movement:{grant}:{number}");
        Entry { org, from, to, credits, grant, external_id }
    }
}

/// Only what was changed.
async fn save_grant(db: &mut PgConnection, grant: &Bucket) -> sqlx::Result<()> {
    sqlx::query!(
        "update grants set revoked = $2, clawed_back = $3, lapsed = $4, movements = $5
         where id = $1 and (movements <> $5 or lapsed <> $4)",
        grant.id as _,
        grant.revoked,
        grant.clawed_back,
        grant.lapsed,
        grant.movements,
    )
    .execute(db)
    .await?;
    Ok(())
}

async fn save_cover(db: &mut PgConnection, org: Id<Org>, cover: &Cover) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into grant_covers (lender_id, debtor_id, org_id, amount)
         values ($1, $2, $3, $4)
         on conflict (debtor_id, lender_id) do update set amount = excluded.amount",
        cover.lender as _,
        cover.debtor as _,
        org as _,
        cover.amount,
    )
    .execute(db)
    .await?;
    Ok(())
}
