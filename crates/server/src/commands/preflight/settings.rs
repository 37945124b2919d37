//! Whether the settings are those of a launch.

use kernel::Environment;

use super::{Context, Group::Environment as Here, Line};
use crate::Settings;

const MEND: &str = "Set it as .env.example says.";

pub(super) fn check(context: &Context<'_>) -> Vec<Line> {
    let settings = context.settings;
    let mut lines = problems(settings);
    if lines.is_empty() {
        lines.push(Here.pass("settings", "every setting is valid"));
    }
    lines.push(match settings.app_env {
        Environment::Production => {
            Here.pass("environment", "production: unsafe settings are refused")
        }
        other => Here.warn(
            "environment",
            format!("{other}: what production refuses is allowed here"),
            "Set APP_ENV=production for the launch.",
        ),
    });
    lines
}

/// When not even the program can be put together.
pub(super) fn uncomposed(settings: &Settings, error: &anyhow::Error) -> Vec<Line> {
    let mut lines = problems(settings);
    if lines.is_empty() {
        lines.push(Here.fail("settings", format!("{error:#}"), MEND));
    }
    lines
}

fn problems(settings: &Settings) -> Vec<Line> {
    let problems = settings.problems().into_iter();
    problems.map(|problem| Here.fail("settings", problem, MEND)).collect()
}
