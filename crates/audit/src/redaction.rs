//! Taking what is personal out of events whose person or org is erased. That something happened stays.

use kernel::{Id, Org, User};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    Audit, Event,
    chain::link::{self, Stored},
};

/// Events that were redacted in one transaction.
#[derive(Clone, Copy, Debug)]
pub struct Redacted {
    /// The last of them, after which to go on.
    pub last: Uuid,
    /// How many had not been redacted before.
    pub new: u64,
}

/// Events per transaction.
const BATCH: i64 = 1000;

/// Whose events lose what is personal.
#[derive(Clone, Copy, Debug)]
pub enum Redaction {
    /// What somebody did or had done to them. What they did in an org that goes on stays legible, but not where
    /// from, nor what mentions their name or address.
    Person(Id<User>),
    /// Everything of an org.
    Org(Id<Org>),
}

impl Audit {
    /// Redacts the next events after the one with the id `after`. `None`: there are no more.
    pub async fn redact(
        &self,
        db: &mut PgConnection,
        redaction: Redaction,
        after: Uuid,
    ) -> sqlx::Result<Option<Redacted>> {
        let batch = match redaction {
            Redaction::Person(user) => of_person(db, user, after).await?,
            Redaction::Org(org) => of_org(db, org, after).await?,
        };
        let Some(last) = batch.last().map(|event| event.id.uuid()) else { return Ok(None) };
        let mut redacted = Redacted { last, new: 0 };
        for event in &batch {
            redacted.new += u64::from(self.replace(db, event).await?);
        }
        Ok(Some(redacted))
    }

    /// Replaces an event by what is left of it; answers whether that is the first time.
    async fn replace(&self, db: &mut PgConnection, event: &Stored) -> sqlx::Result<bool> {
        let digest = event.digest();
        let is_new = sqlx::query_scalar!(
            r#"insert into audit_redactions (event_id, digest, code, secret) values ($1, $2, $3, $4)
               on conflict (event_id) do update
               set digest = excluded.digest, code = excluded.code, secret = excluded.secret
               returning xmax = 0 as "is_new!""#,
            event.id as _,
            digest,
            link::redaction_code(self.secret(), event.id.uuid(), &digest),
            link::fingerprint(self.secret()),
        )
        .fetch_one(&mut *db)
        .await?;
        sqlx::query!(
            "update audit_events
             set subject = $3, before = $4::text::jsonb, after = $5::text::jsonb, ip = null, request_id = null
             where id = $1 and created_at = $2",
            event.id as _,
            event.created_at,
            event.subject,
            event.before,
            event.after,
        )
        .execute(db)
        .await?;
        Ok(is_new)
    }

    /// Signs redactions anew that were signed with a secret before the current one.
    pub(crate) async fn sign_redactions_anew(&self) -> anyhow::Result<()> {
        let current = link::fingerprint(self.secret());
        let known: Vec<_> = self.secrets.iter().map(link::fingerprint).collect();
        let mut after = Uuid::nil();
        loop {
            let rows = sqlx::query!(
                r#"select event_id as "event: Id<Event>", digest, code from audit_redactions
                   where secret <> $1 and secret = any($2) and event_id > $3 order by event_id limit $4"#,
                current,
                &known,
                after,
                BATCH,
            )
            .fetch_all(self.db.pool())
            .await?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = last.event.uuid();
            for row in rows {
                let event = row.event.uuid();
                if link::redaction_holds(&self.secrets, event, &row.digest, &row.code) {
                    sqlx::query!(
                        // Unless it was redacted again meanwhile, which signed it, too.
                        "update audit_redactions set code = $2, secret = $3
                         where event_id = $1 and code = $4",
                        row.event as _,
                        link::redaction_code(self.secret(), event, &row.digest),
                        current,
                        row.code,
                    )
                    .execute(self.db.pool())
                    .await?;
                }
            }
        }
    }
}

/// The next events of a person, as they are to be.
async fn of_person(
    db: &mut PgConnection,
    user: Id<User>,
    after: Uuid,
) -> sqlx::Result<Vec<Stored>> {
    sqlx::query_as!(
        Stored,
        r#"with person as (
               select id::text as id, lower(email) as email,
                      case when length(name) > 2 then lower(name) else lower(email) end as name
               from users where id = $1),
           events as (
               select e.*, p.id as person,
                      strpos(lower(e.subject), p.email) + strpos(lower(e.subject), p.name) > 0
                          or e.org_id is null and e.subject <> p.id as hides_subject,
                      e.org_id is null
                          or strpos(lower(concat(e.before, e.after)), p.email) > 0
                          or strpos(lower(concat(e.before, e.after)), p.name) > 0 as hides_values
               from audit_events e, person p
               where e.id > $2
                 and ($1 in (e.actor_id, e.on_behalf_of) or e.subject = p.id
                      or strpos(lower(concat(e.subject, e.before, e.after)), p.email) > 0))
           select id as "id!: _", org_id as "org_id: _", actor_kind as "actor_kind!", actor_id, on_behalf_of,
                  action as "action!", case when hides_subject then '' else subject end as "subject!",
                  case when not hides_values then before::text end as before,
                  case when not hides_values then after::text end as after,
                  null::text as ip, null::text as request_id, created_at as "created_at!"
           from events
           order by id
           limit $3"#,
        user as _,
        after,
        BATCH,
    )
    .fetch_all(db)
    .await
}

/// The next events of an org, as they are to be: subjects that are ids stay.
async fn of_org(db: &mut PgConnection, org: Id<Org>, after: Uuid) -> sqlx::Result<Vec<Stored>> {
    sqlx::query_as!(
        Stored,
        r#"select id as "id: _", org_id as "org_id: _", actor_kind, actor_id, on_behalf_of, action,
                  case when subject ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then subject else '' end as "subject!",
                  null::text as before, null::text as after,
                  null::text as ip, null::text as request_id, created_at
           from audit_events
           where org_id = $1 and id > $2
           order by id
           limit $3"#,
        org as _,
        after,
        BATCH,
    )
    .fetch_all(db)
    .await
}
