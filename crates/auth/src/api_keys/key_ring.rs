use audit::{Entry, Origin};
use chrono::TimeDelta;
use kernel::{Id, Org, User};
use secrecy::SecretString;
use serde_json::json;
use web::Problem;

use crate::{
    ApiKey, Auth, Error, NewApiKey, Result, lifetimes,
    webhook_events::{ApiKeyCreated, ApiKeyRevoked},
};

impl Auth {
    /// Makes an API key for `org` with the rights of `user`. The secret cannot be had again.
    pub async fn create_api_key(
        &self,
        org: Id<Org>,
        user: Id<User>,
        new: NewApiKey,
        origin: &Origin,
    ) -> Result<(ApiKey, SecretString)> {
        let now = self.clock.now();
        new.check(now)?;
        let mut tx = self.db.tenant(org).await?;
        let created = ApiKey::create(&mut tx, org, user, new, now).await?;
        let (key, _) = &created;
        let after = json!({ "name": key.name, "scopes": key.scopes, "expires_at": key.expires_at });
        let entry = Entry::new(origin, Some(org), "api_key.created", key.id);
        entry.after(after).record(&mut tx, now).await?;
        let event = ApiKeyCreated {
            api_key_id: key.id,
            name: key.name.clone(),
            scopes: key.scopes.clone(),
            expires_at: key.expires_at,
            user_id: user,
        };
        webhooks::emit(&mut tx, org, &event, now).await?;
        tx.commit().await?;
        tracing::info!(%org, %user, key = %created.0.id, "an API key was made");
        Ok(created)
    }

    /// Gives an API key of `org` a new secret; the one before works for `overlap` longer.
    pub async fn rotate_api_key(
        &self,
        org: Id<Org>,
        id: Id<kernel::ApiKey>,
        overlap: TimeDelta,
        origin: &Origin,
    ) -> Result<(ApiKey, SecretString)> {
        let now = self.clock.now();
        if overlap < TimeDelta::zero() || overlap > lifetimes::KEY_OVERLAP {
            let detail = format!("must be 0 to {}", lifetimes::KEY_OVERLAP.num_seconds());
            return Err(Problem::invalid_field("/overlap_seconds", detail).into());
        }
        let mut tx = self.db.tenant(org).await?;
        let rotated = ApiKey::rotate(&mut tx, org, id, now + overlap, now).await?;
        let (key, secret) = rotated.ok_or(Error::ApiKeyNotFound)?;
        let entry = Entry::new(origin, Some(org), "api_key.rotated", id);
        let after = json!({ "previous_expires_at": key.previous_expires_at });
        entry.after(after).record(&mut tx, now).await?;
        tx.commit().await?;
        self.db.changes().note(id);
        tracing::info!(%org, key = %id, "an API key was rotated");
        Ok((key, secret))
    }

    /// Ends an API key of `org`.
    pub async fn revoke_api_key(
        &self,
        org: Id<Org>,
        id: Id<kernel::ApiKey>,
        origin: &Origin,
    ) -> Result<()> {
        let now = self.clock.now();
        let mut tx = self.db.tenant(org).await?;
        if !ApiKey::revoke(&mut tx, org, id, now).await? {
            return Err(Error::ApiKeyNotFound);
        }
        Entry::new(origin, Some(org), "api_key.revoked", id).record(&mut tx, now).await?;
        webhooks::emit(&mut tx, org, &ApiKeyRevoked { api_key_id: id }, now).await?;
        tx.commit().await?;
        self.db.changes().note(id);
        tracing::info!(%org, key = %id, "an API key was revoked");
        Ok(())
    }
}
