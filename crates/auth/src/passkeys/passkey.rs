use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use kernel::{Id, User};
use serde::Serialize;
use serde_json::{Value, json};
use sqlx::{PgConnection, PgExecutor, types::Json};
use utoipa::ToSchema;
use webauthn_rs::prelude::{AuthenticationResult, Passkey as Credential};

use crate::Name;

/// A key in a device of somebody's.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Passkey {
    #[schema(value_type = String, format = Uuid)]
    pub(super) id: Id<Passkey>,
    /// What its owner calls it.
    #[schema(example = "My phone")]
    name: String,
    created_at: DateTime<Utc>,
    last_used_at: Option<DateTime<Utc>>,
    /// Since when it is refused, because there seem to be two of it.
    pub(crate) copied_at: Option<DateTime<Utc>>,
    #[serde(skip)]
    pub(super) credential: Json<Credential>,
}

impl Passkey {
    /// What a browser finds it by.
    pub(super) fn descriptor(&self) -> Value {
        let id = BASE64_URL_SAFE_NO_PAD.encode(self.credential.cred_id());
        json!({ "type": "public-key", "id": id })
    }

    /// `None` if it is known here already, as somebody else's.
    pub(super) async fn insert(
        db: &mut PgConnection,
        user: Id<User>,
        name: &Name,
        credential: Credential,
        now: DateTime<Utc>,
    ) -> sqlx::Result<Option<Self>> {
        let credential_id = credential.cred_id().clone();
        sqlx::query_as!(
            Self,
            r#"insert into passkeys (id, user_id, credential_id, name, credential, created_at)
               values ($1, $2, $3, $4, $5, $6)
               on conflict (credential_id) do nothing
               returning id as "id: _", name, created_at, last_used_at, copied_at,
                         credential as "credential: _""#,
            Id::<Self>::new() as _,
            user as _,
            credential_id,
            name.as_str(),
            Json(credential) as _,
            now,
        )
        .fetch_optional(db)
        .await
    }

    /// The oldest first.
    pub(crate) async fn list(db: impl PgExecutor<'_>, user: Id<User>) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", name, created_at, last_used_at, copied_at,
                      credential as "credential: _"
               from passkeys where user_id = $1 order by id"#,
            user as _,
        )
        .fetch_all(db)
        .await
    }

    /// The one of `user` that calls itself so, locked: its count of uses is compared and moved on by
    /// one at a time.
    pub(super) async fn lock(
        db: &mut PgConnection,
        user: Id<User>,
        credential_id: &[u8],
    ) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", name, created_at, last_used_at, copied_at,
                      credential as "credential: _"
               from passkeys where user_id = $1 and credential_id = $2
               for update"#,
            user as _,
            credential_id,
        )
        .fetch_optional(db)
        .await
    }

    /// Notes its use.
    pub(super) async fn used(
        mut self,
        db: &mut PgConnection,
        result: &AuthenticationResult,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        self.credential.update_credential(result);
        sqlx::query!(
            "update passkeys set credential = $2, last_used_at = $3 where id = $1",
            self.id as _,
            self.credential as _,
            now,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    /// From now on it opens nothing.
    pub(super) async fn distrust(
        self,
        db: &mut PgConnection,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query!("update passkeys set copied_at = $2 where id = $1", self.id as _, now)
            .execute(db)
            .await?;
        Ok(())
    }

    pub(super) async fn rename(
        db: impl PgExecutor<'_>,
        user: Id<User>,
        id: Id<Self>,
        name: &Name,
    ) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            r#"update passkeys set name = $3 where id = $1 and user_id = $2
               returning id as "id: _", name, created_at, last_used_at, copied_at,
                         credential as "credential: _""#,
            id as _,
            user as _,
            name.as_str(),
        )
        .fetch_optional(db)
        .await
    }

    pub(super) async fn remove(
        db: &mut PgConnection,
        user: Id<User>,
        id: Id<Self>,
    ) -> sqlx::Result<bool> {
        let removed =
            sqlx::query!("delete from passkeys where id = $1 and user_id = $2", id as _, user as _);
        Ok(removed.execute(db).await?.rows_affected() == 1)
    }

    /// `false` if there were none.
    pub(crate) async fn remove_all(db: impl PgExecutor<'_>, user: Id<User>) -> sqlx::Result<bool> {
        let removed = sqlx::query!("delete from passkeys where user_id = $1", user as _);
        Ok(removed.execute(db).await?.rows_affected() > 0)
    }
}
