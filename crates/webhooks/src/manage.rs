use audit::{Entry, Origin};
use chrono::TimeDelta;
use kernel::{Id, Org};
use serde_json::{Value, json};
use web::IfMatch;

use crate::{
    Endpoint, Error, Result, Secret, Webhooks,
    input::{Checked, EndpointChange, NewEndpoint, Rules},
};

/// How long a secret may live on after it was replaced.
const LONGEST_OVERLAP: TimeDelta = TimeDelta::days(7);

impl Webhooks {
    fn rules(&self) -> Rules<'_> {
        Rules { egress: &self.egress, types: &self.types }
    }

    pub(crate) async fn create(
        &self,
        org: Id<Org>,
        new: NewEndpoint,
        origin: &Origin,
    ) -> Result<(Endpoint, Secret)> {
        let (id, now, new) = (Id::new(), self.clock.now(), self.rules().check(new)?);
        let (secret, sealed) = self.new_secret(id)?;
        let most = self.config.webhooks_max_endpoints;
        let mut tx = self.db.tenant(org).await?;
        if Endpoint::count(&mut tx, org).await? >= i64::from(most) {
            return Err(Error::TooMany(most));
        }
        let endpoint = Endpoint::insert(&mut tx, (id, org), &new, &sealed, now).await?;
        let entry = Entry::new(origin, Some(org), "webhook_endpoint.created", id);
        entry.after(self.shown(&new)).record(&mut tx, now).await?;
        tx.commit().await?;
        Ok((endpoint, secret))
    }

    pub(crate) async fn change(
        &self,
        org: Id<Org>,
        id: Id<Endpoint>,
        (change, if_match): (EndpointChange, IfMatch),
        origin: &Origin,
    ) -> web::Result<Endpoint> {
        let now = self.clock.now();
        let mut tx = self.db.tenant(org).await?;
        let endpoint = Endpoint::lock(&mut tx, id).await?;
        if_match.check(endpoint.version)?;
        let before = Checked {
            url: endpoint.url.clone(),
            description: String::new(),
            events: endpoint.events.clone(),
            enabled: endpoint.enabled,
        };
        let to = self.rules().check_change(&endpoint, change)?;
        let endpoint = endpoint.change(&mut tx, &to, now).await?;
        Entry::new(origin, Some(org), "webhook_endpoint.changed", id)
            .before(self.shown(&before))
            .after(self.shown(&to))
            .record(&mut tx, now)
            .await?;
        tx.commit().await?;
        if endpoint.enabled {
            self.wake_now(id).await;
        }
        Ok(endpoint)
    }

    pub(crate) async fn delete(
        &self,
        org: Id<Org>,
        id: Id<Endpoint>,
        origin: &Origin,
    ) -> Result<()> {
        let now = self.clock.now();
        let mut tx = self.db.tenant(org).await?;
        Endpoint::lock(&mut tx, id).await?.disable(&mut tx, now).await?;
        tx.commit().await?;
        // In batches, for there may be many: whoever dies over them leaves an endpoint that says it is disabled.
        self.drop_deliveries(id).await?;
        let mut tx = self.db.tenant(org).await?;
        Endpoint::lock(&mut tx, id).await?.delete(&mut tx).await?;
        let entry = Entry::new(origin, Some(org), "webhook_endpoint.deleted", id);
        entry.record(&mut tx, now).await?;
        Ok(tx.commit().await?)
    }

    pub(crate) async fn rotate(
        &self,
        org: Id<Org>,
        id: Id<Endpoint>,
        overlap: i64,
        origin: &Origin,
    ) -> Result<(Endpoint, Secret)> {
        if !(0..=LONGEST_OVERLAP.num_seconds()).contains(&overlap) {
            return Err(Error::Overlap(LONGEST_OVERLAP.num_seconds()));
        }
        let now = self.clock.now();
        let (secret, sealed) = self.new_secret(id)?;
        let mut tx = self.db.tenant(org).await?;
        let endpoint = Endpoint::lock(&mut tx, id).await?;
        let expires = now + TimeDelta::seconds(overlap);
        let endpoint = endpoint.rotate(&mut tx, &sealed, expires, now).await?;
        Entry::new(origin, Some(org), "webhook_endpoint.rotated", id)
            .after(json!({ "previous_secret_expires_at": expires }))
            .record(&mut tx, now)
            .await?;
        tx.commit().await?;
        Ok((endpoint, secret))
    }

    fn new_secret(&self, id: Id<Endpoint>) -> Result<(Secret, Vec<u8>)> {
        let secret = Secret::random();
        let sealed = self.sealer.seal(id.uuid().as_bytes(), secret.bytes());
        Ok((secret, sealed.map_err(Error::Sealing)?))
    }

    /// What the audit log shows: of a URL the host, as the rest may be a secret.
    fn shown(&self, it: &Checked) -> Value {
        let target = self.egress.target(&it.url);
        let host = target.as_ref().map(egress::Target::host).unwrap_or_default();
        json!({ "host": host, "events": it.events, "enabled": it.enabled })
    }
}
