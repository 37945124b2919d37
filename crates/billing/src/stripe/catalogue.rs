//! Products and prices.

use std::convert::Infallible;

use miniserde::Deserialize;
use stripe_product::{
    price::{
        CreatePrice, CreatePriceRecurring, CreatePriceRecurringInterval,
        CreatePriceRecurringUsageType, ListPrice, UpdatePrice,
    },
    product::{CreateProduct, RetrieveProduct, UpdateProduct},
};
use stripe_types::Currency;

use super::{Failure, Stripe, objects::List};
use crate::{Interval, catalogue::Listing};

/// What is sold.
#[derive(Debug, Deserialize)]
pub(crate) struct Product {
    /// What it is called on bills.
    pub(crate) name: String,
    /// Whether it is for sale.
    pub(crate) active: bool,
}

/// What it costs.
#[derive(Debug, Deserialize)]
pub(crate) struct Price {
    /// `price_…`.
    pub(crate) id: String,
    /// Whether it is for sale.
    pub(crate) active: bool,
    /// Our name for it.
    pub(crate) lookup_key: Option<String>,
    /// In the smallest unit of the currency.
    pub(crate) unit_amount: Option<i64>,
    /// In small letters.
    pub(crate) currency: String,
    /// How often it is paid, if more than once.
    pub(crate) recurring: Option<Recurring>,
}

/// How often a price is paid.
#[derive(Debug, Deserialize)]
pub(crate) struct Recurring {
    /// `day`, `week`, `month` or `year`.
    interval: String,
    /// Of how many of those.
    interval_count: i64,
    /// `licensed` or `metered`.
    usage_type: Option<String>,
}

impl Price {
    /// Whether it is what `listing` says, for sale or not.
    pub(crate) fn is(&self, listing: &Listing) -> bool {
        let interval = self.recurring.as_ref().map(|it| (it.interval.as_str(), it.interval_count));
        let wanted = listing.interval.map(|it| match it {
            Interval::Month => ("month", 1),
            Interval::Year => ("year", 1),
        });
        let usage = self.recurring.as_ref().and_then(|it| it.usage_type.as_deref());
        let metered = usage == Some("metered");
        metered == listing.metered
            && self.currency == listing.currency
            && self.unit_amount == Some(listing.cents)
            && interval == wanted
    }
}

/// Stripe's word for a currency. It tells itself if it does not know one.
pub(super) fn currency(name: &str) -> Currency {
    name.parse().unwrap_or_else(|never: Infallible| match never {})
}

impl Stripe {
    /// The product with this id, if there is one.
    pub(crate) async fn product(&self, id: &str) -> Result<Option<Product>, Failure> {
        match self.send(&RetrieveProduct::new(id), None).await {
            Err(Failure::Refused { status: 404, .. }) => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Makes a product; its id keeps it from being made twice.
    pub(crate) async fn create_product(&self, listing: &Listing) -> Result<Product, Failure> {
        let request = CreateProduct::new(listing.name.as_str()).id(listing.product.as_str());
        self.send(&request, Some(format!("product-{}", listing.product))).await
    }

    /// Renames a product and puts it up for sale.
    pub(crate) async fn update_product(&self, listing: &Listing) -> Result<Product, Failure> {
        let request = UpdateProduct::new(listing.product.as_str());
        self.send(&request.name(listing.name.as_str()).active(true), None).await
    }

    /// The prices that a product has and had.
    pub(crate) async fn prices(&self, product: &str) -> Result<Vec<Price>, Failure> {
        let prices: List<Price> =
            self.send(&ListPrice::new().product(product).limit(100), None).await?;
        Ok(prices.data)
    }

    /// Makes a price, of which there is one for each product, interval and amount.
    pub(crate) async fn create_price(&self, listing: &Listing) -> Result<Price, Failure> {
        let mut request = CreatePrice::new(currency(&listing.currency))
            .product(listing.product.as_str())
            .unit_amount(listing.cents)
            .lookup_key(listing.item.as_str())
            .transfer_lookup_key(true);
        if let Some(interval) = listing.interval {
            let mut recurring = CreatePriceRecurring::new(match interval {
                Interval::Month => CreatePriceRecurringInterval::Month,
                Interval::Year => CreatePriceRecurringInterval::Year,
            });
            if listing.metered {
                recurring.meter = Some(self.overage_meter().await?);
                recurring.usage_type = Some(CreatePriceRecurringUsageType::Metered);
            }
            request = request.recurring(recurring);
        }
        let key = format!("price-{}-{}-{}", listing.item, listing.cents, listing.currency);
        self.send(&request, Some(key)).await
    }

    /// Puts a price that was archived up for sale again, under its name.
    pub(crate) async fn restore_price(&self, id: &str, item: &str) -> Result<Price, Failure> {
        let request = UpdatePrice::new(id).active(true).lookup_key(item).transfer_lookup_key(true);
        self.send(&request, None).await
    }

    /// Ends the sale at a price. Who subscribed to it goes on paying it.
    pub(crate) async fn archive_price(&self, id: &str) -> Result<Price, Failure> {
        self.send(&UpdatePrice::new(id).active(false), None).await
    }
}
