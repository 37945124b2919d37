use std::collections::HashMap;

use kernel::{Id, Org};
use stripe_checkout::{
    CheckoutSessionMode,
    checkout_session::{
        CreateCheckoutSession, CreateCheckoutSessionLineItems,
        CreateCheckoutSessionLineItemsPriceData,
        CreateCheckoutSessionLineItemsPriceDataRecurring as Recurring,
        CreateCheckoutSessionLineItemsPriceDataRecurringInterval as RecurringInterval,
        CreateCheckoutSessionSubscriptionData, ProductData,
    },
};
use stripe_core::customer::CreateCustomer;
use stripe_types::Currency;
use url::Url;

use crate::{Checkout, Interval, Offer};

/// Nothing in it may change while its idempotency key lives, such as a name or an address:
/// Stripe refuses a known key with other parameters.
pub(super) fn customer(org: Id<Org>) -> CreateCustomer {
    CreateCustomer::new().metadata(HashMap::from([("org_id".to_owned(), org.to_string())]))
}

/// Says what is sold in our words; nothing in it comes from the client.
pub(super) fn session(
    checkout: &Checkout,
    offer: &Offer<'_>,
    customer: &str,
    app_url: &Url,
) -> CreateCheckoutSession {
    let app_url = app_url.as_str().trim_end_matches('/');
    let ours = HashMap::from([("checkout_id".to_owned(), checkout.id.to_string())]);
    let line = CreateCheckoutSessionLineItems {
        price_data: Some(price(offer)),
        quantity: Some(1),
        ..CreateCheckoutSessionLineItems::new()
    };
    let session = CreateCheckoutSession::new()
        .cancel_url(format!("{app_url}/billing/cancelled"))
        .client_reference_id(checkout.id.to_string())
        .customer(customer)
        .line_items([line])
        .metadata(ours.clone())
        .success_url(format!("{app_url}/billing/return"));
    match offer {
        Offer::Pack(_) => session.mode(CheckoutSessionMode::Payment),
        Offer::Plan(..) => {
            let mut data = CreateCheckoutSessionSubscriptionData::new();
            data.metadata = Some(ours);
            session.mode(CheckoutSessionMode::Subscription).subscription_data(data)
        }
    }
}

fn price(offer: &Offer<'_>) -> CreateCheckoutSessionLineItemsPriceData {
    let mut price = CreateCheckoutSessionLineItemsPriceData::new(Currency::USD);
    price.product_data = Some(ProductData::new(offer.name()));
    price.unit_amount = Some(offer.cents());
    price.recurring = match offer {
        Offer::Plan(_, Interval::Month) => Some(Recurring::new(RecurringInterval::Month)),
        Offer::Plan(_, Interval::Year) => Some(Recurring::new(RecurringInterval::Year)),
        Offer::Pack(_) => None,
    };
    price
}

#[cfg(test)]
mod tests {
    use ::stripe::StripeRequest;
    use chrono::DateTime;
    use kernel::Id;

    use super::{customer, session};
    use crate::{Catalogue, Checkout};

    #[test]
    fn a_request_depends_on_nothing_but_the_checkout_so_its_key_stays_good() {
        let catalogue = Catalogue::embedded();
        let offer = catalogue.offer("plan-pro-year").unwrap();
        let time = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        let checkout = Checkout::new(Id::new(), &offer.item(), time);
        let url = "https://app.example/".parse().unwrap();
        let body = || session(&checkout, &offer, "cus_1", &url).build().body.unwrap();
        assert_eq!(body(), body());
        let id = checkout.id;
        for part in [
            "mode=subscription".to_owned(),
            "unit_amount]=49000".to_owned(),
            "currency]=usd".to_owned(),
            "[interval]=year".to_owned(),
            format!("client_reference_id={id}"),
            format!("subscription_data[metadata][checkout_id]={id}"),
            "success_url=https://app.example/billing/return".to_owned(),
        ] {
            assert!(body().contains(&part), "{part} is not in {}", body());
        }
        assert!(!body().contains("payment_intent"));
    }

    #[test]
    fn a_customer_is_described_by_the_org_alone() {
        let org = Id::new();
        assert_eq!(customer(org).build().body.unwrap(), format!("metadata[org_id]={org}"));
    }
}
