//! What people do, at random.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use simulators::stripe::{Card, Complaint, Verdict};
use testing::Client;
use tokio::time::timeout;

use super::world::World;
use crate::support::{at_stripe, buy, session_of, try_at_dashboard};

const PACKS: [&str; 4] = ["pack-10", "pack-50", "pack-100", "pack-500"];
const PLANS: [&str; 7] = [
    "plan-creator-month",
    "plan-creator-month",
    "plan-pro-month",
    "plan-agency-month",
    "plan-creator-year",
    "plan-pro-year",
    "plan-agency-year",
];

/// Somebody does something.
pub(super) async fn something(world: &mut World) {
    let client = world.dice.one_of(&world.orgs).clone();
    match world.dice.below(100) {
        0..16 => purchase(world, &client, PACKS.as_slice()).await,
        16..36 => purchase(world, &client, PLANS.as_slice()).await,
        36..46 => change_plan(world, &client).await,
        46..52 => change_plan_at_dashboard(world, &client).await,
        52..58 => change_seats(world, &client).await,
        58..65 => change_card(world, &client),
        65..70 => leave(world, &client).await,
        70..73 => end(world, &client).await,
        73..80 => refund(world, &client).await,
        80..85 => refund_by_operator(world, &client).await,
        85..92 => spend(world, &client).await,
        92..97 => complain(world, &client),
        _ => decide(world, &client),
    }
}

/// Buys one of `items`: pays, is declined and tries again, or thinks better of it.
async fn purchase(world: &mut World, client: &Client, items: &[&str]) {
    let item = *world.dice.one_of(items);
    let checkout = if world.dice.chance(10) {
        // Gone before the answer comes.
        let patience = Duration::from_micros(world.dice.below(20_000).unsigned_abs());
        match timeout(patience, buy(client, item)).await {
            Ok(checkout) => checkout,
            Err(_) => return,
        }
    } else {
        buy(client, item).await
    };
    // Refused: Stripe fails, or there is a plan already.
    if !checkout.status.is_success() || world.dice.chance(10) {
        return;
    }
    let session = session_of(&checkout.ok());
    let stripe = &world.app.simulators.stripe;
    if world.dice.chance(20) {
        stripe.pay(&session, Card::Declined).expect("declined");
    }
    stripe.pay(&session, Card::Accepted).expect("paid");
}

/// Changes to another plan: a dearer one at once, a cheaper one with the next period.
async fn change_plan(world: &mut World, client: &Client) {
    let item = *world.dice.one_of(&PLANS);
    // Refused without a plan, for a card that is declined, or while Stripe fails.
    client.patch("/v1/billing/subscription", json!({ "item": item })).await;
}

/// Changes to a dearer plan in Stripe's dashboard, paid at once or not made; we hear of it when an event comes.
async fn change_plan_at_dashboard(world: &mut World, client: &Client) {
    let mut subscriptions = own(world, client, "subscription");
    subscriptions.retain(|it| it["status"] == "active" && it["schedule"].is_null());
    let Some(subscription) = world.dice.any(&subscriptions) else { return };
    let item = &subscription["items"]["data"][0];
    let (now, cents) = (&item["price"]["recurring"]["interval"], &item["price"]["unit_amount"]);
    let is_plan = |it: &Value| it["lookup_key"].as_str().is_some_and(|it| it.starts_with("plan-"));
    let mut prices = at_stripe(&world.app, "price");
    prices.retain(|it| is_plan(it) && it["recurring"]["interval"] == *now);
    prices.retain(|it| it["unit_amount"].as_i64() > cents.as_i64());
    // Seats cost something else with each plan.
    let has_seats = subscription["items"]["data"].as_array().is_some_and(|it| it.len() > 1);
    let Some(price) = world.dice.any(&prices).filter(|_| !has_seats) else { return };
    let id = |object: &Value| object["id"].as_str().expect("an id").to_owned();
    let (item, price) = (id(item), id(&price));
    let form = [
        ("items[0][id]", item.as_str()),
        ("items[0][price]", price.as_str()),
        ("proration_behavior", "always_invoice"),
        ("payment_behavior", "error_if_incomplete"),
    ];
    let path = format!("subscriptions/{}", id(&subscription));
    at_dashboard(world, Method::POST, &path, &form).await;
}

/// Adds seats, or gives some up with the period.
async fn change_seats(world: &mut World, client: &Client) {
    let seats = world.dice.below(4);
    // Refused without a plan that sells them, for a card that is declined, or while Stripe fails.
    client.patch("/v1/billing/subscription", json!({ "extra_seats": seats })).await;
}

/// Uses some of the credits that there are, as calls do.
async fn spend(world: &mut World, client: &Client) {
    let percent = 1 + world.dice.below(100);
    sqlx::query(
        "with room as (
             select id, greatest((amount - spent - revoked - held) * $2 / 100, 1) as credits from grants
             where org_id = $1 and amount - spent - revoked - held > 0
               and (expires_at is null or expires_at > $3)
             order by priority, expires_at, id
             limit 1
             for update),
         used as (
             update grants set spent = spent + room.credits from room where grants.id = room.id
             returning grants.id, grants.org_id, room.credits)
         insert into ledger_entries
             (id, org_id, unit, from_account, to_account, amount, grant_id, external_id, created_at)
         select gen_random_uuid(), org_id, 'credits', 'available', 'spent', credits, id,
                'call:' || gen_random_uuid(), $3
         from used",
    )
    .bind(client.org())
    .bind(percent)
    .bind(world.app.clock.now())
    .execute(world.app.db.pool())
    .await
    .expect("credits are spent");
}

/// An operator gives back a part of a payment, or what is left of it; Stripe may be asked later.
async fn refund_by_operator(world: &mut World, client: &Client) {
    let payments = client.get("/v1/billing/payments?limit=100").await.ok();
    let left = |it: &Value| {
        let cents = |field: &str| it[field].as_i64().unwrap_or_default();
        cents("amount_cents") - cents("returned_cents")
    };
    let mut payments = payments["items"].as_array().cloned().unwrap_or_default();
    payments.retain(|it| it["status"] != "disputed" && left(it) > 0);
    let Some(payment) = world.dice.any(&payments) else { return };
    let amount = world.dice.chance(60).then(|| 1 + world.dice.below(left(&payment)));
    let path =
        format!("/admin/v1/billing/payments/{}/refunds", payment["id"].as_str().expect("an id"));
    let body = json!({ "amount_cents": amount, "reason": "as agreed" });
    let key = world.dice.below(i64::MAX).to_string();
    let operator = world.app.operator().await;
    // Refused if more was given back meanwhile than we have heard of.
    operator.header("idempotency-key", &key).post(&path, body).await;
}

/// Gives back a part of a payment, or all of it; the bank sends some of that back.
async fn refund(world: &mut World, client: &Client) {
    let mut charges = own(world, client, "charge");
    charges.retain(|it| it["paid"] == true && it["disputed"] == false && left(it) > 0);
    let Some(charge) = world.dice.any(&charges) else { return };
    let part =
        if world.dice.chance(40) { left(&charge) } else { 1 + world.dice.below(left(&charge)) };
    let (id, part) = (charge["id"].as_str().expect("an id"), part.to_string());
    let form = [("charge", id), ("amount", part.as_str())];
    let refund = at_dashboard(world, Method::POST, "refunds", &form).await;
    if let (true, Some(refund)) = (world.dice.chance(15), refund) {
        let id = refund["id"].as_str().expect("an id");
        world.app.simulators.stripe.fail_refund(id).expect("it fails");
    }
}

/// Does something at Stripe, unless it has trouble just now.
async fn at_dashboard(
    world: &World,
    method: Method,
    path: &str,
    form: &[(&str, &str)],
) -> Option<Value> {
    let response = try_at_dashboard(&world.app, method, path, form).await.ok()?;
    response.error_for_status().ok()?.json().await.ok()
}

fn left(charge: &Value) -> i64 {
    let cents = |field: &str| charge[field].as_i64().unwrap_or_default();
    cents("amount") - cents("amount_refunded")
}

/// The cardholder goes to the bank, which asks first or takes the money at once.
fn complain(world: &mut World, client: &Client) {
    let mut charges = own(world, client, "charge");
    charges.retain(|it| it["paid"] == true && it["disputed"] == false && left(it) > 0);
    let Some(charge) = world.dice.any(&charges) else { return };
    let inquiry = world.dice.chance(20);
    let complaint = Complaint::about(charge["id"].as_str().expect("an id"));
    let complaint = Complaint { inquiry, ..complaint };
    world.app.simulators.stripe.dispute(&complaint).expect("a dispute");
}

/// The bank decides a dispute.
fn decide(world: &mut World, client: &Client) {
    let charges: Vec<Value> =
        own(world, client, "charge").iter().map(|charge| charge["id"].clone()).collect();
    let mut disputes = at_stripe(&world.app, "dispute");
    disputes.retain(|it| {
        let open = ["needs_response", "under_review", "warning_needs_response"];
        charges.contains(&it["charge"]) && open.iter().any(|status| it["status"] == *status)
    });
    let Some(dispute) = world.dice.any(&disputes) else { return };
    let verdict = if world.dice.chance(50) { Verdict::Won } else { Verdict::Lost };
    let id = dispute["id"].as_str().expect("an id");
    world.app.simulators.stripe.decide(id, verdict).expect("a verdict");
}

/// What the customer of an org has at Stripe, of one kind.
fn own(world: &World, client: &Client, kind: &str) -> Vec<Value> {
    let Some(customer) = customer(world, client) else { return Vec::new() };
    let mut own = at_stripe(&world.app, kind);
    own.retain(|object| object["customer"] == customer.as_str());
    own
}

/// The customer that an org is at Stripe. Who was gone for more than a day before the first answer came, in
/// which Stripe remembers a call, is one again: the newest counts.
pub(super) fn customer(world: &World, client: &Client) -> Option<String> {
    let org = client.org().to_string();
    let customers = at_stripe(&world.app, "customer");
    let own = customers.iter().rfind(|customer| customer["metadata"]["org_id"] == org.as_str());
    own.and_then(|customer| customer["id"].as_str().map(str::to_owned))
}

fn change_card(world: &mut World, client: &Client) {
    let Some(customer) = customer(world, client) else { return };
    let card = if world.dice.chance(50) { Card::Accepted } else { Card::Declined };
    world.app.simulators.stripe.set_card(&customer, card).expect("a card");
}

/// Lets a subscription end with its period, or takes that back.
async fn leave(world: &mut World, client: &Client) {
    // What is planned for the next period stands in the way.
    let mut subscriptions = own(world, client, "subscription");
    subscriptions.retain(|it| it["status"] != "canceled" && it["schedule"].is_null());
    let Some(subscription) = world.dice.any(&subscriptions) else { return };
    let id = subscription["id"].as_str().expect("an id");
    let wish = if world.dice.chance(60) { "true" } else { "false" };
    let path = format!("subscriptions/{id}");
    at_dashboard(world, Method::POST, &path, &[("cancel_at_period_end", wish)]).await;
}

/// Ends a subscription at once.
async fn end(world: &mut World, client: &Client) {
    let mut subscriptions = own(world, client, "subscription");
    subscriptions.retain(|it| it["status"] != "canceled");
    let Some(subscription) = world.dice.any(&subscriptions) else { return };
    let id = subscription["id"].as_str().expect("an id");
    at_dashboard(world, Method::DELETE, &format!("subscriptions/{id}"), &[]).await;
}
