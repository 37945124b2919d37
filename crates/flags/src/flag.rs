use audit::{Entry, Origin};
use chrono::{DateTime, Utc};
use kernel::{Id, Org};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;
use web::Tier;

use crate::{Error, Flags, Result, error::check_key, part::hundredth};

/// Orgs that a flag names at most; more are a share.
const MOST_ORGS: usize = 1_000;

/// A feature, and for which orgs it is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Flag {
    /// What your code calls it.
    pub key: String,
    /// For whom it is on.
    #[serde(flatten)]
    pub rule: FlagRule,
    /// Since when.
    pub changed_at: DateTime<Utc>,
}

/// For which orgs a feature is on: those named, those of the tiers, and a share of all others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FlagRule {
    /// What it is about, for operators.
    #[schema(max_length = 500)]
    pub description: String,
    /// The main switch: off is off for everybody.
    pub enabled: bool,
    /// How many of a hundred orgs have it. Who has it keeps it while this grows.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 100)]
    pub percentage: i16,
    /// Tiers that have it.
    #[serde(default)]
    pub tiers: Vec<Tier>,
    /// Orgs that have it.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 1000)]
    pub orgs: Vec<Id<Org>>,
}

impl Flag {
    /// Whether it is on for `org`. The same for all its members, so that they see the same product.
    pub fn is_on(&self, org: Id<Org>, tier: Tier) -> bool {
        let FlagRule { enabled, percentage, tiers, orgs, .. } = &self.rule;
        *enabled
            && (orgs.contains(&org)
                || tiers.contains(&tier)
                || hundredth(&self.key, org.uuid()) < *percentage)
    }

    pub(crate) async fn list(db: impl PgExecutor<'_>) -> sqlx::Result<Vec<Self>> {
        let rows = sqlx::query!(
            r#"select key, description, enabled, percentage, tiers as "tiers: Vec<Tier>",
                      orgs as "orgs: Vec<Id<Org>>", changed_at
               from flags
               order by key"#,
        );
        let flags = rows.fetch_all(db).await?.into_iter().map(|it| Self {
            key: it.key,
            rule: FlagRule {
                description: it.description,
                enabled: it.enabled,
                percentage: it.percentage,
                tiers: it.tiers,
                orgs: it.orgs,
            },
            changed_at: it.changed_at,
        });
        Ok(flags.collect())
    }

    /// As it is, for who is about to change it: nobody else changes any until the transaction ends.
    async fn lock(db: &mut PgConnection, key: &str) -> sqlx::Result<Option<Self>> {
        sqlx::query!("lock table flags in share row exclusive mode").execute(&mut *db).await?;
        Ok(Self::list(db).await?.into_iter().find(|it| it.key == key))
    }
}

impl FlagRule {
    fn check(&self) -> Result<()> {
        if self.description.chars().count() > 500 {
            return Err(Error::Invalid("/description", "has 500 characters at most"));
        }
        if !(0..=100).contains(&self.percentage) {
            return Err(Error::Invalid("/percentage", "is a number from 0 to 100"));
        }
        if self.orgs.len() > MOST_ORGS {
            return Err(Error::Invalid("/orgs", "names 1000 orgs at most: use percentage"));
        }
        Ok(())
    }
}

impl Flags {
    /// Makes a flag, or says anew for whom it is on.
    pub(crate) async fn set(&self, key: &str, rule: FlagRule, origin: &Origin) -> Result<Flag> {
        check_key(key)?;
        rule.check()?;
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let before = Flag::lock(&mut tx, key).await?;
        sqlx::query!(
            "insert into flags (key, description, enabled, percentage, tiers, orgs, changed_at)
             values ($1, $2, $3, $4, $5, $6, $7)
             on conflict (key) do update
             set description = excluded.description, enabled = excluded.enabled,
                 percentage = excluded.percentage, tiers = excluded.tiers, orgs = excluded.orgs,
                 changed_at = excluded.changed_at",
            key,
            rule.description,
            rule.enabled,
            rule.percentage,
            &rule.tiers as _,
            &rule.orgs as _,
            now,
        )
        .execute(&mut *tx)
        .await?;
        let entry = Entry::new(origin, None, "flag.changed", key).after(json!(rule));
        let entry = match before {
            Some(before) => entry.before(json!(before.rule)),
            None => entry,
        };
        entry.record(&mut tx, now).await?;
        tx.commit().await?;
        self.known.forget();
        Ok(Flag { key: key.to_owned(), rule, changed_at: now })
    }

    /// Removes a flag: off for everybody.
    pub(crate) async fn remove(&self, key: &str, origin: &Origin) -> Result<()> {
        let mut tx = self.db.begin().await?;
        let before = Flag::lock(&mut tx, key).await?.ok_or(Error::NoSuchFlag)?;
        sqlx::query!("delete from flags where key = $1", key).execute(&mut *tx).await?;
        let entry = Entry::new(origin, None, "flag.removed", key).before(json!(before.rule));
        entry.record(&mut tx, self.clock.now()).await?;
        tx.commit().await?;
        self.known.forget();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use kernel::{Id, Org};
    use uuid::Uuid;
    use web::Tier;

    use super::{Flag, FlagRule};

    fn flag(percentage: i16, tiers: &[Tier], orgs: &[Id<Org>]) -> Flag {
        let (tiers, orgs) = (tiers.to_vec(), orgs.to_vec());
        let rule = FlagRule { description: String::new(), enabled: true, percentage, tiers, orgs };
        Flag { key: "editor".into(), rule, changed_at: DateTime::UNIX_EPOCH }
    }

    fn orgs() -> impl Iterator<Item = Id<Org>> {
        (0..2_000).map(|it| Id::from(Uuid::from_u128(it)))
    }

    #[test]
    fn it_is_on_for_orgs_that_are_named_and_for_tiers_and_for_nobody_when_switched_off() {
        let mut orgs = orgs();
        let (named, other) = (orgs.next().unwrap(), orgs.next().unwrap());
        let mut it = flag(0, &[Tier::Pro], &[named]);
        assert!(it.is_on(named, Tier::Free) && it.is_on(other, Tier::Pro));
        assert!(!it.is_on(other, Tier::Free) && !it.is_on(other, Tier::Agency));
        it.rule.enabled = false;
        assert!(!it.is_on(named, Tier::Pro));
    }

    #[test]
    fn who_has_it_keeps_it_while_the_share_grows_to_everybody() {
        for smaller in [0, 1, 30, 99] {
            let lost = orgs()
                .filter(|&org| flag(smaller, &[], &[]).is_on(org, Tier::Free))
                .any(|org| !flag(smaller + 1, &[], &[]).is_on(org, Tier::Free));
            assert!(!lost, "{smaller}");
        }
        assert!(orgs().all(|org| flag(100, &[], &[]).is_on(org, Tier::Free)));
        assert!(!orgs().any(|org| flag(0, &[], &[]).is_on(org, Tier::Free)));
    }
}
