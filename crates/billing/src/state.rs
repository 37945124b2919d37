use std::fmt::Write as _;

use serde::Serialize;
use utoipa::ToSchema;

/// What a subscription lets its org use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SubscriptionAccess)]
pub enum Access {
    /// The plan.
    Full,
    /// The plan, although a bill is overdue: there is time to pay it.
    Grace,
    /// What the free plan has, until the bill is paid. Members, data and bought credits stay.
    Restricted,
    /// What the free plan has.
    Free,
}

/// What follows from one of the states that a subscription can have at Stripe.
#[derive(Debug, PartialEq, Eq)]
pub struct State {
    /// Stripe's word for it.
    pub status: &'static str,
    /// Whether the time to pay an overdue bill has passed.
    pub lapsed: bool,
    /// What the org may use.
    pub access: Access,
    /// Whether paid bills give the plan's monthly credits.
    pub credits: bool,
    /// Whether it is over, so that another plan can be bought.
    pub over: bool,
    /// How an org comes here.
    pub meaning: &'static str,
    /// How it gets on.
    pub way_on: &'static str,
}

/// Every state: the one place that says what each of them gives.
pub const STATES: [State; 10] = [
    State {
        status: "trialing",
        lapsed: false,
        access: Access::Full,
        credits: false,
        over: false,
        meaning: "A trial runs. Credits come with the first payment.",
        way_on: "Nothing; it is billed when the trial ends.",
    },
    State {
        status: "active",
        lapsed: false,
        access: Access::Full,
        credits: true,
        over: false,
        meaning: "Paid.",
        way_on: "Nothing; it is renewed, or ends with the period if that was asked for.",
    },
    State {
        status: "past_due",
        lapsed: false,
        access: Access::Grace,
        credits: false,
        over: false,
        meaning: "A renewal failed, and Stripe tries again. Mails remind of it.",
        way_on: "Pay the open invoice, or change the card in the portal.",
    },
    State {
        status: "past_due",
        lapsed: true,
        access: Access::Restricted,
        credits: false,
        over: false,
        meaning: "The days of grace (`BILLING_GRACE_DAYS`) have passed.",
        way_on: "Pay the open invoice: the plan is back at once.",
    },
    State {
        status: "unpaid",
        lapsed: false,
        access: Access::Restricted,
        credits: false,
        over: false,
        meaning: "Stripe has stopped trying to collect.",
        way_on: "Pay the open invoice: the plan is back at once.",
    },
    State {
        status: "paused",
        lapsed: false,
        access: Access::Restricted,
        credits: false,
        over: false,
        meaning: "A trial ended without a card.",
        way_on: "Add a card in the portal.",
    },
    State {
        status: "incomplete",
        lapsed: false,
        access: Access::Free,
        credits: false,
        over: false,
        meaning: "The first payment has not gone through yet.",
        way_on: "Complete the payment, or cancel.",
    },
    State {
        status: "incomplete_expired",
        lapsed: false,
        access: Access::Free,
        credits: false,
        over: true,
        meaning: "The first payment failed.",
        way_on: "Buy a plan again.",
    },
    State {
        status: "canceled",
        lapsed: false,
        access: Access::Free,
        credits: false,
        over: true,
        meaning: "It has ended. Bought credits stay.",
        way_on: "Buy a plan again.",
    },
    State {
        status: "unknown",
        lapsed: false,
        access: Access::Free,
        credits: false,
        over: false,
        meaning: "A state that this version does not know.",
        way_on: "Ask the operator.",
    },
];

/// What follows from `status`. Only what is overdue can lapse.
pub(crate) fn state_of(status: &str, lapsed: bool) -> &'static State {
    let is = |state: &&State| state.status == status && (state.lapsed == lapsed);
    let known = STATES.iter().find(is);
    let known = known.or_else(|| STATES.iter().find(|state| state.status == status));
    known.unwrap_or(&STATES[STATES.len() - 1])
}

impl State {
    /// Whether it can be changed: another plan, more seats. Not while something is owed.
    pub fn is_changeable(&self) -> bool {
        self.access == Access::Full
    }

    /// Whether the plan is in force.
    pub fn gives_plan(&self) -> bool {
        matches!(self.access, Access::Full | Access::Grace)
    }
}

/// The table, for the docs.
pub fn states_table() -> String {
    let yes = |it: bool| if it { "yes" } else { "no" };
    let mut table = String::from(
        "| Stripe says | access | plan's credits | can be changed | another plan can be bought | how it comes | the way on |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for state in &STATES {
        let lapsed = if state.lapsed { " (lapsed)" } else { "" };
        let access = match state.access {
            Access::Full => "plan",
            Access::Grace => "plan, in grace",
            Access::Restricted => "free plan, restricted",
            Access::Free => "free plan",
        };
        let _ = writeln!(
            table,
            "| `{}`{lapsed} | {access} | {} | {} | {} | {} | {} |",
            state.status,
            yes(state.credits),
            yes(state.is_changeable()),
            yes(state.over),
            state.meaning,
            state.way_on,
        ); // Writing to a string cannot fail.
    }
    table
}

#[cfg(test)]
mod tests {
    use super::{Access, state_of};

    #[test]
    fn each_state_gives_exactly_the_documented_access() {
        for (status, lapsed, access, credits, over) in [
            ("trialing", false, Access::Full, false, false),
            ("active", false, Access::Full, true, false),
            ("active", true, Access::Full, true, false),
            ("past_due", false, Access::Grace, false, false),
            ("past_due", true, Access::Restricted, false, false),
            ("unpaid", false, Access::Restricted, false, false),
            ("unpaid", true, Access::Restricted, false, false),
            ("paused", false, Access::Restricted, false, false),
            ("incomplete", false, Access::Free, false, false),
            ("incomplete_expired", false, Access::Free, false, true),
            ("canceled", false, Access::Free, false, true),
            ("something_new", false, Access::Free, false, false),
        ] {
            let state = state_of(status, lapsed);
            let given = (state.access, state.credits, state.over);
            assert_eq!(given, (access, credits, over), "{status}, lapsed: {lapsed}");
        }
    }
}
