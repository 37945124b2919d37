use simulators::stripe::Card;

use crate::support::{Shop, id, text};

const START: i64 = 1_767_225_600;

async fn coupon(shop: &Shop, form: &[(&str, &str)]) -> String {
    id(&shop.post("/v1/coupons", form).await)
}

/// An open session for a subscription of 20 dollars a month that takes promotion codes.
async fn session(shop: &Shop) -> String {
    let price = shop.price("2000", "month").await;
    let form = [
        ("mode", "subscription"),
        ("success_url", "http://127.0.0.1:9/thanks"),
        ("line_items[0][price]", price.as_str()),
        ("allow_promotion_codes", "true"),
    ];
    id(&shop.post("/v1/checkout/sessions", &form).await)
}

#[tokio::test]
async fn a_promotion_code_lowers_the_first_invoices_for_as_long_as_its_coupon_says() {
    let shop = Shop::open().await;
    shop.stripe.set_now(Some(START));
    let months = [("percent_off", "25"), ("duration", "repeating"), ("duration_in_months", "2")];
    let coupon = coupon(&shop, &months).await;
    let form = [("promotion[type]", "coupon"), ("promotion[coupon]", &coupon), ("code", "Launch")];
    shop.post("/v1/promotion_codes", &form).await;
    let session = session(&shop).await;
    let shown = shop.stripe.enter_code(&session, "launch").unwrap();
    assert_eq!((&shown["amount_subtotal"], &shown["amount_total"]), (&2000.into(), &1500.into()));
    let paid = shop.stripe.pay(&session, Card::Accepted).unwrap();
    let subscription = text(&paid, "subscription");
    shop.stripe.live_until(START + 65 * 86_400).unwrap();
    let invoices = shop.get(&format!("/v1/invoices?subscription={subscription}")).await;
    let paid: Vec<i64> = invoices["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|invoice| invoice["amount_paid"].as_i64().unwrap())
        .collect();
    assert_eq!(paid, [2000, 1500, 1500]);
    let path = format!("/v1/coupons/{coupon}");
    assert_eq!(shop.get(&path).await["times_redeemed"], 1);
}

#[tokio::test]
async fn a_coupon_that_counts_once_is_gone_after_the_first_invoice() {
    let shop = Shop::open().await;
    let coupon = coupon(&shop, &[("amount_off", "500"), ("currency", "usd")]).await;
    let price = shop.price("2000", "month").await;
    let form = [
        ("mode", "subscription"),
        ("success_url", "http://127.0.0.1:9/thanks"),
        ("line_items[0][price]", price.as_str()),
        ("discounts[0][coupon]", coupon.as_str()),
    ];
    let session = shop.post("/v1/checkout/sessions", &form).await;
    assert_eq!(session["total_details"]["amount_discount"], 500);
    let paid = shop.stripe.pay(&id(&session), Card::Accepted).unwrap();
    let subscription = shop.stripe.advance(&text(&paid, "subscription"), Card::Accepted).unwrap();
    let invoices = shop.get("/v1/invoices").await;
    assert_eq!(invoices["data"][0]["amount_paid"], 2000);
    assert_eq!(invoices["data"][1]["amount_paid"], 1500);
    assert_eq!(subscription["discounts"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn the_last_redemption_goes_to_one_of_those_who_race_for_it() {
    let shop = Shop::open().await;
    let coupon = coupon(&shop, &[("percent_off", "50")]).await;
    let form = [("promotion[coupon]", coupon.as_str()), ("code", "ONCE"), ("max_redemptions", "1")];
    shop.post("/v1/promotion_codes", &form).await;
    let mut sessions = Vec::new();
    for _ in 0..10 {
        let session = session(&shop).await;
        shop.stripe.enter_code(&session, "ONCE").unwrap();
        sessions.push(session);
    }
    let pay = |session: &String| {
        shop.request(reqwest::Method::POST, &format!("/pay/{session}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body("card=accepted&email=ada%40example.com")
            .send()
    };
    let answers = futures::future::join_all(sessions.iter().map(pay)).await;
    let paid = answers.iter().filter(|answer| answer.as_ref().unwrap().status() == 303).count();
    assert_eq!(paid, 1);
    assert_eq!(shop.count("/v1/subscriptions").await, 1);
    assert_eq!(shop.get("/v1/promotion_codes?code=ONCE").await["data"][0]["active"], false);
}

#[tokio::test]
async fn codes_are_refused_when_they_do_not_fit() {
    let shop = Shop::open().await;
    let (status, _) = shop.refused("/v1/coupons", &[("percent_off", "120")]).await;
    assert_eq!(status, 400);
    let expired = [("percent_off", "10"), ("redeem_by", "1")];
    let expired = coupon(&shop, &expired).await;
    let form = [("promotion[coupon]", expired.as_str()), ("code", "LATE")];
    shop.post("/v1/promotion_codes", &form).await;
    let good = coupon(&shop, &[("percent_off", "10")]).await;
    let form = [
        ("promotion[coupon]", good.as_str()),
        ("code", "LARGE"),
        ("restrictions[minimum_amount]", "5000"),
        ("restrictions[minimum_amount_currency]", "usd"),
    ];
    shop.post("/v1/promotion_codes", &form).await;
    let session = session(&shop).await;
    for code in ["LATE", "LARGE", "NONE"] {
        assert!(shop.stripe.enter_code(&session, code).is_err(), "{code}");
    }
    let open = shop.get(&format!("/v1/checkout/sessions/{session}")).await;
    assert_eq!(open["amount_total"], 2000);
}
