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
        let (credits, owed) = (&quotas["credits"]["available"], &quotas["credits"]["owed"]);
        let expected = books.credits();
        let credits = credits.as_i64().unwrap_or(-1) - late(world, client).await;
        let may_be = owed == 0 && expected.may_be(credits);
        let what = format!("{expected:?}");
        same(
            "credits",
            if may_be { what.clone() } else { format!("{credits}, {owed} owed") },
            what,
        );
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
        format!("{} {} {} {period:?} {leaves}", it.stripe_subscription_id, it.plan, it.status)
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

/// What is left of credits that were given for months which were over when somebody heard of them.
async fn late(world: &World, client: &Client) -> i64 {
    sqlx::query_scalar(
        "select coalesce(sum(amount - spent - revoked), 0)::bigint
         from grants
         where org_id = $1 and source = 'plan' and expires_at > $2
           and expires_at > to_timestamp(split_part(external_id, ':', 3)::bigint) + interval '31 days'",
    )
    .bind(client.org())
    .bind(world.app.clock.now())
    .fetch_one(world.app.db.pool())
    .await
    .expect("read the grants")
}
