use crate::{Config, Limit, Rule, measures};

/// The rules that Slipway comes with; providers may charge `drift_percent` more or less than was recorded. A rule of your own is
/// one more value in the list.
pub fn standard(config: &Config, drift_percent: u32) -> Vec<Rule> {
    let mut rules = of_work(config);
    rules.extend(of_services(config));
    rules.push(provider_drift(drift_percent));
    rules
}

fn provider_drift(percent: u32) -> Rule {
    Rule {
        name: "provider_drift",
        title: "A provider charges other than what was recorded",
        measures: "the greatest difference, of any model on any of the last seven days, between what a provider charged and what was recorded, beyond what calls with unknown outcome explain",
        advice: "Look at /admin/v1/provider-costs; a price may have changed, or somebody else uses a key.",
        unit: " %",
        limit: Limit::AtMost(percent.into()),
        setting: "USAGE_DRIFT_PERCENT",
        measure: measures::provider_drift,
    }
}

/// What the product does itself.
fn of_work(config: &Config) -> Vec<Rule> {
    vec![
        Rule {
            name: "error_rate",
            title: "Too many requests fail",
            measures: "answers of 5xx among all of the last five minutes, if there were at least 50",
            advice: "Look at /health and at the errors in the log of the last minutes.",
            unit: " %",
            limit: Limit::AtMost(config.alert_error_percent),
            setting: "ALERT_ERROR_PERCENT",
            measure: measures::error_rate,
        },
        Rule {
            name: "queue_age",
            title: "Background jobs wait too long",
            measures: "how long the first job that is due has been waiting",
            advice: "Look at /admin/v1/queues for what waits; start more workers, or raise JOBS_CONCURRENCY.",
            unit: " s",
            limit: Limit::AtMost(config.alert_queue_age_seconds),
            setting: "ALERT_QUEUE_AGE_SECONDS",
            measure: measures::queue_age,
        },
        Rule {
            name: "dead_letters",
            title: "Background jobs have failed for good",
            measures: "jobs that are out of attempts",
            advice: "Look at /admin/v1/jobs?state=dead for why, mend the cause, then retry or discard them.",
            unit: "",
            limit: Limit::AtMost(config.alert_dead_letters),
            setting: "ALERT_DEAD_LETTERS",
            measure: measures::dead_letters,
        },
        Rule {
            name: "failing_schedule",
            title: "A scheduled job does not succeed",
            measures: "how often in a row a scheduled job was due again before it had succeeded",
            advice: "Look at /admin/v1/jobs?state=waiting for one whose key ends in a schedule, and at its last_error.",
            unit: "",
            limit: Limit::AtMost(config.alert_missed_slots),
            setting: "ALERT_MISSED_SLOTS",
            measure: measures::schedules,
        },
        Rule {
            name: "stale_worker",
            title: "Workers have fallen silent",
            measures: "workers that have given a sign of life within `JOBS_RESCUE_AFTER_SECONDS`, or hardly longer",
            advice: "Look at /admin/v1/workers, and at the processes: one has died, or lost the database.",
            unit: "",
            limit: Limit::AtLeast(config.alert_workers),
            setting: "ALERT_WORKERS",
            measure: measures::workers,
        },
        Rule {
            name: "late_deletions",
            title: "An erasure does not get done",
            measures: "for how long the first deletion that is due is not done",
            advice: "Look at /admin/v1/deletions, and in the log for why it stops: the next minute goes on where it stopped.",
            unit: " h",
            limit: Limit::AtMost(config.alert_deletion_hours),
            setting: "ALERT_DELETION_HOURS",
            measure: measures::late_deletions,
        },
    ]
}

/// What it has others do, and pays for.
fn of_services(config: &Config) -> Vec<Rule> {
    vec![
        Rule {
            name: "spend_anomaly",
            title: "AI calls cost far more than usual",
            measures: "the cost of the last hour in percent of the average hour of the seven days before, if above $10",
            advice: "Look at /admin/v1/usage for who spends it; switch AI calls of that organization off if need be.",
            unit: " %",
            limit: Limit::AtMost(config.alert_spend_percent),
            setting: "ALERT_SPEND_PERCENT",
            measure: measures::spend,
        },
        Rule {
            name: "stripe_lag",
            title: "Payments are not applied",
            measures: "how long the first event of Stripe's that is not applied has been waiting",
            advice: "Look at /admin/v1/billing/events and at the dead letters of billing.",
            unit: " s",
            limit: Limit::AtMost(config.alert_stripe_lag_seconds),
            setting: "ALERT_STRIPE_LAG_SECONDS",
            measure: measures::stripe_lag,
        },
        Rule {
            name: "mail_bounces",
            title: "Too many mails do not arrive",
            measures: "mails of the last day that bounced, were complained of or could not be sent, if there were at least 20",
            advice: "Look at the log of mails and at what your provider says of the domain.",
            unit: " %",
            limit: Limit::AtMost(config.alert_bounce_percent),
            setting: "ALERT_BOUNCE_PERCENT",
            measure: measures::bounces,
        },
        Rule {
            name: "backup_age",
            title: "There is no recent backup",
            measures: "the age of the newest backup, or since when none succeeds",
            advice: "Run `slipway backup` and read what it says; the last error is in the log of the job backups.take.",
            unit: " h",
            limit: Limit::AtMost(config.alert_backup_hours),
            setting: "ALERT_BACKUP_HOURS",
            measure: measures::backup_age,
        },
    ]
}
