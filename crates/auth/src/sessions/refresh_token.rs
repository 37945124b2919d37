use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use kernel::Id;
use sqlx::PgConnection;

use crate::{Keys, Session, lifetimes, secrets::secret};

/// A token that is exchanged once, for an access token and its successor.
///
/// The successor is derived from it. So a client that has several tabs open gets the same successor
/// in all of them, without us storing anything that could be stolen.
pub(crate) struct RefreshToken(String);

/// What presenting a token came to.
pub(crate) enum Rotation {
    /// The successor, whether it was just made or is given again.
    Successor(RefreshToken),
    /// Two parties hold this token, or held the one before it: one is a thief.
    Reused,
    /// Its successor was derived from a secret that we have not, or no longer. It tells nothing of
    /// whoever presents it.
    Unknown,
}

struct Row {
    replaced_at: Option<DateTime<Utc>>,
    /// How many successors it has had.
    successors: i32,
    /// Whether its predecessor was given another successor in its place.
    superseded: bool,
}

impl RefreshToken {
    /// The token that a client sent.
    pub(crate) fn presented(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }

    pub(crate) fn hash(&self) -> [u8; 32] {
        secret::hash(&self.0)
    }

    fn random() -> Self {
        Self(format!("slr_{}", secret::random()))
    }

    /// The `nth` successor, counted from 1.
    fn successor(&self, key: &[u8], nth: i32) -> Self {
        let from = if nth == 1 { self.0.clone() } else { format!("{} {nth}", self.0) };
        Self(format!("slr_{}", BASE64_URL_SAFE_NO_PAD.encode(sealing::derive(key, &from))))
    }

    /// The first token of a session.
    pub(crate) async fn issue(
        db: &mut PgConnection,
        session: Id<Session>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Self> {
        let token = Self::random();
        token.insert(db, session, now).await?;
        Ok(token)
    }

    /// Replaces the token; the caller holds the lock of its session.
    ///
    /// For a few seconds a replaced token gives the same successor again: to other tabs. After that
    /// the answer may have got lost, so once more it gives a successor, another one, if the first was
    /// never used. Should that first one turn up after all, then two parties went on from here.
    pub(crate) async fn rotate(
        &self,
        db: &mut PgConnection,
        keys: &Keys,
        session: Id<Session>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Rotation> {
        let Some(row) = self.find(db).await?.filter(|row| !row.superseded) else {
            return Ok(Rotation::Reused);
        };
        let Some(replaced_at) = row.replaced_at else {
            return self.succeed(db, keys, session, 1, now).await;
        };
        let Some((given, used)) = self.given(db, keys, row.successors).await? else {
            return Ok(Rotation::Unknown);
        };
        if now - replaced_at <= lifetimes::REFRESH_REPEAT {
            return Ok(Rotation::Successor(given));
        }
        if used || row.successors > 1 {
            return Ok(Rotation::Reused);
        }
        given.supersede(db).await?;
        self.succeed(db, keys, session, 2, now).await
    }

    async fn succeed(
        &self,
        db: &mut PgConnection,
        keys: &Keys,
        session: Id<Session>,
        nth: i32,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Rotation> {
        let successor = self.successor(&keys.current().rotation, nth);
        successor.insert(db, session, now).await?;
        sqlx::query!(
            "update refresh_tokens set replaced_at = $2, successors = $3 where hash = $1",
            &self.hash(),
            now,
            nth,
        )
        .execute(db)
        .await?;
        Ok(Rotation::Successor(successor))
    }

    /// The successor given last, and whether it was used. The secret may have been exchanged since.
    async fn given(
        &self,
        db: &mut PgConnection,
        keys: &Keys,
        nth: i32,
    ) -> sqlx::Result<Option<(Self, bool)>> {
        for key in keys.all() {
            let successor = self.successor(&key.rotation, nth);
            if let Some(row) = successor.find(db).await? {
                return Ok(Some((successor, row.replaced_at.is_some())));
            }
        }
        Ok(None)
    }

    async fn find(&self, db: &mut PgConnection) -> sqlx::Result<Option<Row>> {
        sqlx::query_as!(
            Row,
            "select replaced_at, successors, superseded from refresh_tokens where hash = $1",
            &self.hash(),
        )
        .fetch_optional(db)
        .await
    }

    async fn supersede(&self, db: &mut PgConnection) -> sqlx::Result<()> {
        let hash = self.hash();
        sqlx::query!("update refresh_tokens set superseded = true where hash = $1", &hash)
            .execute(db)
            .await?;
        Ok(())
    }

    async fn insert(
        &self,
        db: &mut PgConnection,
        session: Id<Session>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "insert into refresh_tokens (hash, session_id, created_at) values ($1, $2, $3)",
            &self.hash(),
            session as _,
            now,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
