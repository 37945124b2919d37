use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;
use web::{IfMatch, Problem};

/// What a model is told by a domain of the product, with `{{places}}` for what differs from call to call. Operators
/// may put another text in its place.
#[derive(Clone, Copy, Debug)]
pub struct Prompt {
    /// Names it: `domain.what`.
    pub name: &'static str,
    /// What can be filled in.
    pub variables: &'static [&'static str],
    /// Unless operators have chosen another.
    pub text: &'static str,
}

/// A text that operators chose for a prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PromptVersion {
    /// Counts the changes. Earlier versions are kept.
    pub version: i32,
    /// Absent: the one in the code is in force again.
    pub text: Option<String>,
    /// When this version was made.
    pub created_at: DateTime<Utc>,
}

/// Characters. More is a mistake, and costs with every call.
const LONGEST: usize = 20_000;

impl Prompt {
    /// The text in force, with `values` at their places. What comes from people is filled in as it is: it cannot
    /// name further places.
    pub async fn fill(
        &self,
        db: impl PgExecutor<'_>,
        values: &[(&str, &str)],
    ) -> sqlx::Result<String> {
        let chosen = PromptVersion::newest(db, self.name).await?.and_then(|it| it.text);
        Ok(fill(chosen.as_deref().unwrap_or(self.text), values))
    }

    /// Refuses a text that is empty, too long, or names places that nothing is filled into.
    pub fn check(&self, text: &str) -> Result<(), Problem> {
        if text.trim().is_empty() || text.chars().count() > LONGEST {
            return Err(Problem::invalid_field("/text", "must have 1 to 20,000 characters"));
        }
        let unknown = places(text).find(|place| !self.variables.contains(place));
        match unknown {
            Some(place) => {
                let known = self.variables.join(", ");
                let detail = format!("nothing is called {place:?}; there is: {known}");
                Err(Problem::invalid_field("/text", detail))
            }
            None => Ok(()),
        }
    }
}

impl PromptVersion {
    /// The newest of `name`, if it was ever changed.
    pub async fn newest(db: impl PgExecutor<'_>, name: &str) -> sqlx::Result<Option<Self>> {
        sqlx::query_as!(
            Self,
            "select version, text, created_at from ai_prompts
             where name = $1 order by version desc limit 1",
            name,
        )
        .fetch_optional(db)
        .await
    }

    /// Every one of `name`, the newest first.
    pub async fn history(db: impl PgExecutor<'_>, name: &str) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            "select version, text, created_at from ai_prompts where name = $1 order by version desc",
            name,
        )
        .fetch_all(db)
        .await
    }

    /// Puts `text` in force from the next call on, as a new version; `None` the one in the code.
    pub async fn set(
        db: &mut PgConnection,
        prompt: &Prompt,
        text: Option<&str>,
        if_match: IfMatch,
        now: DateTime<Utc>,
    ) -> Result<Self, Problem> {
        // Two changes at once would take the same version: the second waits, and comes after.
        sqlx::query!(
            "select pg_advisory_xact_lock(hashtextextended('ai_prompts:' || $1, 0))",
            prompt.name
        )
        .execute(&mut *db)
        .await?;
        let current = Self::newest(&mut *db, prompt.name).await?.map_or(0, |it| it.version);
        if_match.check(current.into())?;
        let made =
            Self { version: current + 1, text: text.map(ToOwned::to_owned), created_at: now };
        sqlx::query!(
            "insert into ai_prompts (name, version, text, created_at) values ($1, $2, $3, $4)",
            prompt.name,
            made.version,
            made.text,
            now,
        )
        .execute(db)
        .await?;
        Ok(made)
    }
}

/// What stands between `{{` and `}}`.
pub fn places(text: &str) -> impl Iterator<Item = &str> {
    text.split("{{").skip(1).filter_map(|rest| rest.split_once("}}")).map(|(place, _)| place)
}

/// The text with `values` at their places, in one go: nothing that is filled in is looked at again.
pub fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut parts = text.split("{{");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let value = part.split_once("}}").and_then(|(place, rest)| {
            let value = values.iter().find(|(name, _)| *name == place)?.1;
            Some((value, rest))
        });
        match value {
            Some((value, rest)) => filled.extend([value, rest]),
            None => filled.extend(["{{", part]),
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::{Prompt, fill};

    #[test]
    fn what_people_write_is_filled_in_and_fills_in_nothing() {
        let values = [("project", "{{secret}} {{project}}"), ("secret", "x")];
        let filled = fill("For {{project}}: {{project}}, {{other}} {{", &values);
        assert_eq!(filled, "For {{secret}} {{project}}: {{secret}} {{project}}, {{other}} {{");
        assert_eq!(fill("", &values), "");
        assert_eq!(fill("no }} places", &values), "no }} places");
    }

    #[test]
    fn a_text_that_names_what_nobody_fills_in_is_refused() {
        let prompt = Prompt { name: "a.b", variables: &["project"], text: "" };
        prompt.check("Write for {{project}}.").unwrap();
        for wrong in ["", " ", "{{Project}}", "{{project}} {{user}}", &"x".repeat(20_001)] {
            prompt.check(wrong).unwrap_err();
        }
    }
}
