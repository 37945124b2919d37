//! Whether people can pay, and get what they paid for.

use anyhow::{Context as _, ensure};
use billing::{Mode, SelfTest};
use secrecy::ExposeSecret;

use super::{Context, Group::Services as Here, Line};

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
    let webhook = "Add an endpoint at Stripe to APP_URL/v1/webhooks/stripe, and set its signing secret as STRIPE_WEBHOOK_SECRET.";
    vec![
        mode,
        Here.judge("Stripe prices", prices.await, sync),
        Here.judge("Stripe webhook", self_test(context).await, webhook),
        last_event(context).await,
    ]
}

/// An event of our own, through the public address.
async fn self_test(context: &Context<'_>) -> anyhow::Result<String> {
    let product = context.product;
    let test = SelfTest::new(&context.settings.billing, product.clock.now());
    let test = test.context("STRIPE_WEBHOOK_SECRET is not set")?;
    let url = context.settings.public_url().join("/v1/webhooks/stripe")?;
    let request = context.http.post(url.clone()).header("stripe-signature", &test.signature);
    let answer = request.body(test.body.clone()).send().await?;
    ensure!(answer.status().is_success(), "{url} answered {}", answer.status());
    ensure!(
        test.arrived(product.db.pool()).await?,
        "{url} stored nothing: it has another database"
    );
    Ok("an event of our own was received and stored".to_owned())
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
