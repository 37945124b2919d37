use std::{num::NonZeroU32, sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use db::{Db, Mark, Subject};
use kernel::{Clock, Id, Org, User};
use moka::future::Cache;
use quotas::Entitlement;
use web::{Caller, Credential, Role, Scopes, Tier};

use crate::{ApiKey, Session};

/// How long what nobody asks for is kept. Whether it may be used is another question.
const IDLE: Duration = Duration::from_mins(1);
const CAPACITY: u64 = 100_000;

/// What a caller proved to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Proof {
    /// Acting in an org that the request names, or in its own.
    Session { id: Id<Session>, org: Option<Id<Org>> },
    /// The key with this hash.
    Key([u8; 32]),
}

/// What a proof is worth.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) caller: Caller,
    pub(crate) expires_at: Option<DateTime<Utc>>,
    /// When the person behind a session last proved who they are.
    pub(crate) authenticated_at: Option<DateTime<Utc>>,
    /// Whether operators have closed the org.
    pub(crate) suspended: bool,
}

impl Standing {
    fn holds_at(&self, now: DateTime<Utc>) -> bool {
        self.expires_at.is_none_or(|end| end > now)
    }

    /// Whose changes can change it.
    fn subjects(&self) -> [Subject; 3] {
        let credential = match &self.caller.credential {
            Credential::Session(id) | Credential::Impersonation { session: id, .. } => {
                Subject::from(*id)
            }
            Credential::Key { id, .. } => Subject::from(*id),
        };
        [credential, self.caller.user.into(), self.caller.org.into()]
    }
}

/// What a proof was worth when it was looked up.
#[derive(Clone)]
struct Known {
    since: Mark,
    standing: Option<Standing>,
}

/// What every proof is worth, as of a second ago at most.
#[derive(Clone)]
pub(crate) struct Standings {
    db: Db,
    clock: Clock,
    cache: Cache<Proof, Known>,
}

impl Standings {
    pub(crate) fn new(db: Db, clock: Clock) -> Self {
        let cache = Cache::builder().max_capacity(CAPACITY).time_to_live(IDLE).build();
        Self { db, clock, cache }
    }

    /// Many requests with one proof ask the database once. A failure is not remembered.
    pub(crate) async fn of(&self, proof: Proof) -> Result<Option<Standing>, Arc<sqlx::Error>> {
        let mut known = self.cache.get(&proof).await;
        if known.as_ref().is_some_and(|known| !self.is_current(known)) {
            self.cache.invalidate(&proof).await;
            known = None;
        }
        let known = match known {
            Some(known) => known,
            None => self.cache.try_get_with(proof, self.look_up(proof)).await?,
        };
        let now = self.clock.now();
        Ok(known.standing.filter(|standing| standing.holds_at(now)))
    }

    /// What is worth nothing is nobody's, so nobody says when it changes; and what has expired may
    /// have been extended.
    fn is_current(&self, known: &Known) -> bool {
        let holds = |standing: &&Standing| standing.holds_at(self.clock.now());
        match known.standing.as_ref().filter(holds) {
            Some(standing) => self.db.changes().is_current(known.since, standing.subjects()),
            None => self.db.changes().is_recent(known.since),
        }
    }

    async fn look_up(&self, proof: Proof) -> sqlx::Result<Known> {
        let since = self.db.changes().mark();
        let standing = match proof {
            Proof::Session { id, org } => self.of_session(id, org).await?,
            Proof::Key(hash) => self.of_key(hash).await?,
        };
        Ok(Known { since, standing })
    }

    async fn of_session(
        &self,
        id: Id<Session>,
        org: Option<Id<Org>>,
    ) -> sqlx::Result<Option<Standing>> {
        let row = sqlx::query!(
            r#"select s.user_id as "user: Id<User>", m.org_id as "org: Id<Org>", s.expires_at,
                      s.authenticated_at, m.role as "role: Role",
                      o.suspended_at is not null as "suspended!"
               from sessions s
               join users u on u.id = s.user_id and u.disabled_at is null
               join memberships m on m.org_id = coalesce($2, s.org_id) and m.user_id = s.user_id
               join orgs o on o.id = m.org_id
               where s.id = $1 and s.revoked_at is null"#,
            id as _,
            org as _,
        )
        .fetch_optional(self.db.pool())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let caller = Caller {
            user: row.user,
            org: row.org,
            role: row.role,
            tier: self.tier(row.org).await?,
            credential: Credential::Session(id.uuid()),
        };
        Ok(Some(Standing {
            caller,
            expires_at: Some(row.expires_at),
            authenticated_at: Some(row.authenticated_at),
            suspended: row.suspended,
        }))
    }

    async fn of_key(&self, hash: [u8; 32]) -> sqlx::Result<Option<Standing>> {
        let row = sqlx::query!(
            r#"select k.id as "id: Id<kernel::ApiKey>", k.user_id as "user: Id<User>",
                      k.org_id as "org: Id<Org>", k.scopes, k.last_used_at,
                      case when k.hash = $1 then k.expires_at
                           else least(k.expires_at, k.previous_expires_at) end as expires_at,
                      k.requests_per_minute, m.role as "role: Role",
                      o.suspended_at is not null as "suspended!"
               from api_keys k
               join users u on u.id = k.user_id and u.disabled_at is null
               join memberships m on m.org_id = k.org_id and m.user_id = k.user_id
               join orgs o on o.id = k.org_id
               where (k.hash = $1 or k.previous_hash = $1) and k.revoked_at is null"#,
            &hash,
        )
        .fetch_optional(self.db.pool())
        .await?;
        let Some(row) = row else { return Ok(None) };
        self.note_use(row.id, row.last_used_at);
        let per_minute = row.requests_per_minute.and_then(|count| u32::try_from(count).ok());
        let credential = Credential::Key {
            id: row.id,
            scopes: Scopes(row.scopes.into()),
            per_minute: per_minute.and_then(NonZeroU32::new),
        };
        let caller = Caller {
            user: row.user,
            org: row.org,
            role: row.role,
            tier: self.tier(row.org).await?,
            credential,
        };
        Ok(Some(Standing {
            caller,
            expires_at: row.expires_at,
            authenticated_at: None,
            suspended: row.suspended,
        }))
    }

    async fn tier(&self, org: Id<Org>) -> sqlx::Result<Tier> {
        let entitlement = Entitlement::of(self.db.pool(), org).await?;
        Ok(entitlement.map(|entitlement| entitlement.tier).unwrap_or_default())
    }

    /// Beside the request, which need not wait for it nor fail with it.
    fn note_use(&self, key: Id<kernel::ApiKey>, last_used_at: Option<DateTime<Utc>>) {
        let now = self.clock.now();
        if last_used_at.is_some_and(|last| now - last < TimeDelta::minutes(1)) {
            return;
        }
        let db = self.db.clone();
        tokio::spawn(async move {
            if let Err(error) = ApiKey::touch(db.pool(), key, now).await {
                tracing::warn!(%key, %error, "the use of an API key was not noted");
            }
        });
    }
}
