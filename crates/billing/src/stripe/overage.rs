//! The meter of credits used beyond those that orgs have.

use std::collections::HashMap;

use miniserde::{Deserialize, json::Number};
use stripe_billing::{
    billing_meter::{
        CreateBillingMeter, CreateBillingMeterCustomerMapping,
        CreateBillingMeterCustomerMappingType as MappedBy, CreateBillingMeterDefaultAggregation,
        CreateBillingMeterDefaultAggregationFormula as Formula, CreateBillingMeterValueSettings,
    },
    billing_meter_event::CreateBillingMeterEvent,
    subscription::{UpdateSubscription, UpdateSubscriptionItems},
};

use super::{Failure, Stripe, objects::Subscription, read::Object};

/// What the meter counts, as its events are called.
const EVENT: &str = "slipway_overage_credits";

#[derive(Debug, Deserialize)]
struct Meter {
    id: String,
    event_name: String,
}

impl Object for Meter {
    fn id(&self) -> &str {
        &self.id
    }
}

/// What was counted in a span of time.
#[derive(Debug, Deserialize)]
struct Summary {
    id: String,
    /// Stripe counts fractions, too; we tell of none.
    aggregated_value: Number,
}

impl Object for Summary {
    fn id(&self) -> &str {
        &self.id
    }
}

/// Something of which nothing is read.
#[derive(Deserialize)]
struct Anything {}

impl Stripe {
    /// The meter, made if need be.
    pub(super) async fn overage_meter(&self) -> Result<String, Failure> {
        if let Some(meter) = self.known_meter().await? {
            return Ok(meter);
        }
        let mapping = CreateBillingMeterCustomerMapping::new("stripe_customer_id", MappedBy::ById);
        let request = CreateBillingMeter::new(
            CreateBillingMeterDefaultAggregation::new(Formula::Sum),
            "Credits of overage",
            EVENT,
        )
        .customer_mapping(mapping)
        .value_settings(CreateBillingMeterValueSettings::new("value"));
        let meter: Meter = self.send(&request, Some(format!("meter-{EVENT}"))).await?;
        Ok(meter.id)
    }

    async fn known_meter(&self) -> Result<Option<String>, Failure> {
        let meters: Vec<Meter> = self.all("/billing/meters", &[("status", "active")]).await?;
        Ok(meters.into_iter().find(|meter| meter.event_name == EVENT).map(|meter| meter.id))
    }

    /// Tells the meter that a customer used so many credits at a moment, in seconds since 1970: once for each
    /// `id`, which must be known before.
    pub(crate) async fn report_overage(
        &self,
        id: &str,
        customer: &str,
        credits: i64,
        at: i64,
    ) -> Result<(), Failure> {
        let payload = HashMap::from([
            ("stripe_customer_id".to_owned(), customer.to_owned()),
            ("value".to_owned(), credits.to_string()),
        ]);
        let request = CreateBillingMeterEvent::new(EVENT, payload).identifier(id).timestamp(at);
        let told: Result<Anything, _> = self.send(&request, Some(format!("overage-{id}"))).await;
        match told {
            // It counted when it was told before.
            Err(Failure::Refused { reason, .. }) if reason.contains("identifier") => Ok(()),
            told => told.map(|_| ()),
        }
    }

    /// What the meter has counted of a customer between two full minutes, in seconds since 1970.
    pub(crate) async fn overage_between(
        &self,
        customer: &str,
        from: i64,
        to: i64,
    ) -> Result<i64, Failure> {
        let Some(meter) = self.known_meter().await? else { return Ok(0) };
        let (from, to) = (from.to_string(), to.to_string());
        let filters =
            [("customer", customer), ("start_time", from.as_str()), ("end_time", to.as_str())];
        let path = format!("/billing/meters/{meter}/event_summaries");
        let summaries: Vec<Summary> = self.all(&path, &filters).await?;
        Ok(summaries.iter().map(|it| whole(&it.aggregated_value)).sum())
    }

    /// Has a subscription's overage billed at a price from now on.
    pub(crate) async fn add_overage(
        &self,
        subscription: &str,
        price: &str,
        key: &str,
    ) -> Result<(), Failure> {
        let mut item = UpdateSubscriptionItems::new();
        item.price = Some(price.to_owned());
        let request = UpdateSubscription::new(subscription)
            .items([item])
            .expand(["latest_invoice".to_owned()]);
        let _: Subscription = self.send(&request, Some(format!("{key}-overage"))).await?;
        Ok(())
    }
}

fn whole(number: &Number) -> i64 {
    // A whole number, however it is written.
    number.to_string().trim_end_matches(".0").parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Summary, whole};

    #[test]
    fn what_a_meter_counted_is_a_whole_number_however_it_is_written() {
        let read = |value: &str| {
            let json = format!(r#"{{"id": "mtrsum_1", "aggregated_value": {value}}}"#);
            whole(&miniserde::json::from_str::<Summary>(&json).unwrap().aggregated_value)
        };
        assert_eq!((read("7"), read("7.0"), read("0"), read("1200.0")), (7, 7, 0, 1200));
    }
}
