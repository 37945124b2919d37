use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use kernel::Id;
use sqlx::PgConnection;

use crate::{Keys, Session, lifetimes, secrets::secret};

/// A token that is exchanged once, for an access token and its successor.
///
/// The successor is derived from it. So a client whose answer was lost, or that has several tabs
/// open, gets the same successor again, without us storing anything that could be stolen.
pub(crate) struct RefreshToken(String);

/// What presenting a token came to.
pub(crate) enum Rotation {
    /// The successor, whether it was just made or is given again.
    Successor(RefreshToken),
    /// The successor has been replaced itself, so two parties hold this token: one is a thief.
    Reused,
}

struct Row {
    replaced_at: Option<DateTime<Utc>>,
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

    fn successor(&self, key: &[u8]) -> Self {
        Self(format!("slr_{}", BASE64_URL_SAFE_NO_PAD.encode(secret::derive(key, &self.0))))
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
    /// A replaced token gives its successor again for a few seconds, and beyond that until the
    /// successor was used: then the client has certainly received it.
    pub(crate) async fn rotate(
        &self,
        db: &mut PgConnection,
        keys: &Keys,
        session: Id<Session>,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Rotation> {
        let Some(Row { replaced_at }) = self.find(db).await? else { return Ok(Rotation::Reused) };
        let Some(replaced_at) = replaced_at else {
            let successor = self.successor(&keys.current().rotation);
            successor.insert(db, session, now).await?;
            self.mark_replaced(db, now).await?;
            return Ok(Rotation::Successor(successor));
        };
        let repeats = now - replaced_at <= lifetimes::REFRESH_REPEAT;
        // The secret may have been exchanged since.
        for key in keys.all() {
            let successor = self.successor(&key.rotation);
            match successor.find(db).await? {
                Some(row) if repeats || row.replaced_at.is_none() => {
                    return Ok(Rotation::Successor(successor));
                }
                _ => {}
            }
        }
        Ok(Rotation::Reused)
    }

    async fn find(&self, db: &mut PgConnection) -> sqlx::Result<Option<Row>> {
        let hash = self.hash();
        sqlx::query_as!(Row, "select replaced_at from refresh_tokens where hash = $1", &hash)
            .fetch_optional(db)
            .await
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

    async fn mark_replaced(&self, db: &mut PgConnection, now: DateTime<Utc>) -> sqlx::Result<()> {
        sqlx::query!(
            "update refresh_tokens set replaced_at = $2 where hash = $1",
            &self.hash(),
            now,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
