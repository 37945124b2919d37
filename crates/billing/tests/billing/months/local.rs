//! What an org has here, and where that is not what the reference says.

use chrono::{DateTime, Utc};
use testing::Client;

use super::{deeds, reference::Books, world::World};

/// What we know of a subscription.
#[derive(sqlx::FromRow)]
struct Subscription {
    plan: String,
    status: String,
    current_period_start: DateTime<Utc>,
    current_period_end: DateTime<Utc>,
    cancel_at_period_end: bool,
    stripe_subscription_id: String,
    extra_seats: i64,
}

/// Every difference, in words.
pub(super) async fn differences(world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    for client in &world.orgs {
        let customer = deeds::customer(world, client).unwrap_or_default();
        let books = Books::of(world, &customer);
        let org = client.org();
        let mut same = |what: &str, ours: String, theirs: String| {
            if ours != theirs {
                wrong.push(format!("{org} {customer}: {what} is\n  {ours}\nat Stripe\n  {theirs}"));
            }
        };
        same("the subscription", subscription(world, client).await, books.state());
        let quotas = client.get("/v1/quotas").await.ok();
        let plan = quotas["plan"].as_str().unwrap_or_default();
        same("the plan in force", plan.to_owned(), books.plan().to_owned());
        let paid = format!("{:?}", books.paid());
        same("what was paid", format!("{:?}", payments(world, client).await), paid);
        let money = books.money().to_string();
        same("the money", ledger(world, client).await.to_string(), money);
        let (available, owed) = (&quotas["credits"]["available"], &quotas["credits"]["owed"]);
        let paid_at_once = owed == 0 || available == 0;
        same(
            "owed while others could pay",
            owed.to_string(),
            if paid_at_once { owed.to_string() } else { "0".into() },
        );
        let (given, expected) = (grants(world, client).await, books.credits());
        let known = |it: &&(String, i64)| {
            expected.sure.get(&it.0).or_else(|| expected.perhaps.get(&it.0)) == Some(&it.1)
        };
        let strange: Vec<_> = given.iter().filter(|it| !known(it)).collect();
        same("grants that are not as they should be", format!("{strange:?}"), "[]".into());
        let given = |name: &String| given.iter().any(|it| it.0 == *name);
        let missing: Vec<_> = expected.sure.iter().filter(|(name, _)| !given(name)).collect();
        same("grants that are missing", "[]".into(), format!("{missing:?}"));
    }
    wrong
}

async fn subscription(world: &World, client: &Client) -> String {
    let local: Option<Subscription> =
        sqlx::query_as("select * from subscriptions where org_id = $1")
            .bind(client.org())
            .fetch_optional(world.app.db.pool())
            .await
            .expect("read the subscription");
    local.map_or_else(String::new, |it| {
        let period = (it.current_period_start.timestamp(), it.current_period_end.timestamp());
        let leaves = it.cancel_at_period_end;
        let (plan, seats) = (it.plan, it.extra_seats);
        format!("{} {plan} {seats} {} {period:?} {leaves}", it.stripe_subscription_id, it.status)
    })
}

async fn payments(world: &World, client: &Client) -> Vec<i64> {
    sqlx::query_scalar("select amount_cents from payments where org_id = $1 order by amount_cents")
        .bind(client.org())
        .fetch_all(world.app.db.pool())
        .await
        .expect("read the payments")
}

/// What the ledger has with Stripe for the org, fees left out.
async fn ledger(world: &World, client: &Client) -> i64 {
    sqlx::query_scalar(
        "select coalesce(sum(case 'stripe' when to_account then amount when from_account then -amount end), 0)::bigint
         from ledger_entries
         where org_id = $1 and unit = 'usd' and external_id not like 'fee:%'",
    )
    .bind(client.org())
    .fetch_one(world.app.db.pool())
    .await
    .expect("read the ledger")
}

/// Every grant by name, and what was not taken back of it.
async fn grants(world: &World, client: &Client) -> Vec<(String, i64)> {
    sqlx::query_as(
        "select external_id, amount - clawed_back from grants where org_id = $1 order by external_id",
    )
    .bind(client.org())
    .fetch_all(world.app.db.pool())
    .await
    .expect("read the grants")
}
