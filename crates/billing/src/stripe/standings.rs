use miniserde::Deserialize;

use super::{Failure, Stripe, read::Object};

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
    /// What is paid for.
    pub(crate) items: Items,
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

    /// Ends a subscription at once.
    pub(crate) async fn end_subscription(&self, id: &str) -> Result<(), Failure> {
        self.delete(format!("/subscriptions/{id}")).await
    }

    /// Deletes a customer; what they paid stays known.
    pub(crate) async fn delete_customer(&self, id: &str) -> Result<(), Failure> {
        self.delete(format!("/customers/{id}")).await
    }
}
