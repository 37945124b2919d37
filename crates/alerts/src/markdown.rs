use std::fmt::Write;

use crate::{Config, standard};

/// Every rule as a table for people.
pub fn rules_table(config: &Config, drift_percent: u32) -> String {
    let mut text =
        String::from("| rule | there is an alert unless | of | set by |\n|---|---|---|---|\n");
    for rule in standard(config, drift_percent) {
        let (name, limit, unit) = (rule.name, rule.limit, rule.unit);
        let _ =
            writeln!(text, "| `{name}` | {limit}{unit} | {} | `{}` |", rule.measures, rule.setting);
    }
    text
}
