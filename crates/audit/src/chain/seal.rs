use jobs::Job;
use kernel::{Id, Org};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use uuid::Uuid;

use super::link::{self, Stored};
use crate::Audit;

/// Events that are sealed in one transaction.
const BATCH: i64 = 1000;

/// Extends every chain by the events that were committed since.
#[derive(Serialize, Deserialize)]
pub(crate) struct SealEvents {}

impl Job for SealEvents {
    const NAME: &'static str = "audit.seal_events";
    type Context = Audit;

    async fn run(self, audit: Audit) -> anyhow::Result<()> {
        audit.seal().await
    }
}

/// Where a chain ends.
pub(crate) struct End {
    pub(crate) seq: i64,
    pub(crate) hash: Vec<u8>,
    pub(crate) code: Vec<u8>,
    pub(crate) secret: Vec<u8>,
}

/// Where it ends once more was appended.
struct Appended {
    seq: i64,
    hash: Vec<u8>,
}

impl Audit {
    /// Extends every chain by the events that were committed since. Those of transactions that are
    /// still under way come next time, wherever their ids are: so there is never a gap.
    ///
    /// Chains whose secret was exchanged get a code by the new one while the old one is known. Those
    /// with a secret that this instance does not know are left to the instances that do.
    pub async fn seal(&self) -> anyhow::Result<()> {
        loop {
            let chains = sqlx::query_scalar!(
                r#"select u.org_id as "org: Id<Org>"
                   from audit_unsealed u
                   left join audit_chains c on c.org_id is not distinct from u.org_id
                   where coalesce(c.seq, 0) = 0 or c.secret = any($1)
                   union
                   select org_id from audit_chains where seq > 0 and secret = any($1) and secret <> $2
                   limit $3"#,
                &self.fingerprints(),
                link::fingerprint(self.secret()),
                BATCH,
            )
            .fetch_all(self.db.pool())
            .await?;
            if chains.is_empty() {
                return self.sign_redactions_anew().await;
            }
            for org in chains {
                self.extend(org).await?;
            }
        }
    }

    async fn extend(&self, org: Option<Id<Org>>) -> anyhow::Result<()> {
        let mut tx = self.db.begin().await?;
        let before = lock(&mut tx, org).await?;
        if before.seq > 0 && !self.fingerprints().contains(&before.secret) {
            return Ok(());
        }
        let at_end = (org, before.seq, before.hash.as_slice());
        let ours = before.seq == 0 || link::code_holds(&self.secrets, at_end, &before.code);
        let events = take(&mut tx, org).await?;
        let end = append(&mut tx, org, &before, &events).await?;
        // What somebody else wrote is not to be confirmed by us: its code stays wrong for good.
        let code =
            if ours { link::code(self.secret(), org, end.seq, &end.hash) } else { before.code };
        sqlx::query!(
            "update audit_chains set seq = $2, hash = $3, code = $4, secret = $5
             where org_id is not distinct from $1",
            org as _,
            end.seq,
            end.hash,
            code,
            link::fingerprint(self.secret()),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        let hash = hex::encode(&end.hash);
        if ours {
            tracing::info!(?org, seq = end.seq, hash, "the audit log is sealed");
        } else {
            tracing::error!(
                ?org,
                seq = before.seq,
                "a chain of the audit log was changed by others"
            );
        }
        Ok(())
    }

    fn fingerprints(&self) -> Vec<Vec<u8>> {
        self.secrets.iter().map(link::fingerprint).collect()
    }
}

/// One at a time extends a chain.
async fn lock(db: &mut PgConnection, org: Option<Id<Org>>) -> sqlx::Result<End> {
    sqlx::query!("insert into audit_chains (org_id) values ($1) on conflict do nothing", org as _)
        .execute(&mut *db)
        .await?;
    sqlx::query_as!(
        End,
        "select seq, hash, code, secret from audit_chains
         where org_id is not distinct from $1 for update",
        org as _,
    )
    .fetch_one(db)
    .await
}

/// The next events of a chain, in the order of their ids.
async fn take(db: &mut PgConnection, org: Option<Id<Org>>) -> sqlx::Result<Vec<Stored>> {
    sqlx::query_as!(
        Stored,
        r#"with taken as (
               delete from audit_unsealed
               where event_id in (
                   select event_id from audit_unsealed
                   where org_id is not distinct from $1 order by event_id limit $2)
               returning event_id, created_at)
           select e.id as "id: _", e.org_id as "org_id: _", e.actor_kind, e.actor_id, e.on_behalf_of,
                  e.action, e.subject, e.before::text, e.after::text, e.ip, e.request_id, e.created_at
           from taken
           join audit_events e on e.id = taken.event_id and e.created_at = taken.created_at
           order by e.id"#,
        org as _,
        BATCH,
    )
    .fetch_all(db)
    .await
}

/// Writes one seal an event; answers the new end.
async fn append(
    db: &mut PgConnection,
    org: Option<Id<Org>>,
    before: &End,
    events: &[Stored],
) -> sqlx::Result<Appended> {
    let mut end = Appended { seq: before.seq, hash: before.hash.clone() };
    let (mut seqs, mut ids, mut times) = (Vec::new(), Vec::<Uuid>::new(), Vec::new());
    let (mut digests, mut hashes) = (Vec::new(), Vec::new());
    for event in events {
        let (id, at, digest) = (event.id.uuid(), event.created_at, event.digest());
        end.seq += 1;
        end.hash = link::hash(&end.hash, end.seq, id, at, &digest);
        seqs.push(end.seq);
        ids.push(id);
        times.push(at);
        digests.push(digest);
        hashes.push(end.hash.clone());
    }
    sqlx::query!(
        "insert into audit_seals (org_id, seq, event_id, event_at, digest, hash)
         select $1, * from unnest($2::bigint[], $3::uuid[], $4::timestamptz[], $5::bytea[], $6::bytea[])",
        org as _,
        &seqs,
        &ids,
        &times,
        &digests,
        &hashes,
    )
    .execute(db)
    .await?;
    Ok(end)
}
