//! Changes of subscriptions.

use miniserde::Deserialize;
use stripe_billing::{
    invoice::{
        CreatePreviewInvoice, CreatePreviewInvoiceSubscriptionDetails,
        CreatePreviewInvoiceSubscriptionDetailsItems,
        CreatePreviewInvoiceSubscriptionDetailsProrationBehavior as PreviewProration,
    },
    subscription::{
        CancelSubscription, RetrieveSubscription, UpdateSubscription, UpdateSubscriptionItems,
        UpdateSubscriptionPaymentBehavior, UpdateSubscriptionProrationBehavior,
    },
    subscription_schedule::{
        CreateSubscriptionSchedule, ReleaseSubscriptionSchedule, UpdateSubscriptionSchedule,
        UpdateSubscriptionSchedulePhases, UpdateSubscriptionSchedulePhasesDuration as Duration,
        UpdateSubscriptionSchedulePhasesDurationInterval as DurationInterval,
        UpdateSubscriptionSchedulePhasesEndDate as EndDate,
        UpdateSubscriptionSchedulePhasesItems as PhaseItem,
        UpdateSubscriptionSchedulePhasesStartDate as StartDate,
        UpdateSubscriptionScheduleProrationBehavior as ScheduleProration,
    },
};

use stripe_shared::SubscriptionScheduleEndBehavior;

use super::{Failure, Stripe, objects::Subscription};
use crate::Interval;

/// What an item of a subscription is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ItemChange {
    /// `si_…`; absent: a new one.
    id: Option<String>,
    /// `price_…` and how many (of what is metered: as many as were used); absent: it is removed.
    is: Option<(String, Option<i64>)>,
}

impl ItemChange {
    pub(crate) fn set(id: Option<String>, price: String, quantity: i64) -> Self {
        Self { id, is: Some((price, Some(quantity))) }
    }

    pub(crate) fn metered(id: String, price: String) -> Self {
        Self { id: Some(id), is: Some((price, None)) }
    }

    pub(crate) fn remove(id: String) -> Self {
        Self { id: Some(id), is: None }
    }

    fn quantity(&self) -> Option<u64> {
        let quantity = self.is.as_ref().and_then(|(_, quantity)| *quantity)?;
        u64::try_from(quantity).ok()
    }

    fn update(&self) -> UpdateSubscriptionItems {
        let mut item = UpdateSubscriptionItems::new();
        item.id.clone_from(&self.id);
        item.price = self.is.as_ref().map(|(price, _)| price.clone());
        item.quantity = self.quantity();
        item.deleted = self.is.is_none().then_some(true);
        item
    }

    fn preview(&self) -> CreatePreviewInvoiceSubscriptionDetailsItems {
        let mut item = CreatePreviewInvoiceSubscriptionDetailsItems::new();
        item.id.clone_from(&self.id);
        item.price = self.is.as_ref().map(|(price, _)| price.clone());
        item.quantity = self.quantity();
        item.deleted = self.is.is_none().then_some(true);
        item
    }
}

/// A bill that would be.
#[derive(Debug, Deserialize)]
pub(crate) struct PreviewInvoice {
    /// In the smallest unit of the currency.
    pub(crate) amount_due: i64,
    /// In small letters.
    pub(crate) currency: String,
    /// How it comes about.
    pub(crate) lines: Lines,
}

/// The lines of a bill.
#[derive(Debug, Deserialize)]
pub(crate) struct Lines {
    /// The first ones.
    pub(crate) data: Vec<Line>,
}

/// A line of a bill.
#[derive(Debug, Deserialize)]
pub(crate) struct Line {
    /// What for.
    pub(crate) description: Option<String>,
    /// How much.
    pub(crate) amount: i64,
}

/// Plans changes of a subscription.
#[derive(Debug, Deserialize)]
struct Schedule {
    /// `sub_sched_…`.
    id: String,
}

impl Stripe {
    /// The newest state of a subscription.
    pub(crate) async fn subscription(&self, id: &str) -> Result<Subscription, Failure> {
        let request = RetrieveSubscription::new(id).expand(["latest_invoice".to_owned()]);
        self.send(&request, None).await
    }

    /// What a change would cost if it were made now.
    pub(crate) async fn preview(
        &self,
        subscription: &str,
        items: &[ItemChange],
    ) -> Result<PreviewInvoice, Failure> {
        let mut details = CreatePreviewInvoiceSubscriptionDetails::new();
        details.items = Some(items.iter().map(ItemChange::preview).collect());
        details.proration_behavior = Some(PreviewProration::AlwaysInvoice);
        let request = CreatePreviewInvoice::new();
        let request = request.subscription(subscription).subscription_details(details);
        self.send(&request, None).await
    }

    /// Makes a change and collects its price, or changes nothing if that fails.
    pub(crate) async fn change_items(
        &self,
        subscription: &Subscription,
        items: &[ItemChange],
        key: &str,
    ) -> Result<(), Failure> {
        let items: Vec<_> = items.iter().map(ItemChange::update).collect();
        let request = UpdateSubscription::new(subscription.id.as_str())
            .items(items)
            .payment_behavior(UpdateSubscriptionPaymentBehavior::ErrorIfIncomplete)
            .proration_behavior(UpdateSubscriptionProrationBehavior::AlwaysInvoice)
            .expand(["latest_invoice".to_owned()]);
        let _: Subscription = self.send(&request, Some(format!("{key}-items"))).await?;
        Ok(())
    }

    /// Plans a change for the end of the period that is paid.
    pub(crate) async fn schedule(
        &self,
        subscription: &Subscription,
        items: &[ItemChange],
        interval: Interval,
        key: &str,
    ) -> Result<(), Failure> {
        let request = CreateSubscriptionSchedule::new().from_subscription(subscription.id.as_str());
        let schedule: Schedule = self.send(&request, Some(format!("{key}-schedule"))).await?;
        let now: Vec<_> = subscription
            .items
            .data
            .iter()
            .map(|item| phase_item(&item.price.id, item.quantity))
            .collect();
        let then: Vec<_> = items
            .iter()
            .filter_map(|item| item.is.as_ref())
            .map(|(price, quantity)| phase_item(price, *quantity))
            .collect();
        let (start, end) = subscription.period();
        let mut running = UpdateSubscriptionSchedulePhases::new(now);
        running.start_date = Some(StartDate::Timestamp(start));
        running.end_date = Some(EndDate::Timestamp(end));
        let mut next = UpdateSubscriptionSchedulePhases::new(then);
        next.duration = Some(Duration::new(match interval {
            Interval::Month => DurationInterval::Month,
            Interval::Year => DurationInterval::Year,
        }));
        let request = UpdateSubscriptionSchedule::new(schedule.id.as_str())
            .end_behavior(SubscriptionScheduleEndBehavior::Release)
            .phases([running, next])
            .proration_behavior(ScheduleProration::None);
        let _: Schedule = self.send(&request, Some(format!("{key}-phases"))).await?;
        Ok(())
    }

    /// Takes back what was planned; the subscription goes on as it is.
    pub(crate) async fn release_schedule(&self, id: &str, key: &str) -> Result<(), Failure> {
        let request = ReleaseSubscriptionSchedule::new(id);
        let _: Schedule = self.send(&request, Some(key.to_owned())).await?;
        Ok(())
    }

    /// Lets a subscription end with its period, or not.
    pub(crate) async fn cancel_at_period_end(
        &self,
        id: &str,
        at_period_end: bool,
        key: &str,
    ) -> Result<(), Failure> {
        let request = UpdateSubscription::new(id)
            .cancel_at_period_end(at_period_end)
            .expand(["latest_invoice".to_owned()]);
        let _: Subscription = self.send(&request, Some(format!("{key}-end"))).await?;
        Ok(())
    }

    /// Ends a subscription now; what was used and is not billed is `billed`, or forgiven.
    pub(crate) async fn cancel(&self, id: &str, billed: bool) -> Result<(), Failure> {
        let mut request = CancelSubscription::new(id).expand(["latest_invoice".to_owned()]);
        if billed {
            request = request.invoice_now(true);
        }
        let _: Subscription = self.send(&request, None).await?;
        Ok(())
    }
}

fn phase_item(price: &str, quantity: Option<i64>) -> PhaseItem {
    let mut item = PhaseItem::new();
    item.price = Some(price.to_owned());
    item.quantity = quantity.and_then(|it| u64::try_from(it).ok());
    item
}
