use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use uuid::Uuid;

use super::http::Http;
use crate::output;

const PASSWORD: &str = "a long and winding passphrase";
/// How long things that happen in the background may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// Plays the whole story. Each step says what it does before it does it.
pub(super) async fn tell(api: &Http, mailbox: &Http) -> anyhow::Result<()> {
    let mut tale = Tale::default();
    let (ada, program) = arrive(&mut tale, api, mailbox).await?;
    use_ai(&mut tale, &ada, &program).await?;
    pay(&mut tale, api, &ada, &program).await?;
    tale.step("Audit the books    GET /health, the check \"ledger\"");
    let health = api.get("/health").await.context("audit the books")?;
    ensure!(ledger_is_right(&health), "the books are wrong: {health}");
    output::line("\nThe whole story holds.");
    Ok(())
}

/// Numbers the steps.
#[derive(Default)]
struct Tale {
    steps: usize,
}

impl Tale {
    fn step(&mut self, text: &str) {
        self.steps += 1;
        output::line(&format!("{:>2}. {text}", self.steps));
    }
}

fn note(text: &str) {
    output::line(&format!("      {text}"));
}

/// Ada gets an account, and a key for her program.
async fn arrive(tale: &mut Tale, api: &Http, mailbox: &Http) -> anyhow::Result<(Http, Http)> {
    let email = format!("ada-{}@example.com", Uuid::now_v7().simple());
    tale.step("Sign up            POST /v1/users");
    let account = json!({ "email": email, "password": PASSWORD, "name": "Ada" });
    api.post("/v1/users", account).await.context("sign up")?;

    tale.step("Read the mail      the development mailbox");
    let link = mailed_link(mailbox, &email).await.context("read the verification mail")?;
    note(&link);

    tale.step("Open the link      GET shows a page, its form with the password confirms");
    ensure!(api.page(&link).await?.contains("<form"), "the page has no form");
    let proof = format!("password={}", PASSWORD.replace(' ', "+"));
    api.press(&link, &proof).await.context("confirm the address")?;

    tale.step("Sign in            POST /v1/sessions");
    let credentials = json!({ "email": email, "password": PASSWORD });
    let session = api.post("/v1/sessions", credentials).await.context("sign in")?;
    let ada = api.with_token(text(&session, "access_token")?);
    note("an access token for 15 minutes, a refresh token that rotates");

    tale.step("Make an API key    POST /v1/api-keys");
    let key = ada.post("/v1/api-keys", json!({ "name": "tour" })).await.context("make a key")?;
    let program = api.with_token(text(&key, "secret")?);
    Ok((ada, program))
}

/// The program calls models until the plan is used up.
async fn use_ai(tale: &mut Tale, ada: &Http, program: &Http) -> anyhow::Result<()> {
    tale.step("Call a model       POST /v1/chat/completions");
    let answer = program.post("/v1/chat/completions", chat(false)).await.context("call a model")?;
    note(answer["choices"][0]["message"]["content"].as_str().unwrap_or_default());

    tale.step("Stream an answer   the same with \"stream\": true");
    let events = program.stream("/v1/chat/completions", chat(true)).await.context("stream")?;
    ensure!(events.trim_end().ends_with("data: [DONE]"), "the stream broke off");
    note(&format!("{} events", events.matches("data: ").count()));

    tale.step("See what it cost   GET /v1/usage");
    // Calls are booked right after their answers.
    let usage = eventually(async || {
        let usage = ada.get("/v1/usage").await?;
        Ok((usage["total"]["calls"] == 2).then_some(usage))
    });
    let usage = usage.await.context("read the usage")?;
    let total = &usage["total"];
    let tokens =
        total["input_tokens"].as_i64().unwrap_or(0) + total["output_tokens"].as_i64().unwrap_or(0);
    ensure!(tokens > 0, "tokens should be recorded: {usage}");
    note(&format!("2 calls, {tokens} tokens, {} nano-USD", total["cost_nano_usd"]));

    tale.step("Use up the plan    the free plan includes 5 generations a day");
    for _ in 0..3 {
        program.post("/v1/chat/completions", chat(false)).await.context("use up the plan")?;
    }
    let (status, problem) = program.refused("/v1/chat/completions", chat(false)).await?;
    ensure!(status == 429 && problem["code"] == "quota_exhausted", "expected 429: {problem}");
    note(&format!("429 quota_exhausted, resets at {}", text(&problem, "resets_at")?));
    Ok(())
}

/// Ada buys credits, and the program goes on.
async fn pay(tale: &mut Tale, api: &Http, ada: &Http, program: &Http) -> anyhow::Result<()> {
    tale.step("Buy 10 credits     POST /v1/billing/checkout-sessions");
    let item = json!({ "item": "pack-10" });
    let checkout = ada.post("/v1/billing/checkout-sessions", item).await.context("start paying")?;
    let url = text(&checkout, "url")?;
    note(url);

    tale.step("Pay                the Pay button of the hosted page");
    ensure!(api.page(url).await?.contains("Pay"), "the page has no Pay button");
    api.press(url, "card=accepted").await.context("pay")?;

    tale.step("Receive credits    by the signed webhook");
    let credits = received_credits(ada).await.context("receive the credits")?;
    note(&format!("{credits} credits"));

    tale.step("Call again         paid by credits now");
    program.post("/v1/chat/completions", chat(false)).await.context("call with credits")?;
    let left = ada.get("/v1/quotas").await?["credits"]["available"].clone();
    ensure!(left == credits - 1, "one credit should be drawn, {left} are left");
    note(&format!("{left} credits left"));
    Ok(())
}

fn chat(stream: bool) -> Value {
    json!({
        "model": "gpt-4o-mini",
        "messages": [{ "role": "user", "content": "Why do ships slide down a slipway?" }],
        "max_tokens": 100,
        "stream": stream,
    })
}

fn text<'a>(body: &'a Value, name: &str) -> anyhow::Result<&'a str> {
    body[name].as_str().with_context(|| format!("no {name} in {body}"))
}

async fn mailed_link(mailbox: &Http, address: &str) -> anyhow::Result<String> {
    let path = format!("/api/messages?to={address}");
    eventually(async || {
        let messages = mailbox.get(&path).await?;
        Ok(messages[0]["links"][0].as_str().map(str::to_owned))
    })
    .await
}

async fn received_credits(ada: &Http) -> anyhow::Result<i64> {
    eventually(async || {
        let quotas = ada.get("/v1/quotas").await?;
        Ok(quotas["credits"]["available"].as_i64().filter(|credits| *credits > 0))
    })
    .await
}

fn ledger_is_right(health: &Value) -> bool {
    health["checks"]["ledger"][0]["status"] == "pass"
}

/// Asks until there is an answer, seldom enough for an account's limit of requests per minute.
async fn eventually<T>(ask: impl AsyncFn() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if tokio::time::Instant::now() > deadline {
            bail!("nothing after {PATIENCE:?}");
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}
