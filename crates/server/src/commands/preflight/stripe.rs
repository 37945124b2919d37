//! Whether people can pay, and get what they paid for.

use anyhow::ensure;
use billing::{Mode, SelfTest};
use secrecy::ExposeSecret;

use super::{Context, Group::Services as Here, Line};
use crate::commands::inbox;

pub(super) async fn check(context: &Context<'_>) -> Vec<Line> {
    let billing = &context.settings.billing;
    if billing.billing_mode == Mode::Free {
        return vec![Here.skip("Stripe", "nothing is sold (BILLING_MODE=free)")];
    }
    let live = billing
        .stripe_secret_key
        .as_ref()
        .is_some_and(|key| !key.expose_secret().contains("_test_"));
    let mode = if live {
        Here.pass("Stripe key", "live: money moves")
    } else {
        Here.warn(
            "Stripe key",
            "test: no money moves",
            "Set the live key (sk_live_… or rk_live_…) for the launch.",
        )
    };
    let sync = "Run `slipway catalogue sync`.";
    let prices = async {
        let differences = context.product.billing.sync_catalogue(None, true).await?;
        ensure!(differences.is_empty(), "{} differences: {}", differences.len(), differences[0]);
        anyhow::Ok("what is sold is what Stripe has".to_owned())
    };
    let product = context.product;
    let webhook_works = inbox::self_test(product.db.pool(), context.settings, &product.clock);
    let webhook = "Add an endpoint at Stripe to APP_URL/v1/webhooks/stripe, and set its signing secret as STRIPE_WEBHOOK_SECRET.";
    vec![
        mode,
        Here.judge("Stripe prices", prices.await, sync),
        Here.judge("Stripe webhook", webhook_works.await, webhook),
        last_event(context).await,
    ]
}

async fn last_event(context: &Context<'_>) -> Line {
    let now = context.product.clock.now();
    match SelfTest::last_event(context.product.db.pool()).await {
        Err(error) => Here.fail("Stripe events", error.to_string(), "See the database."),
        Ok(Some(at)) => {
            Here.pass("Stripe events", format!("the last came {} h ago", (now - at).num_hours()))
        }
        Ok(None) => Here.warn(
            "Stripe events",
            "none has ever come",
            "Buy something, or send a test event from Stripe's dashboard.",
        ),
    }
}
