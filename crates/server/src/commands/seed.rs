//! `slipway seed`.

use anyhow::{Context, ensure};
use audit::Origin;
use auth::{Name, NewApiKey, Registration};
use kernel::{Clock, Id, Org};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::json;

use crate::{Development, Product, Settings, database_address, output, prepare_database};

const PASSWORD: &str = "a long and winding passphrase";
const OPERATOR: &str = "operator@slipway.example";

/// How to report.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Options {
    /// Print one JSON object, for scripts.
    #[arg(long)]
    json: bool,
}

/// An org on one plan, and how to get in.
#[derive(Serialize)]
struct Seeded {
    id: Id<Org>,
    email: String,
    password: &'static str,
    api_key: String,
}

/// Fills in demo data. Running it again finds the same people and orgs, and makes further API keys,
/// since the secret of a key is only ever shown once.
pub async fn run(settings: Settings, options: Options) -> anyhow::Result<()> {
    ensure!(!settings.app_env.is_production(), "demo data has no place in production");
    let development = Development::database_only(&settings).await?;
    let pool = settings.db.pool(database_address(&settings, development.database())?);
    prepare_database(&pool, Clock::System.now()).await?;
    let settings = settings.for_nobody();
    let product = Product::compose(&settings, pool.clone(), Clock::System)?;

    let mut orgs = serde_json::Map::new();
    for plan in ["free", "creator", "pro", "agency"] {
        let seeded = seed_org(&product, plan).await.with_context(|| format!("seed {plan}"))?;
        orgs.insert(plan.to_owned(), serde_json::to_value(seeded)?);
    }
    let mut connection = pool.acquire().await?;
    let operator = OPERATOR.parse()?;
    let invitation = product.auth.invite_operator(&mut connection, &operator).await?;
    drop(connection);

    let base_url = settings.public_url();
    let beside = |offset: u16| format!("http://127.0.0.1:{}", settings.port.saturating_add(offset));
    let report = json!({
        "base_url": base_url.as_str().trim_end_matches('/'),
        "orgs": orgs,
        "operator": { "email": OPERATOR, "invitation": invitation },
        "simulators": { "stripe": beside(10), "ai": beside(20), "mailbox": beside(30) },
    });
    if options.json {
        output::line(&report.to_string());
    } else {
        output::line(&serde_json::to_string_pretty(&report)?);
    }
    pool.close().await;
    development.stop().await?;
    Ok(())
}

async fn seed_org(product: &Product, plan: &str) -> anyhow::Result<Seeded> {
    let email = format!("{plan}@slipway.example");
    let registration = Registration {
        email: email.parse()?,
        name: Name::new(plan).map_err(|problem| anyhow::anyhow!("{problem}"))?,
        password: PASSWORD.into(),
    };
    let registered = product.auth.register_verified(&registration).await?;
    let mut tx = product.db.begin().await?;
    let (org, reason) = (registered.org, "demo data");
    product.billing.grant_plan(&mut tx, org, plan, None, reason, &Origin::SYSTEM).await?;
    tx.commit().await?;
    let key = NewApiKey {
        name: "seed".into(),
        scopes: vec!["*".into()],
        expires_at: None,
        requests_per_minute: None,
    };
    let (_, secret) =
        product.auth.create_api_key(registered.org, registered.user, key, &Origin::SYSTEM).await?;
    let api_key = secret.expose_secret().to_owned();
    Ok(Seeded { id: registered.org, email, password: PASSWORD, api_key })
}
