//! Whether the database could be had back.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Context, Group::Environment as Here, Line};

/// How long a drill proves anything.
const DRILL: TimeDelta = TimeDelta::days(35);

pub(super) async fn check(context: &Context<'_>) -> Vec<Line> {
    let (backups, now) = (&context.product.backups, context.product.clock.now());
    if context.settings.backups.backup_key.is_none() {
        let action =
            "Set BACKUP_KEY and BACKUP_BUCKET (docs/backups.md), then run `slipway backup`.";
        return vec![Here.fail("backups", "BACKUP_KEY is not set, so none are made", action)];
    }
    let make = "Run `slipway backup` and read what it says.";
    let newest = match backups.list().await {
        Err(error) => Here.fail("backups", format!("{error:#}"), make),
        Ok(all) => match all.first() {
            None => Here.fail("backups", "there is none", make),
            Some(newest) => {
                let limit = TimeDelta::hours(context.settings.alerts.alert_backup_hours);
                let found = format!("the newest is {} old", hours(newest.started_at, now));
                if now - newest.started_at <= limit {
                    Here.pass("backups", found)
                } else {
                    Here.fail("backups", found, make)
                }
            }
        },
    };
    let mut lines = vec![newest, drill(backups.last_drill().await, now)];
    if context.settings.backups.backup_bucket.is_none() {
        lines.push(Here.warn(
            "backup place",
            "a directory of whatever machine makes them",
            "Set BACKUP_BUCKET, unless BACKUP_DIR is on a disk that outlives the machine.",
        ));
    }
    lines
}

fn drill(last: sqlx::Result<Option<backups::Drill>>, now: DateTime<Utc>) -> Line {
    let practise = "Run `slipway restore-drill`.";
    match last {
        Err(error) => Here.fail("restore drill", error.to_string(), practise),
        Ok(None) => Here.fail("restore drill", "no backup was ever restored", practise),
        Ok(Some(backups::Drill { error: Some(error), .. })) => {
            Here.fail("restore drill", format!("the last one failed: {error}"), practise)
        }
        Ok(Some(drill)) if now - drill.started_at > DRILL => {
            Here.fail("restore drill", format!("{} ago", hours(drill.started_at, now)), practise)
        }
        Ok(Some(drill)) => {
            let took = (drill.finished_at - drill.started_at).num_seconds();
            Here.pass("restore drill", format!("{} ago, in {took} s", hours(drill.started_at, now)))
        }
    }
}

fn hours(from: DateTime<Utc>, to: DateTime<Utc>) -> String {
    format!("{} h", (to - from).num_hours())
}
