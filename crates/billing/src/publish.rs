use audit::{Entry, Origin};
use jobs::enqueue;
use serde_json::json;
use web::IfMatch;

use crate::{
    Billing, Catalogue, CatalogueVersion, Result, catalogue::SyncCatalogue,
    standing::ApplyCatalogue,
};

impl Billing {
    /// Puts a catalogue in force, within a second and everywhere. Stripe and everybody's plan follow.
    pub async fn publish(
        &self,
        catalogue: Catalogue,
        if_match: IfMatch,
        source: Option<&str>,
        origin: &Origin,
    ) -> Result<CatalogueVersion> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let published =
            CatalogueVersion::publish(&mut tx, catalogue, if_match, source, origin, now).await?;
        let free = published.catalogue.free().entitlement();
        quotas::entitle_new_orgs(&mut tx, &free).await?;
        let entry = Entry::new(origin, None, "catalogue.published", published.version);
        entry.after(json!(published.catalogue)).record(&mut tx, now).await?;
        enqueue(&mut tx, &SyncCatalogue {}).await?;
        enqueue(&mut tx, &ApplyCatalogue { version: published.version, after: None }).await?;
        tx.commit().await?;
        self.catalogues.forget();
        Ok(published)
    }

    /// The catalogue in force.
    pub async fn catalogue(&self) -> Result<CatalogueVersion> {
        Ok(CatalogueVersion::newest(self.db.pool()).await?)
    }

    /// The last hundred versions, the newest first.
    pub async fn catalogue_versions(&self) -> Result<Vec<CatalogueVersion>> {
        Ok(CatalogueVersion::list(self.db.pool(), 100).await?)
    }
}
