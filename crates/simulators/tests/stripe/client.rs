use simulators::stripe::{Card, Fault, Trouble};
use stripe::{Client, ClientBuilder, IdempotencyKey, RequestStrategy, StripeError, StripeRequest};
use stripe_billing::subscription::RetrieveSubscription;
use stripe_checkout::{
    CheckoutSessionMode,
    checkout_session::{
        CreateCheckoutSession, CreateCheckoutSessionLineItems,
        CreateCheckoutSessionSubscriptionData, RetrieveCheckoutSession,
    },
};
use stripe_core::customer::CreateCustomer;

use crate::support::{SECRET_KEY, Shop};

fn client(shop: &Shop) -> Client {
    ClientBuilder::new(SECRET_KEY).url(format!("{}/", shop.stripe.url())).build().unwrap()
}

#[tokio::test]
async fn the_rust_client_sells_a_subscription() {
    let shop = Shop::open().await;
    let client = client(&shop);
    let metadata = [("org".to_owned(), "org_1".to_owned())];
    let customer = CreateCustomer::new()
        .email("ada@example.com")
        .metadata(metadata.clone())
        .send(&client)
        .await
        .unwrap();
    assert_eq!(customer.metadata.unwrap()["org"], "org_1");

    let line = CreateCheckoutSessionLineItems {
        price: Some(shop.price("4900", "month").await),
        quantity: Some(1),
        ..Default::default()
    };
    let data = CreateCheckoutSessionSubscriptionData {
        metadata: Some(metadata.into()),
        ..Default::default()
    };
    let session = CreateCheckoutSession::new()
        .mode(CheckoutSessionMode::Subscription)
        .customer(customer.id.as_str())
        .line_items(vec![line])
        .subscription_data(data)
        .success_url("http://127.0.0.1:9/")
        .send(&client)
        .await
        .unwrap();
    assert_eq!(session.amount_total, Some(4900));
    shop.stripe.pay(session.id.as_str(), Card::Accepted).unwrap();

    let session = RetrieveCheckoutSession::new(session.id)
        .expand(vec!["line_items".to_owned(), "subscription".to_owned()])
        .send(&client)
        .await
        .unwrap();
    assert_eq!(session.line_items.unwrap().data.len(), 1);
    let subscription = session.subscription.unwrap();
    let subscription =
        RetrieveSubscription::new(subscription.id().clone()).send(&client).await.unwrap();
    assert_eq!(subscription.customer.id(), &customer.id);
    assert_eq!(subscription.items.data[0].price.unit_amount, Some(4900));
    assert_eq!(subscription.metadata["org"], "org_1");
}

#[tokio::test]
async fn the_rust_client_reads_refusals_and_survives_lost_answers() {
    let shop = Shop::open().await;
    let client = client(&shop);
    let lost = RetrieveSubscription::new("sub_none").send(&client).await.unwrap_err();
    let StripeError::Stripe(error, 404) = lost else { panic!("{lost}") };
    assert_eq!(error.code.unwrap().as_str(), "resource_missing");

    shop.stripe.fail(Fault { path: String::new(), times: 2, trouble: Trouble::DropAnswer });
    let strategy = RequestStrategy::Retry(3);
    let made = CreateCustomer::new().customize().request_strategy(strategy).send(&client).await;
    assert_eq!(shop.count("/v1/customers").await, 1);
    let key = RequestStrategy::Idempotent(IdempotencyKey::new("other").unwrap());
    let other = CreateCustomer::new().customize().request_strategy(key).send(&client).await;
    assert_ne!(made.unwrap().id, other.unwrap().id);
}
