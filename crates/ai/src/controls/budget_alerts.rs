use audit::{Entry, Origin};
use auth::Recipient;
use email::{QuotaReached, SystemAlert};
use jobs::Job;
use quotas::{BudgetAlert, Kind, Period, Scope, Unit};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;

use crate::{Ai, webhook_events::BudgetThresholdReached};

/// Tells people, every minute, of budgets that have been used up to 50, 80 or 100 percent: the org's
/// owners, or the operators if it is the platform's. Each step of a period is told once.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AlertBudgets {}

impl Job for AlertBudgets {
    const NAME: &'static str = "ai.alert_budgets";
    const MAX_ATTEMPTS: i16 = 1;
    type Context = Ai;

    async fn run(self, ai: Ai) -> anyhow::Result<()> {
        for alert in BudgetAlert::due(ai.db.pool(), ai.clock.now()).await? {
            ai.alert(&alert).await?;
        }
        Ok(())
    }
}

impl Ai {
    async fn alert(&self, alert: &BudgetAlert) -> sqlx::Result<()> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        if !alert.note(&mut tx, now).await? {
            return Ok(());
        }
        let entry = Entry::new(&Origin::SYSTEM, alert.org, "budget.alerted", alert.budget);
        entry.after(json!({ "threshold": alert.threshold })).record(&mut tx, now).await?;
        if let Some(org) = alert.org {
            webhooks::emit(&mut tx, org, &BudgetThresholdReached::from(alert), now).await?;
        }
        self.mail(&mut tx, alert).await?;
        metrics::counter!("budget_alerts_total", "threshold" => alert.threshold.to_string())
            .increment(1);
        tx.commit().await
    }

    /// An org's owners may turn such mails off; operators hear of the platform's budget in any case.
    async fn mail(&self, db: &mut PgConnection, alert: &BudgetAlert) -> sqlx::Result<()> {
        let (percent, what, consequence) = (alert.threshold, named(alert), consequence(alert));
        let Some(org) = alert.org else {
            let subject = format!("{percent} % of {what} are used");
            let paragraphs = [format!("{subject}."), consequence.to_owned()];
            for Recipient { email, user, name } in &Recipient::operators(&mut *db).await? {
                let mail = SystemAlert { name, subject: &subject, paragraphs: &paragraphs };
                self.mailer.queue(db, email, *user, &mail).await?;
            }
            return Ok(());
        };
        for Recipient { email, user, name } in &Recipient::owners(&mut *db, org).await? {
            let mail = QuotaReached { name, percent, what: &what, consequence };
            self.mailer.queue(db, email, *user, &mail).await?;
        }
        Ok(())
    }
}

/// Such as "the daily chat request budget of your organization".
fn named(alert: &BudgetAlert) -> String {
    let period = match alert.period {
        Period::Day => "daily ",
        Period::Month => "monthly ",
        Period::Lifetime => "",
    };
    let operation = alert.operation.as_ref().map_or(String::new(), |it| format!("{it} "));
    let unit = match alert.unit {
        Unit::Requests | Unit::Unknowns => "request",
        Unit::Tokens => "token",
        Unit::NanoUsd => "spend",
    };
    let whose = match alert.scope {
        Scope::Global => "the platform",
        Scope::Org => "your organization",
        Scope::Project => "a project",
        Scope::User => "a member",
        Scope::Key => "an API key",
    };
    let what = if alert.kind == Kind::Included { "quota in the plan" } else { "budget" };
    format!("the {period}{operation}{unit} {what} of {whose}")
}

fn consequence(alert: &BudgetAlert) -> &'static str {
    match (alert.kind, alert.soft, alert.threshold) {
        (_, true, _) => "This budget only alerts: calls go on.",
        (Kind::Included, _, 100) => "From now on calls draw credits, until the quota begins anew.",
        (Kind::Included, ..) => "When it is used up, calls draw credits until it begins anew.",
        (Kind::Limit, _, 100) => {
            "Calls that count for it are refused until it begins anew or is raised."
        }
        (Kind::Limit, ..) => "When it is used up, calls that count for it are refused.",
    }
}
