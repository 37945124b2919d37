use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use kernel::{Id, Org};
use secrecy::SecretString;
use serde::Serialize;
use sqlx::{PgConnection, types::Uuid};
use utoipa::ToSchema;

use super::{
    link::{self, Stored},
    seal::End,
};
use crate::{Audit, Event};

/// What a look at the whole log found.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = AuditVerification)]
pub struct Verification {
    /// How many chains were looked at.
    pub chains: u64,
    /// How many seals.
    pub seals: u64,
    /// How many events were not sealed yet, because they are younger than a minute.
    pub waiting: u64,
    /// How many events lost what was personal, because their person or org was erased.
    pub redacted: u64,
    /// Where the log is not what was sealed; nowhere, if it is right.
    pub breaks: Vec<Break>,
}

/// A place where the log is not what was sealed.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = AuditBreak)]
pub struct Break {
    /// Whose chain; absent: the platform's.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub org_id: Option<Id<Org>>,
    /// Which event.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub event_id: Option<Id<Event>>,
    /// What is wrong.
    #[schema(example = "the event was changed")]
    pub what: &'static str,
}

/// A seal, with the event as it is now.
struct Row {
    seq: i64,
    event_id: Id<Event>,
    event_at: DateTime<Utc>,
    digest: Vec<u8>,
    hash: Vec<u8>,
    found: bool,
    actor_kind: Option<String>,
    actor_id: Option<Uuid>,
    on_behalf_of: Option<Uuid>,
    action: Option<String>,
    subject: Option<String>,
    before: Option<String>,
    after: Option<String>,
    ip: Option<String>,
    request_id: Option<String>,
    event_org: Option<Id<Org>>,
    redacted_digest: Option<Vec<u8>>,
    redaction_code: Option<Vec<u8>>,
}

/// How an event is compared with its seal.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    AsSealed,
    /// It lost what was personal, and nothing else.
    Redacted,
    Changed,
}

impl Row {
    fn state(mut self, secrets: &[SecretString]) -> State {
        let redaction = self.redacted_digest.take().zip(self.redaction_code.take());
        let (id, sealed) = (self.event_id.uuid(), std::mem::take(&mut self.digest));
        let now = self.event().digest();
        let is_ours = |(digest, code): (Vec<u8>, Vec<u8>)| {
            digest == now && link::redaction_holds(secrets, id, &digest, &code)
        };
        if redaction.is_some_and(is_ours) {
            State::Redacted
        } else if now == sealed {
            State::AsSealed
        } else {
            State::Changed
        }
    }

    fn event(self) -> Stored {
        Stored {
            id: self.event_id,
            org_id: self.event_org,
            actor_kind: self.actor_kind.unwrap_or_default(),
            actor_id: self.actor_id,
            on_behalf_of: self.on_behalf_of,
            action: self.action.unwrap_or_default(),
            subject: self.subject.unwrap_or_default(),
            before: self.before,
            after: self.after,
            ip: self.ip,
            request_id: self.request_id,
            created_at: self.event_at,
        }
    }
}

impl Audit {
    /// Compares everything with its seals: of one org, or of all and the platform. It reads the whole
    /// log, as of one moment.
    pub async fn verify(&self, org: Option<Id<Org>>) -> anyhow::Result<Verification> {
        let mut tx = self.db.pool().begin_with("begin isolation level repeatable read").await?;
        let chains = sqlx::query_scalar!(
            r#"select org_id as "org: Id<Org>" from audit_chains where $1::uuid is null or org_id = $1
               union select org_id from audit_seals where $1::uuid is null or org_id = $1"#,
            org as _,
        )
        .fetch_all(&mut *tx)
        .await?;
        let mut result = Verification::default();
        for chain in chains {
            result.chains += 1;
            self.verify_chain(&mut tx, chain, &mut result).await?;
        }
        result.waiting = waiting(&mut tx, org).await?;
        result.breaks.extend(unsealed(&mut tx, org).await?);
        Ok(result)
    }

    async fn verify_chain(
        &self,
        db: &mut PgConnection,
        org: Option<Id<Org>>,
        result: &mut Verification,
    ) -> anyhow::Result<()> {
        let end = sqlx::query_as!(
            End,
            "select seq, hash, code, secret from audit_chains where org_id is not distinct from $1",
            org as _,
        )
        .fetch_optional(&mut *db)
        .await?;
        let kept_from = self.kept_from(self.clock.now());
        let (mut seq, mut hash) = (0, Vec::new());
        let mut rows = sqlx::query_as!(
            Row,
            r#"select s.seq, s.event_id as "event_id: _", s.event_at, s.digest, s.hash,
                      e.id is not null as "found!", e.actor_kind as "actor_kind?", e.actor_id,
                      e.on_behalf_of, e.action as "action?", e.subject as "subject?",
                      e.before::text, e.after::text, e.ip, e.request_id, e.org_id as "event_org: _",
                      r.digest as "redacted_digest?", r.code as "redaction_code?"
               from audit_seals s
               left join audit_events e on e.id = s.event_id and e.created_at = s.event_at
               left join audit_redactions r on r.event_id = s.event_id
               where s.org_id is not distinct from $1
               order by s.seq"#,
            org as _,
        )
        .fetch(db);
        while let Some(row) = rows.try_next().await? {
            result.seals += 1;
            seq += 1;
            let expected = link::hash(&hash, seq, row.event_id.uuid(), row.event_at, &row.digest);
            let what = if row.seq != seq || row.hash != expected {
                Some("the chain is broken here")
            } else if !row.found {
                (row.event_at >= kept_from).then_some("the event is gone")
            } else {
                None
            };
            // After a gap the rest of the chain is judged by itself.
            (seq, hash) = (row.seq, row.hash.clone());
            let (event_id, found) = (Some(row.event_id), row.found);
            let state = row.state(&self.secrets);
            result.redacted += u64::from(found && state == State::Redacted);
            let changed = found && state == State::Changed;
            let what = what.or(changed.then_some("the event was changed"));
            result.breaks.extend(what.map(|what| Break { org_id: org, event_id, what }));
        }
        let holds = end.is_some_and(|end| {
            (end.seq, &end.hash) == (seq, &hash)
                && link::code_holds(&self.secrets, (org, seq, &hash), &end.code)
        });
        if !holds {
            let what = "the end of the chain was not written by us";
            result.breaks.push(Break { org_id: org, event_id: None, what });
        }
        Ok(())
    }
}

async fn waiting(db: &mut PgConnection, org: Option<Id<Org>>) -> sqlx::Result<u64> {
    let count = sqlx::query_scalar!(
        r#"select count(*) as "count!" from audit_unsealed where $1::uuid is null or org_id = $1"#,
        org as _,
    )
    .fetch_one(db)
    .await?;
    Ok(count.unsigned_abs())
}

/// Events that are in no chain although nobody is about to put them into one.
async fn unsealed(db: &mut PgConnection, org: Option<Id<Org>>) -> sqlx::Result<Vec<Break>> {
    let rows = sqlx::query!(
        r#"select e.id as "id: Id<Event>", e.org_id as "org: Id<Org>"
           from audit_events e
           where ($1::uuid is null or e.org_id = $1)
             and not exists (select from audit_seals s where s.event_id = e.id)
             and not exists (select from audit_unsealed u where u.event_id = e.id)"#,
        org as _,
    )
    .fetch_all(db)
    .await?;
    let what = "the event was written past the log";
    Ok(rows.into_iter().map(|it| Break { org_id: it.org, event_id: Some(it.id), what }).collect())
}
