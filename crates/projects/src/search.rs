use db::Db;
use kernel::{Id, Org};
use uuid::Uuid;
use web::Problem;

/// If more projects than these have some words, a list meets one at every turn and need not know them all.
const FEW: u16 = 200;

/// Which projects have the words that somebody looks for.
pub(crate) enum Found {
    /// No words were given.
    Everything,
    /// These.
    Few(Vec<Uuid>),
    /// A good part of them; this is how Postgres is asked.
    Many(String),
}

/// Looks for projects of `org` that have all words of `text`, the last of which may be half written.
///
/// As the owner: row-level security looks at the rows of an org before any condition that might tell of their content,
/// and so keeps the index on words from being used. What is found is shown by a transaction of the org only.
pub(crate) async fn find(db: &Db, org: Id<Org>, text: Option<&str>) -> web::Result<Found> {
    let text = text.unwrap_or_default();
    if text.chars().count() > 200 {
        return Err(Problem::unprocessable("invalid_query", "q has at most 200 characters"));
    }
    let Some(words) = tsquery(text) else { return Ok(Found::Everything) };
    let found = sqlx::query_scalar!(
        "select id from projects where org_id = $1 and search @@ to_tsquery('simple', $2) limit $3",
        org as _,
        words,
        i64::from(FEW) + 1,
    )
    .fetch_all(db.pool())
    .await?;
    Ok(if found.len() <= usize::from(FEW) { Found::Few(found) } else { Found::Many(words) })
}

/// The words in the language of Postgres, each quoted. They are parted as those of projects are.
fn tsquery(text: &str) -> Option<String> {
    let parts = |it: char| it.is_whitespace() || it.is_control() || it.is_ascii_punctuation();
    let words: Vec<_> = text.split(parts).filter(|it| !it.is_empty()).collect();
    (!words.is_empty()).then(|| format!("'{}':*", words.join("' & '")))
}

#[cfg(test)]
mod tests {
    use super::tsquery;

    #[test]
    fn nothing_that_somebody_looks_for_is_an_operator() {
        for (text, query) in [
            ("moon lan", "'moon' & 'lan':*"),
            (" a | !b ", "'a' & 'b':*"),
            ("it's \\ <x>", "'it' & 's' & 'x':*"),
            ("ada@example.com", "'ada' & 'example' & 'com':*"),
            ("a\0b\tc", "'a' & 'b' & 'c':*"),
        ] {
            assert_eq!(tsquery(text).as_deref(), Some(query));
        }
        assert_eq!(tsquery(" :* "), None);
    }
}
