//! Whether what AI calls may cost is bounded. That providers answer and take the keys is a health check.

use super::{Context, Group::Services as Here, Line};

pub(super) fn check(context: &Context<'_>) -> Line {
    let quotas = &context.settings.quotas;
    let (day, month) = (quotas.ai_budget_per_day_usd, quotas.ai_budget_per_month_usd);
    let found = format!("at most ${day} a day and ${month} a month for all customers together");
    if day == 0 || month == 0 {
        let action =
            "Set AI_BUDGET_PER_DAY_USD and AI_BUDGET_PER_MONTH_USD: with 0 no call is made.";
        return Here.fail("AI budget", found, action);
    }
    Here.pass("AI budget", found)
}
