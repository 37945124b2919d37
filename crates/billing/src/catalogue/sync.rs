use std::fmt;

use audit::Origin;
use jobs::Job;
use serde::{Deserialize, Serialize};
use web::IfMatch;

use super::{CATALOGUE, Catalogue, CatalogueVersion, Listing};
use crate::{
    Billing, Error, Result,
    price::Price,
    stripe::{self, Stripe},
};

/// What Stripe has otherwise than the catalogue says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The file is not in force yet.
    Unpublished,
    /// There is no such product.
    NoProduct(String),
    /// It has another name or is not for sale.
    OtherProduct(String),
    /// There is no such price.
    NoPrice(String, String),
    /// There is, but not for sale or under another name.
    Archived(String, String),
    /// A price is for sale that should not be.
    Outdated(String, String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unpublished => f.write_str("+ a new version of the catalogue"),
            Self::NoProduct(product) => write!(f, "+ product {product}"),
            Self::OtherProduct(product) => write!(f, "~ product {product}"),
            Self::NoPrice(item, price) => write!(f, "+ price {item}: {price}"),
            Self::Archived(item, price) => {
                write!(f, "~ price {item}: {price}, for sale again")
            }
            Self::Outdated(item, id) => write!(f, "- price {item}: {id} is archived"),
        }
    }
}

/// Brings Stripe in line with the catalogue after it was changed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SyncCatalogue {}

impl Job for SyncCatalogue {
    const NAME: &'static str = "billing.sync_catalogue";
    type Context = Billing;

    async fn run(self, billing: Billing) -> anyhow::Result<()> {
        if billing.stripe().is_ok() {
            billing.sync_prices(false).await?;
        }
        Ok(())
    }
}

impl Billing {
    /// Publishes `file` (else the one the program was built with), unless that was done before, and
    /// brings Stripe's products and prices in line with the catalogue in force. Running it again
    /// changes nothing; a dry run changes nothing at all.
    pub async fn sync_catalogue(
        &self,
        file: Option<&str>,
        dry_run: bool,
    ) -> Result<Vec<Difference>> {
        let text = file.unwrap_or(CATALOGUE);
        let catalogue = Catalogue::parse(text)?;
        let mut differences = Vec::new();
        if !CatalogueVersion::knows(self.db.pool(), text).await? {
            differences.push(Difference::Unpublished);
            if dry_run {
                catalogue.require_all_of(&self.catalogues.current().await?.catalogue)?;
                let stripe = self.stripe()?;
                differences.extend(self.compare(stripe, &catalogue, true).await?);
                return Ok(differences);
            }
            let origin = &Origin::SYSTEM;
            self.publish(catalogue, IfMatch::ANY, Some(text), origin).await?;
        }
        differences.extend(self.sync_prices(dry_run).await?);
        Ok(differences)
    }

    pub(crate) async fn sync_prices(&self, dry_run: bool) -> Result<Vec<Difference>> {
        let version = CatalogueVersion::newest(self.db.pool()).await?;
        self.compare(self.stripe()?, &version.catalogue, dry_run).await
    }

    async fn compare(
        &self,
        stripe: &Stripe,
        catalogue: &Catalogue,
        dry_run: bool,
    ) -> Result<Vec<Difference>> {
        let listings = catalogue.listings();
        let mut sync = Sync { billing: self, stripe, dry_run, differences: vec![] };
        for listing in &listings {
            sync.offer(listing).await?;
        }
        for item in Price::items_for_sale(self.db.pool()).await? {
            if !listings.iter().any(|listing| listing.item == item) {
                sync.withdraw(&item).await?;
            }
        }
        Ok(sync.differences)
    }

    /// The price at Stripe at which `listing` is sold, made if need be.
    pub(crate) async fn price_of(&self, stripe: &Stripe, listing: &Listing) -> Result<String> {
        let known = Price::for_sale(self.db.pool(), &listing.item).await?;
        if let Some(price) = known.filter(|price| price.is(listing)) {
            return Ok(price.id);
        }
        let mut sync = Sync { billing: self, stripe, dry_run: false, differences: vec![] };
        let id = sync.offer(listing).await?;
        id.ok_or_else(|| Error::UnknownItem { item: listing.item.clone() })
    }
}

/// One comparison with Stripe. What is right is left alone, and whatever a run before this one left
/// half done is finished.
struct Sync<'a> {
    billing: &'a Billing,
    stripe: &'a Stripe,
    dry_run: bool,
    differences: Vec<Difference>,
}

impl Sync<'_> {
    /// Puts `listing` up for sale and answers its price; a dry run may have none to answer.
    async fn offer(&mut self, listing: &Listing) -> Result<Option<String>> {
        let there = self.product(listing).await?;
        let prices = if there { self.stripe.prices(&listing.product).await? } else { vec![] };
        let price = self.price(listing, &prices).await?;
        let known = Price::ids_of(self.billing.db.pool(), &listing.item).await?;
        let outdated = prices
            .iter()
            .filter(|it| it.active && Some(&it.id) != price.as_ref() && known.contains(&it.id));
        for old in outdated {
            self.differences.push(Difference::Outdated(listing.item.clone(), old.id.clone()));
            if !self.dry_run {
                self.stripe.archive_price(&old.id).await?;
            }
        }
        if let (Some(id), false) = (&price, self.dry_run) {
            let Listing { item, cents, currency, .. } = listing.clone();
            let mut tx = self.billing.db.begin().await?;
            Price { id: id.clone(), item, cents, currency }
                .note(&mut tx, self.billing.clock.now())
                .await?;
            tx.commit().await?;
        }
        Ok(price)
    }

    /// Whether the product is there now.
    async fn product(&mut self, listing: &Listing) -> Result<bool> {
        match self.stripe.product(&listing.product).await? {
            None => {
                let difference = Difference::NoProduct(listing.product.clone());
                if !self.differences.contains(&difference) {
                    self.differences.push(difference);
                }
                if !self.dry_run {
                    self.stripe.create_product(listing).await?;
                }
                Ok(!self.dry_run)
            }
            Some(it) if it.name != listing.name || !it.active => {
                self.differences.push(Difference::OtherProduct(listing.product.clone()));
                if !self.dry_run {
                    self.stripe.update_product(listing).await?;
                }
                Ok(true)
            }
            Some(_) => Ok(true),
        }
    }

    async fn price(
        &mut self,
        listing: &Listing,
        prices: &[stripe::Price],
    ) -> Result<Option<String>> {
        let item = listing.item.clone();
        let Some(price) = prices.iter().find(|price| price.is(listing)) else {
            self.differences.push(Difference::NoPrice(item, listing.price()));
            if self.dry_run {
                return Ok(None);
            }
            return Ok(Some(self.stripe.create_price(listing).await?.id));
        };
        if !price.active || price.lookup_key.as_ref() != Some(&item) {
            self.differences.push(Difference::Archived(item, listing.price()));
            if !self.dry_run {
                self.stripe.restore_price(&price.id, &listing.item).await?;
            }
        }
        Ok(Some(price.id.clone()))
    }

    /// Ends the sale of an item that the catalogue no longer has.
    async fn withdraw(&mut self, item: &str) -> Result<()> {
        let db = &self.billing.db;
        let Some(price) = Price::for_sale(db.pool(), item).await? else { return Ok(()) };
        self.differences.push(Difference::Outdated(item.to_owned(), price.id.clone()));
        if !self.dry_run {
            self.stripe.archive_price(&price.id).await?;
            let mut tx = db.begin().await?;
            Price::retire(&mut tx, item).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}
