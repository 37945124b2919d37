use std::collections::HashMap;

use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use miniserde::Deserialize;

use super::{
    Failure, Stripe,
    read::{Anything, Object},
};

/// How a subscription stands, as far as it is compared.
#[derive(Debug, Deserialize)]
pub(crate) struct Standing {
    /// `sub_…`.
    pub(crate) id: String,
    /// `cus_…`.
    pub(crate) customer: String,
    /// Stripe's word for it.
    pub(crate) status: String,
    /// Whether it ends with the current period.
    pub(crate) cancel_at_period_end: bool,
    /// What changes it when the period ends.
    pub(crate) schedule: Option<String>,
    /// What is paid for.
    pub(crate) items: Items,
}

/// A customer, as far as it is compared.
#[derive(Debug, Deserialize)]
pub(crate) struct KnownCustomer {
    /// `cus_…`.
    pub(crate) id: String,
    deleted: Option<bool>,
    metadata: Option<CustomerMetadata>,
}

/// What we note on customers.
#[derive(Debug, Deserialize)]
struct CustomerMetadata {
    org_id: Option<String>,
}

impl KnownCustomer {
    /// For which org it was made.
    pub(crate) fn org(&self) -> Option<Id<Org>> {
        self.metadata.as_ref()?.org_id.as_deref()?.parse().ok()
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.deleted == Some(true)
    }
}

impl Object for KnownCustomer {
    fn id(&self) -> &str {
        &self.id
    }
}

/// The items of a subscription.
#[derive(Debug, Deserialize)]
pub(crate) struct Items {
    pub(crate) data: Vec<Item>,
}

/// One of them.
#[derive(Debug, Deserialize)]
pub(crate) struct Item {
    pub(crate) current_period_end: i64,
    price: PriceId,
    quantity: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct PriceId {
    id: String,
}

impl Object for Standing {
    fn id(&self) -> &str {
        &self.id
    }
}

impl Standing {
    /// Whether anything may still come of it.
    pub(crate) fn is_running(&self) -> bool {
        !matches!(self.status.as_str(), "canceled" | "incomplete_expired" | "incomplete")
    }

    /// What it is for, in our words for prices and how many there are of each; `None`: not all are ours.
    pub(crate) fn bought(&self, prices: &HashMap<String, String>) -> Option<Vec<(String, i64)>> {
        let named = |item: &Item| {
            Some((prices.get(&item.price.id)?.clone(), item.quantity.unwrap_or_default()))
        };
        let mut bought: Vec<_> = self.items.data.iter().map(named).collect::<Option<_>>()?;
        bought.sort();
        Some(bought)
    }

    /// When its period ends, in seconds since 1970.
    pub(crate) fn period_end(&self) -> Option<i64> {
        self.items.data.first().map(|it| it.current_period_end)
    }
}

impl Stripe {
    /// Every subscription there is or was.
    pub(crate) async fn standings(&self) -> Result<Vec<Standing>, Failure> {
        self.all("/subscriptions", &[("status", "all")]).await
    }

    /// Every subscription a customer has or had.
    pub(crate) async fn standings_of(&self, customer: &str) -> Result<Vec<Standing>, Failure> {
        self.all("/subscriptions", &[("customer", customer), ("status", "all")]).await
    }

    /// Every customer that was made since `from`.
    pub(crate) async fn customers_since(
        &self,
        from: DateTime<Utc>,
    ) -> Result<Vec<KnownCustomer>, Failure> {
        self.all("/customers", &[("created[gte]", &from.timestamp().to_string())]).await
    }

    /// Ends a subscription at once.
    pub(crate) async fn end_subscription(&self, id: &str) -> Result<(), Failure> {
        self.delete(format!("/subscriptions/{id}")).await
    }

    /// Whether a customer has or had a subscription, or was ever charged.
    pub(crate) async fn has_bought(&self, customer: &str) -> Result<bool, Failure> {
        let of = [("customer", customer)];
        Ok(!self.standings_of(customer).await?.is_empty()
            || self.first::<Anything>("/charges", &of).await?.is_some())
    }

    /// Deletes a customer; what they paid stays known.
    pub(crate) async fn delete_customer(&self, id: &str) -> Result<(), Failure> {
        self.delete(format!("/customers/{id}")).await
    }
}
