use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use crate::{
    Rule,
    alert::{Alert, Event},
};

/// What is told of an alert, in words and for programs.
pub(crate) struct Notice {
    pub(crate) subject: String,
    pub(crate) paragraphs: Vec<String>,
    pub(crate) json: Value,
}

impl Notice {
    pub(crate) fn new(rule: &Rule, alert: &Alert, event: Event, now: DateTime<Utc>) -> Self {
        let Rule { name, title, measures, advice, unit, setting, .. } = rule;
        let (head, kind) = match event {
            Event::Firing => ("Alert", "alert.firing"),
            Event::Reminder => ("Alert lasts", "alert.reminder"),
            Event::Resolved => ("Resolved", "alert.resolved"),
        };
        let since = shown(alert.started_at);
        let measured =
            format!("{name} was {}{unit}; {}{unit} is right ({setting}).", alert.value, rule.limit);
        let mut paragraphs =
            vec![measured, format!("This is {measures}."), format!("It began at {since}.")];
        paragraphs.push(match alert.resolved_at {
            Some(at) => format!("It was over at {}.", shown(at)),
            None => (*advice).to_owned(),
        });
        let data = json!({
            "id": alert.id, "rule": name, "title": title, "advice": advice, "value": alert.value,
            "threshold": alert.threshold, "unit": unit.trim(), "started_at": alert.started_at,
            "resolved_at": alert.resolved_at,
        });
        Self {
            subject: format!("{head}: {title}"),
            paragraphs,
            json: json!({ "type": kind, "timestamp": now, "data": data }),
        }
    }

    /// One that tells of nothing, to see whether it arrives.
    pub(crate) fn trial(now: DateTime<Utc>) -> Self {
        Self {
            subject: "Test alert".to_owned(),
            paragraphs: vec![
                "Nothing is wrong: somebody wanted to see whether alerts arrive here.".to_owned(),
            ],
            json: json!({ "type": "alert.test", "timestamp": now, "data": {} }),
        }
    }

    /// As one text.
    pub(crate) fn text(&self) -> String {
        format!("*{}*\n{}", self.subject, self.paragraphs.join("\n"))
    }
}

fn shown(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
