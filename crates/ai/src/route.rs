use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor, types::Json};
use utoipa::ToSchema;
use web::{IfMatch, Problem, Tier};

use crate::asked::Operation;

/// A name that callers use in place of a model's, and who serves it: by the first rule that fits the
/// call. `auto` is one; a plain alias has a single rule without conditions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Route {
    /// What callers ask for.
    #[schema(example = "auto")]
    pub name: String,
    /// Counts its changes. Earlier versions are kept.
    pub version: i32,
    /// In the order in which they are tried.
    pub rules: Vec<Rule>,
    /// When this version was made.
    pub created_at: DateTime<Utc>,
}

/// Which models serve the calls that fit. What is not given fits every call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Calls of customers on these tiers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tiers: Vec<Tier>,
    /// Calls of these operations: `chat`, `embedding`, `image`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<String>,
    /// Calls whose prompt has at most so many bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_bytes_at_most: Option<usize>,
    /// The models, the preferred first; the next is asked when one is not available.
    pub models: Vec<String>,
}

/// What rules decide by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) tier: Tier,
    pub(crate) prompt_bytes: usize,
}

/// More are a mistake.
const MOST: usize = 50;

impl Rule {
    /// Refuses a table of rules that could never serve a call.
    pub fn check_all(rules: &[Self]) -> Result<(), Problem> {
        if !(1..=MOST).contains(&rules.len()) {
            return Err(Problem::invalid_field("/rules", "must have 1 to 50 rules"));
        }
        let usable = |rule: &Self| (1..=MOST).contains(&rule.models.len());
        match rules.iter().position(|rule| !usable(rule)) {
            None => Ok(()),
            Some(at) => {
                let pointer = format!("/rules/{at}/models");
                Err(Problem::invalid_field(&pointer, "must name 1 to 50 models"))
            }
        }
    }

    fn fits(&self, operation: Operation, facts: &Facts) -> bool {
        (self.tiers.is_empty() || self.tiers.contains(&facts.tier))
            && (self.operations.is_empty() || self.operations.iter().any(|it| it == operation.name))
            && self.prompt_bytes_at_most.is_none_or(|most| facts.prompt_bytes <= most)
    }
}

impl Route {
    /// The models that may serve the call, the preferred first; none if no rule fits.
    pub(crate) fn models(&self, operation: Operation, facts: &Facts) -> &[String] {
        let rule = self.rules.iter().find(|rule| rule.fits(operation, facts));
        rule.map_or(&[], |rule| &rule.models)
    }

    /// Every route in its newest version, removed ones left out.
    pub async fn all(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Self>> {
        let rows = sqlx::query!(
            r#"select distinct on (name) name, version, rules as "rules: Json<Vec<Rule>>", created_at
               from ai_routes
               order by name, version desc"#,
        )
        .fetch_all(db)
        .await?;
        let routes = rows.into_iter().map(|row| Self {
            name: row.name,
            version: row.version,
            rules: row.rules.0,
            created_at: row.created_at,
        });
        Ok(routes.filter(|route| !route.rules.is_empty()).collect())
    }

    /// Every version of `name`, the newest first.
    pub async fn history(db: impl PgExecutor<'_>, name: &str) -> sqlx::Result<Vec<Self>> {
        let rows = sqlx::query!(
            r#"select name, version, rules as "rules: Json<Vec<Rule>>", created_at
               from ai_routes
               where name = $1
               order by version desc"#,
            name,
        )
        .fetch_all(db)
        .await?;
        let routes = rows.into_iter().map(|row| Self {
            name: row.name,
            version: row.version,
            rules: row.rules.0,
            created_at: row.created_at,
        });
        Ok(routes.collect())
    }

    /// Puts `rules` in force under `name`, as a new version; without rules, the route is removed.
    /// In force everywhere within a second.
    pub async fn set(
        db: &mut PgConnection,
        name: &str,
        rules: &[Rule],
        if_match: IfMatch,
        now: DateTime<Utc>,
    ) -> Result<Self, Problem> {
        // Two changes at once would take the same version: the second waits, and comes after.
        sqlx::query!("select pg_advisory_xact_lock(hashtextextended('ai_routes:' || $1, 0))", name)
            .execute(&mut *db)
            .await?;
        let current = sqlx::query_scalar!(
            r#"select coalesce(max(version), 0) as "version!" from ai_routes where name = $1"#,
            name,
        );
        let current = current.fetch_one(&mut *db).await?;
        if_match.check(current.into())?;
        let version = current + 1;
        sqlx::query!(
            "insert into ai_routes (name, version, rules, created_at) values ($1, $2, $3, $4)",
            name,
            version,
            Json(rules) as _,
            now,
        )
        .execute(db)
        .await?;
        Ok(Self { name: name.to_owned(), version, rules: rules.to_vec(), created_at: now })
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use usage::ModelKind;
    use web::Tier;

    use super::{Facts, Route};
    use crate::asked::Operation;

    const CHAT: Operation = Operation { name: "chat", path: "", kind: ModelKind::Chat };
    const IMAGE: Operation = Operation { name: "image", path: "", kind: ModelKind::Image };

    /// The first model that a table of rules chooses.
    fn chosen(operation: Operation, tier: Tier, prompt_bytes: usize) -> Option<String> {
        let rules = r#"[
            {"operations": ["image"], "models": ["painter"]},
            {"operations": ["chat"], "tiers": ["free"], "models": ["small", "spare"]},
            {"operations": ["chat"], "prompt_bytes_at_most": 100, "models": ["middle"]},
            {"operations": ["chat"], "tiers": ["pro", "agency"], "models": ["large"]}
        ]"#;
        let route = Route {
            name: "auto".to_owned(),
            version: 1,
            rules: serde_json::from_str(rules).unwrap(),
            created_at: DateTime::UNIX_EPOCH,
        };
        route.models(operation, &Facts { tier, prompt_bytes }).first().cloned()
    }

    #[test]
    fn the_first_rule_that_fits_chooses() {
        for (operation, tier, bytes, expected) in [
            (IMAGE, Tier::Free, 1, Some("painter")),
            (CHAT, Tier::Free, 1_000_000, Some("small")),
            (CHAT, Tier::Pro, 100, Some("middle")),
            (CHAT, Tier::Pro, 101, Some("large")),
            (CHAT, Tier::Agency, 101, Some("large")),
            (CHAT, Tier::Creator, 101, None),
        ] {
            assert_eq!(chosen(operation, tier, bytes).as_deref(), expected, "{tier:?} {bytes}");
        }
    }

    #[test]
    fn a_misspelled_condition_is_no_rule_that_fits_everything() {
        let misspelled = r#"[{"tier": ["free"], "models": ["small"]}]"#;
        serde_json::from_str::<Vec<super::Rule>>(misspelled).unwrap_err();
    }
}
