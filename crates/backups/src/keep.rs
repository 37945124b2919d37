use chrono::{DateTime, TimeDelta, Utc};
use kernel::Id;

use crate::{Backup, Backups, Config, Manifest, record};

/// How old a dump without a manifest is before nobody can still be making it.
const ABANDONED: TimeDelta = TimeDelta::days(2);

impl Backups {
    /// Forgets backups that are too old and what is left of those that were never finished. Answers how many.
    pub async fn prune(&self) -> anyhow::Result<usize> {
        let (archive, now) = (self.archive()?, self.clock.now());
        let mut old = expired(&archive.list().await?, &self.config, now);
        let made = |id: &Id<Backup>| id.uuid().get_timestamp().map_or(0, |at| at.to_unix().0);
        let limit = u64::try_from((now - ABANDONED).timestamp()).unwrap_or_default();
        let unfinished = archive.unfinished().await?;
        old.extend(unfinished.into_iter().filter(|id| made(id) < limit));
        for id in &old {
            archive.delete(*id).await?;
        }
        archive.remove_leftovers(ABANDONED).await?;
        record::forget(self.db.pool(), now).await?;
        Ok(old.len())
    }
}

/// Those that are past their days, but never the newest few. `all` begins with the newest.
fn expired(all: &[Manifest], config: &Config, now: DateTime<Utc>) -> Vec<Id<Backup>> {
    let limit = now - TimeDelta::days(config.backup_keep_days.into());
    let rest = all.iter().skip(config.backup_keep_least.into());
    rest.filter(|it| it.started_at < limit).map(|it| it.id).collect()
}
