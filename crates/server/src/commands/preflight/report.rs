use std::fmt::Write as _;

use app::Check;
use chrono::{DateTime, Utc};
use serde::Serialize;

use super::PATIENCE;

/// A part of the checklist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Settings and the database.
    Environment,
    /// Other people's servers.
    Services,
    /// What customers get.
    Features,
}

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// As it should be.
    Pass,
    /// A launch can go without, but should not for long.
    Warn,
    /// A launch needs it.
    Fail,
    /// Not looked at.
    Skip,
}

/// What was found of one thing.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Where it belongs.
    pub group: Group,
    /// What was looked at.
    pub name: String,
    /// How it stands.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do, if it is not right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
}

/// Everything that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report(pub Vec<Line>);

impl Group {
    pub(super) fn pass(self, name: &str, found: impl Into<String>) -> Line {
        let (name, found) = (name.to_owned(), found.into());
        Line { group: self, name, state: State::Pass, found, action: None }
    }

    pub(super) fn skip(self, name: &str, found: &str) -> Line {
        Line { state: State::Skip, ..self.pass(name, found) }
    }

    pub(super) fn warn(self, name: &str, found: impl Into<String>, action: &str) -> Line {
        Line { state: State::Warn, action: Some(action.to_owned()), ..self.pass(name, found) }
    }

    pub(super) fn fail(self, name: &str, found: impl Into<String>, action: &str) -> Line {
        Line { state: State::Fail, ..self.warn(name, found, action) }
    }

    /// Passes with what `outcome` found, or fails with its error.
    pub(super) fn judge<E: Into<anyhow::Error>>(
        self,
        name: &str,
        outcome: Result<String, E>,
        action: &str,
    ) -> Line {
        match outcome {
            Ok(found) => self.pass(name, found),
            Err(error) => self.fail(name, format!("{:#}", error.into()), action),
        }
    }
}

/// What a health check says, which is looked at all the time.
pub(super) async fn of_health(check: &Check) -> Line {
    let action = match check.name {
        "database" => "See whether DATABASE_URL is right and the server runs.",
        "redis" => "See whether REDIS_URL is right and the server runs.",
        "storage" => {
            "See whether the bucket exists and S3_ACCESS_KEY_ID may read, write, list and delete there."
        }
        "email" => "See whether SMTP_URL or RESEND_API_KEY is right.",
        "ai" => "See whether the provider's key is right and has a balance.",
        "stripe" => "See /admin/v1/billing/events and the dead letters of billing.",
        "ledger" => "Run `slipway ledger verify`, find the cause, then `slipway ledger rebuild`.",
        "jobs" => "Start a worker (`slipway worker`), or more of them.",
        _ => "See the log.",
    };
    let outcome = tokio::time::timeout(PATIENCE, check.run()).await;
    let outcome = outcome.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer in {PATIENCE:?}")));
    Group::Services.judge(check.name, outcome.map(|()| "works".to_owned()), action)
}

impl Report {
    /// Whether nothing is missing that a launch needs.
    pub fn is_ready(&self) -> bool {
        self.count(State::Fail) == 0
    }

    /// How many things stand so.
    pub fn count(&self, state: State) -> usize {
        self.0.iter().filter(|line| line.state == state).count()
    }

    pub(super) fn json(&self) -> String {
        let json = serde_json::json!({ "ready": self.is_ready(), "checks": self.0 });
        format!("{json:#}\n")
    }

    pub(super) fn table(&self) -> String {
        let mut text = String::new();
        let mut group = None;
        for line in &self.0 {
            if group.replace(line.group) != Some(line.group) {
                let _ = writeln!(text, "\n{:?}", line.group);
            }
            let _ = writeln!(text, "  {} {:<18} {}", line.state.sign(), line.name, line.found);
            if let Some(action) = &line.action {
                let _ = writeln!(text, "    {:<18} -> {action}", "");
            }
        }
        let count = |state| self.count(state);
        let (passed, warned, failed) = (count(State::Pass), count(State::Warn), count(State::Fail));
        let _ = writeln!(text, "\n{passed} right, {warned} to look at, {failed} missing.");
        text
    }

    pub(super) fn markdown(&self, now: DateTime<Utc>) -> String {
        let verdict = if self.is_ready() { "Ready" } else { "Not ready" };
        let mut text = format!(
            "# Readiness\n\n{verdict}, as `slipway preflight` found at {}.\n",
            now.format("%Y-%m-%d %H:%M UTC")
        );
        let mut group = None;
        let cell = |text: &str| text.replace('|', "\\|").replace('\n', " ");
        for line in &self.0 {
            if group.replace(line.group) != Some(line.group) {
                let _ = writeln!(
                    text,
                    "\n## {:?}\n\n| | what | found | do |\n|---|---|---|---|",
                    line.group
                );
            }
            let action = line.action.as_deref().unwrap_or_default();
            let (found, sign) = (cell(&line.found), line.state.sign());
            let _ = writeln!(text, "| {sign} | {} | {found} | {} |", line.name, cell(action));
        }
        text
    }
}

impl State {
    fn sign(self) -> &'static str {
        match self {
            Self::Pass => "ok  ",
            Self::Warn => "look",
            Self::Fail => "FAIL",
            Self::Skip => "-   ",
        }
    }
}
