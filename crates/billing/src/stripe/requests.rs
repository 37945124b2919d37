use std::collections::HashMap;

use kernel::{Id, Org};
use stripe_checkout::{
    CheckoutSessionMode,
    checkout_session::{
        CreateCheckoutSession, CreateCheckoutSessionAutomaticTax,
        CreateCheckoutSessionCustomerUpdate, CreateCheckoutSessionCustomerUpdateAddress,
        CreateCheckoutSessionCustomerUpdateName, CreateCheckoutSessionDiscounts,
        CreateCheckoutSessionInvoiceCreation, CreateCheckoutSessionLineItems,
        CreateCheckoutSessionSubscriptionData, CreateCheckoutSessionTaxIdCollection,
    },
};
use stripe_core::customer::CreateCustomer;
use url::Url;

use crate::{Checkout, Offer};

/// What is the same for every payment page.
#[derive(Clone, Debug)]
pub(crate) struct SessionTerms {
    /// Where people come back to.
    pub(crate) app_url: Url,
    /// Whether Stripe computes taxes, by the address that is asked for.
    pub(crate) automatic_tax: bool,
    /// Whether codes made in Stripe's dashboard may be entered.
    pub(crate) promotion_codes: bool,
}

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
    terms: &SessionTerms,
) -> CreateCheckoutSession {
    let app_url = terms.app_url.as_str().trim_end_matches('/');
    let ours = HashMap::from([("checkout_id".to_owned(), checkout.id.to_string())]);
    let line = CreateCheckoutSessionLineItems {
        price: checkout.price_id.clone(),
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
    let session = with_terms(session, terms);
    // Stripe takes one or the other.
    let session = match checkout.coupon_id {
        Some(coupon) => session.discounts([CreateCheckoutSessionDiscounts {
            coupon: Some(coupon.to_string()),
            ..CreateCheckoutSessionDiscounts::new()
        }]),
        None => session.allow_promotion_codes(terms.promotion_codes),
    };
    match offer {
        // So that packs have invoices and receipts, as plans do.
        Offer::Pack(_) => session
            .mode(CheckoutSessionMode::Payment)
            .invoice_creation(CreateCheckoutSessionInvoiceCreation::new(true)),
        Offer::Plan(..) => {
            let mut data = CreateCheckoutSessionSubscriptionData::new();
            data.metadata = Some(ours);
            let trial = u32::try_from(checkout.trial_days).ok();
            data.trial_period_days = trial.filter(|days| *days > 0);
            session.mode(CheckoutSessionMode::Subscription).subscription_data(data)
        }
    }
}

fn with_terms(session: CreateCheckoutSession, terms: &SessionTerms) -> CreateCheckoutSession {
    if !terms.automatic_tax {
        return session;
    }
    let update = CreateCheckoutSessionCustomerUpdate {
        address: Some(CreateCheckoutSessionCustomerUpdateAddress::Auto),
        name: Some(CreateCheckoutSessionCustomerUpdateName::Auto),
        ..CreateCheckoutSessionCustomerUpdate::new()
    };
    session
        .automatic_tax(CreateCheckoutSessionAutomaticTax::new(true))
        .customer_update(update)
        .tax_id_collection(CreateCheckoutSessionTaxIdCollection::new(true))
}

#[cfg(test)]
mod tests {
    use ::stripe::StripeRequest;
    use chrono::DateTime;
    use kernel::Id;

    use super::{SessionTerms, customer, session};
    use crate::{Catalogue, Checkout};

    #[test]
    fn a_request_depends_on_nothing_but_the_checkout_so_its_key_stays_good() {
        let catalogue = Catalogue::embedded();
        let offer = catalogue.offer("plan-pro-year").unwrap();
        let time = DateTime::from_timestamp(1_790_000_000, 0).unwrap();
        let checkout = Checkout::new(Id::new(), &offer.item(), "price_1", 14, time);
        let app_url = "https://app.example/".parse().unwrap();
        let terms = SessionTerms { app_url, automatic_tax: true, promotion_codes: true };
        let body = || session(&checkout, &offer, "cus_1", &terms).build().body.unwrap();
        assert_eq!(body(), body());
        let id = checkout.id;
        for part in [
            "mode=subscription".to_owned(),
            "[price]=price_1".to_owned(),
            "subscription_data[trial_period_days]=14".to_owned(),
            "automatic_tax[enabled]=true".to_owned(),
            "tax_id_collection[enabled]=true".to_owned(),
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
