use simulators::stripe::Card;

use crate::support::{Shop, id, text};

async fn charge(shop: &Shop) -> (String, String) {
    let session = id(&shop.credits_session().await);
    let paid = shop.stripe.pay(&session, Card::Accepted).unwrap();
    let intent = text(&paid, "payment_intent");
    let charge = shop.get(&format!("/v1/payment_intents/{intent}")).await;
    (intent, text(&charge, "latest_charge"))
}

#[tokio::test]
async fn parts_and_the_rest_of_a_charge_are_refunded_once() {
    let shop = Shop::open().await;
    let (intent, charge) = charge(&shop).await;
    let path = format!("/v1/charges/{charge}");
    let part = [("charge", charge.as_str()), ("amount", "400"), ("reason", "duplicate")];
    let refund = shop.post("/v1/refunds", &part).await;
    assert_eq!((&refund["amount"], &refund["status"]), (&400.into(), &"succeeded".into()));
    let after = shop.get(&path).await;
    assert_eq!((&after["amount_refunded"], &after["refunded"]), (&400.into(), &false.into()));

    let rest = shop.post("/v1/refunds", &[("payment_intent", intent.as_str())]).await;
    assert_eq!(rest["amount"], 1500);
    let after = shop.get(&path).await;
    assert_eq!((&after["amount_refunded"], &after["refunded"]), (&1900.into(), &true.into()));
    assert_eq!(after["refunds"]["data"].as_array().unwrap().len(), 2);
    assert_eq!(shop.get(&format!("/v1/refunds/{}", id(&rest))).await, rest);

    let (status, error) = shop.refused("/v1/refunds", &[("charge", charge.as_str())]).await;
    assert_eq!((status, &error["code"]), (400, &"charge_already_refunded".into()));
    let types = shop.event_types();
    assert_eq!(types[types.len() - 2..], ["charge.refunded", "refund.created"]);
    let events = shop.stripe.events();
    let refunded = &events[events.len() - 2];
    assert_eq!(refunded["data"]["object"]["amount_refunded"], 1900);
    assert_eq!(refunded["data"]["previous_attributes"]["amount_refunded"], 400);
}

#[tokio::test]
async fn a_refund_never_exceeds_the_charge() {
    let shop = Shop::open().await;
    let (_, charge) = charge(&shop).await;
    let charge = ("charge", charge.as_str());
    let (status, error) = shop.refused("/v1/refunds", &[charge, ("amount", "1901")]).await;
    assert_eq!((status, &error["param"]), (400, &"amount".into()));
    assert_eq!(shop.refused("/v1/refunds", &[charge, ("amount", "0")]).await.0, 400);
    assert_eq!(shop.refused("/v1/refunds", &[charge, ("amount", "-5")]).await.0, 400);

    let racing = [charge, ("amount", "500")];
    let calls = (0..10).map(|_| shop.posting("/v1/refunds", &racing).send());
    let answers = futures::future::join_all(calls).await;
    let given = answers.iter().filter(|answer| answer.as_ref().unwrap().status() == 200);
    assert_eq!(given.count(), 3);
    assert_eq!(shop.get(&format!("/v1/charges/{}", charge.1)).await["amount_refunded"], 1500);
}

#[tokio::test]
async fn what_was_never_paid_cannot_be_refunded() {
    let shop = Shop::open().await;
    let session = id(&shop.credits_session().await);
    let open = shop.stripe.pay(&session, Card::Declined).unwrap();
    let intent = text(&open, "payment_intent");
    let (status, _) = shop.refused("/v1/refunds", &[("payment_intent", intent.as_str())]).await;
    assert_eq!(status, 400);
    assert_eq!(shop.count("/v1/refunds").await, 0);
}
