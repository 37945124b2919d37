use serde_json::Value;
use simulators::stripe::{Card, Complaint, Verdict};

use crate::support::{Shop, id, text};

async fn charge(shop: &Shop) -> String {
    let session = id(&shop.credits_session().await);
    let paid = shop.stripe.pay(&session, Card::Accepted).unwrap();
    let intent = shop.get(&format!("/v1/payment_intents/{}", text(&paid, "payment_intent"))).await;
    text(&intent, "latest_charge")
}

fn since(shop: &Shop, before: usize) -> Vec<String> {
    shop.event_types()[before..].to_vec()
}

#[tokio::test]
async fn a_dispute_takes_the_money_and_a_won_one_brings_it_back() {
    let shop = Shop::open().await;
    let charge = charge(&shop).await;
    let before = shop.event_types().len();
    let dispute = shop.stripe.dispute(&Complaint::about(&charge)).unwrap();
    assert_eq!(dispute["amount"], 1900);
    let opened = ["charge.updated", "charge.dispute.created", "charge.dispute.funds_withdrawn"];
    assert_eq!(since(&shop, before), opened);
    assert_eq!(shop.get(&format!("/v1/charges/{charge}")).await["disputed"], true);
    let (status, error) = shop.refused("/v1/refunds", &[("charge", charge.as_str())]).await;
    assert_eq!((status, &error["code"]), (400, &"charge_disputed".into()));

    let before = shop.event_types().len();
    let won = shop.stripe.decide(&id(&dispute), Verdict::Won).unwrap();
    assert_eq!(won["status"], "won");
    let closed = ["charge.dispute.closed", "charge.dispute.funds_reinstated"];
    assert_eq!(since(&shop, before), closed);
    let moved: Vec<&Value> = won["balance_transactions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|transaction| &transaction["amount"])
        .collect();
    assert_eq!(moved, [-1900, 1900]);
    assert!(shop.stripe.decide(&id(&dispute), Verdict::Lost).is_err());
}

#[tokio::test]
async fn evidence_is_reviewed_and_giving_up_loses() {
    let shop = Shop::open().await;
    let charge = charge(&shop).await;
    let dispute = id(&shop.stripe.dispute(&Complaint::about(&charge)).unwrap());
    let path = format!("/v1/disputes/{dispute}");
    let form = [("evidence[uncategorized_text]", "It was used."), ("submit", "true")];
    assert_eq!(shop.post(&path, &form).await["status"], "under_review");
    assert_eq!(shop.post(&format!("{path}/close"), &[]).await["status"], "lost");
    assert_eq!(shop.count(&format!("/v1/disputes?charge={charge}")).await, 1);
}

#[tokio::test]
async fn an_inquiry_takes_no_money() {
    let shop = Shop::open().await;
    let charge = charge(&shop).await;
    let before = shop.event_types().len();
    let inquiry = Complaint { inquiry: true, ..Complaint::about(&charge) };
    let dispute = shop.stripe.dispute(&inquiry).unwrap();
    assert_eq!(dispute["status"], "warning_needs_response");
    assert_eq!(since(&shop, before), ["charge.updated", "charge.dispute.created"]);
    let closed = shop.stripe.decide(&id(&dispute), Verdict::Lost).unwrap();
    assert_eq!(closed["status"], "warning_closed");
    assert_eq!(shop.count("/v1/balance_transactions?type=adjustment").await, 0);
}

#[tokio::test]
async fn a_refund_that_the_bank_sends_back_is_no_refund() {
    let shop = Shop::open().await;
    let charge = charge(&shop).await;
    let refund = shop.post("/v1/refunds", &[("charge", &charge), ("amount", "500")]).await;
    let failed = shop.stripe.fail_refund(&id(&refund)).unwrap();
    assert_eq!(failed["status"], "failed");
    let path = format!("/v1/charges/{charge}");
    let after = shop.get(&path).await;
    assert_eq!((&after["amount_refunded"], &after["refunded"]), (&0.into(), &false.into()));
    assert_eq!(after["refunds"]["data"][0]["status"], "failed");
    assert_eq!(shop.event_types().last().unwrap(), "refund.failed");
    let amounts = shop.get("/v1/balance_transactions").await;
    let sum: i64 =
        amounts["data"].as_array().unwrap().iter().map(|it| it["amount"].as_i64().unwrap()).sum();
    assert_eq!(sum, 1900);
}

#[tokio::test]
async fn disputes_are_steered_over_http_too() {
    let shop = Shop::open().await;
    let charge = charge(&shop).await;
    let control = async |path: &str, body: String| {
        let call = shop.request(reqwest::Method::POST, path).body(body).send();
        crate::support::json(call.await.unwrap()).await
    };
    let complaint = format!(r#"{{"charge":"{charge}","amount":700}}"#);
    let dispute = control("/_simulator/disputes", complaint).await;
    let verdict = format!(r#"{{"dispute":"{}","verdict":"lost"}}"#, id(&dispute));
    assert_eq!(control("/_simulator/verdicts", verdict).await["status"], "lost");
}
