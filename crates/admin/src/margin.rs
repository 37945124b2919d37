use std::collections::{BTreeMap, HashMap};

use billing::Revenue;
use kernel::{Id, NanoUsd, Org};
use serde::{Deserialize, Serialize};
use usage::OrgCost;
use utoipa::ToSchema;

/// The currency that costs are in.
const DOLLAR: &str = "usd";

/// What margins are told by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MarginBy)]
pub(crate) enum By {
    /// Each org.
    #[default]
    Org,
    /// The plan that orgs have now.
    Plan,
    /// The models they called: an org's revenue is shared out as the cost of its calls is.
    Model,
}

/// Of what a margin is; what was not asked for is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[schema(as = MarginOf)]
pub(crate) struct Of {
    /// The org.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    pub(crate) org: Option<Id<Org>>,
    /// The plan it has now, or that all of them have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) plan: Option<String>,
    /// Who serves the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) provider: Option<String>,
    /// The model; absent where orgs paid that called none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) model: Option<String>,
}

/// Revenue less cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Margin)]
pub(crate) struct Figures {
    /// How many calls.
    pub(crate) calls: i64,
    /// Credits that they drew.
    pub(crate) credits: i64,
    /// Money that arrived, in nano-USD.
    pub(crate) received_nano_usd: NanoUsd,
    /// Money that was earned, in nano-USD.
    pub(crate) revenue_nano_usd: NanoUsd,
    /// What the calls cost at the providers, those with unknown outcome included.
    pub(crate) cost_nano_usd: NanoUsd,
    /// What is left; negative if they cost more.
    pub(crate) margin_nano_usd: NanoUsd,
    /// The same in percent of the revenue, rounded down; absent without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) margin_percent: Option<i64>,
}

/// The margin of something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct MarginLine {
    #[serde(flatten)]
    pub(crate) of: Of,
    #[serde(flatten)]
    pub(crate) margin: Figures,
}

/// Money in a currency that costs are not in: it is in no margin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct OtherCurrency {
    /// ISO 4217, in small letters.
    pub(crate) currency: String,
    /// What arrived, in the smallest unit of the currency.
    pub(crate) received: i64,
    /// What was earned.
    pub(crate) revenue: i64,
}

impl Figures {
    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.credits += other.credits;
        self.received_nano_usd = self.received_nano_usd + other.received_nano_usd;
        self.revenue_nano_usd = self.revenue_nano_usd + other.revenue_nano_usd;
        self.cost_nano_usd = self.cost_nano_usd + other.cost_nano_usd;
        self.settle();
    }

    fn settle(&mut self) {
        let (revenue, cost) = (self.revenue_nano_usd.0, self.cost_nano_usd.0);
        self.margin_nano_usd = NanoUsd(revenue.saturating_sub(cost));
        let percent = i128::from(self.margin_nano_usd.0) * 100;
        let percent = (revenue > 0).then(|| percent.div_euclid(i128::from(revenue)));
        self.margin_percent = percent.and_then(|it| i64::try_from(it).ok());
    }
}

/// All of it, and its parts, which add up to it; the most money first.
pub(crate) fn margins(
    by: By,
    revenues: &[Revenue],
    costs: &[OrgCost],
    plans: &HashMap<Id<Org>, String>,
) -> (Figures, Vec<MarginLine>) {
    let mut parts: BTreeMap<Of, Figures> = BTreeMap::new();
    for (org, Account { received, earned, costs }) in accounts(revenues, costs) {
        let plan = plans.get(&org).cloned();
        let (mut before, total) = (0, costs.iter().map(|it| i128::from(it.cost_nano_usd.0)).sum());
        let share = |amount: i64, cost: i128| {
            let part = (i128::from(amount) * cost).checked_div(total).unwrap_or(0);
            i64::try_from(part).unwrap_or(i64::MAX)
        };
        for cost in &costs {
            // The shares of all costs so far less those before this one: so they add up.
            let after = before + i128::from(cost.cost_nano_usd.0);
            let part = |amount| NanoUsd(share(amount, after) - share(amount, before));
            let margin = Figures {
                calls: cost.calls,
                credits: cost.credits,
                received_nano_usd: part(received),
                revenue_nano_usd: part(earned),
                cost_nano_usd: cost.cost_nano_usd,
                ..Figures::default()
            };
            parts.entry(by.of(org, plan.as_ref(), Some(cost))).or_default().add(&margin);
            before = after;
        }
        if total == 0 {
            let money = Figures {
                received_nano_usd: NanoUsd(received),
                revenue_nano_usd: NanoUsd(earned),
                ..Figures::default()
            };
            parts.entry(by.of(org, plan.as_ref(), None)).or_default().add(&money);
        }
    }
    let mut total = Figures::default();
    for part in parts.values() {
        total.add(part);
    }
    let mut lines: Vec<_> =
        parts.into_iter().map(|(of, margin)| MarginLine { of, margin }).collect();
    lines
        .sort_by_key(|it| std::cmp::Reverse((it.margin.revenue_nano_usd, it.margin.cost_nano_usd)));
    (total, lines)
}

/// What an org paid in dollars and what it cost.
#[derive(Default)]
struct Account<'a> {
    received: i64,
    earned: i64,
    costs: Vec<&'a OrgCost>,
}

fn accounts<'a>(revenues: &[Revenue], costs: &'a [OrgCost]) -> BTreeMap<Id<Org>, Account<'a>> {
    let mut accounts: BTreeMap<Id<Org>, Account<'a>> = BTreeMap::new();
    for revenue in revenues.iter().filter(|it| it.currency == DOLLAR) {
        let account = accounts.entry(revenue.org).or_default();
        (account.received, account.earned) = (revenue.received, revenue.earned);
    }
    for cost in costs {
        accounts.entry(cost.org).or_default().costs.push(cost);
    }
    accounts
}

impl By {
    fn of(self, org: Id<Org>, plan: Option<&String>, cost: Option<&OrgCost>) -> Of {
        match self {
            Self::Org => Of { org: Some(org), plan: plan.cloned(), ..Of::default() },
            Self::Plan => Of { plan: plan.cloned(), ..Of::default() },
            Self::Model => Of {
                provider: cost.map(|it| it.provider.clone()),
                model: cost.map(|it| it.model.clone()),
                ..Of::default()
            },
        }
    }
}

/// What is in other currencies than costs are.
pub(crate) fn other_currencies(revenues: &[Revenue]) -> Vec<OtherCurrency> {
    let mut others: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for revenue in revenues.iter().filter(|it| it.currency != DOLLAR) {
        let (received, earned) = others.entry(&revenue.currency).or_default();
        *received += revenue.received;
        *earned += revenue.earned;
    }
    let in_units = |amount: i64| amount / 10_000_000;
    let other = |(currency, (received, earned)): (&str, _)| OtherCurrency {
        currency: currency.to_owned(),
        received: in_units(received),
        revenue: in_units(earned),
    };
    others.into_iter().map(other).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use billing::Revenue;
    use kernel::{Id, NanoUsd, Org};
    use proptest::prelude::*;
    use usage::OrgCost;

    use super::{By, margins, other_currencies};

    fn cost(org: Id<Org>, model: &str, nano: i64) -> OrgCost {
        OrgCost {
            org,
            provider: "openai".into(),
            model: model.into(),
            calls: 1,
            cost_nano_usd: NanoUsd(nano),
            credits: 2,
        }
    }

    fn paid(org: Id<Org>, currency: &str, earned: i64) -> Revenue {
        Revenue { org, currency: currency.into(), received: 2 * earned, earned }
    }

    #[test]
    fn revenue_is_shared_out_among_models_as_costs_are() {
        let (one, other) = (Id::new(), Id::new());
        let costs = [cost(one, "a", 30), cost(one, "b", 10), cost(other, "a", 5)];
        let revenues = [paid(one, "usd", 100), paid(other, "usd", 7)];
        let (total, lines) = margins(By::Model, &revenues, &costs, &HashMap::new());

        let of = |line: usize| (lines[line].of.model.as_deref(), &lines[line].margin);
        assert_eq!(
            (of(0).0, of(0).1.revenue_nano_usd.0, of(0).1.cost_nano_usd.0),
            (Some("a"), 82, 35)
        );
        assert_eq!(
            (of(1).0, of(1).1.revenue_nano_usd.0, of(1).1.margin_percent),
            (Some("b"), 25, Some(60))
        );
        assert_eq!((total.calls, total.margin_nano_usd.0, total.received_nano_usd.0), (3, 62, 214));
    }

    #[test]
    fn without_revenue_there_is_a_loss_but_no_percentage() {
        let org = Id::new();
        let (total, lines) = margins(By::Org, &[], &[cost(org, "a", 30)], &HashMap::new());
        assert_eq!((lines[0].of.org, total.margin_nano_usd.0), (Some(org), -30));
        assert_eq!(total.margin_percent, None);
    }

    #[test]
    fn who_pays_and_calls_nothing_is_shown_and_belongs_to_no_model() {
        let org = Id::new();
        let plans = HashMap::from([(org, "pro".to_owned())]);
        let (_, models) = margins(By::Model, &[paid(org, "usd", 50)], &[], &plans);
        assert_eq!(
            (models[0].of.model.as_deref(), models[0].margin.revenue_nano_usd.0),
            (None, 50)
        );
        let (_, by_plan) = margins(By::Plan, &[paid(org, "usd", 50)], &[], &plans);
        assert_eq!(by_plan[0].of.plan.as_deref(), Some("pro"));
        assert_eq!(by_plan[0].margin.margin_percent, Some(100));
    }

    #[test]
    fn other_currencies_are_told_apart_and_never_counted_as_dollars() {
        let org = Id::new();
        let revenues = [paid(org, "eur", 1_000_000_000), paid(org, "usd", 1)];
        let (total, _) = margins(By::Org, &revenues, &[], &HashMap::new());
        assert_eq!(total.revenue_nano_usd, NanoUsd(1));
        let others = other_currencies(&revenues);
        assert_eq!((others[0].currency.as_str(), others[0].revenue), ("eur", 100));
    }

    proptest! {
        #[test]
        fn parts_add_up_to_the_whole_to_the_last_unit(
            earned in 0..1_i64 << 50, costs in proptest::collection::vec(0..1_i64 << 40, 0..9),
        ) {
            let org = Id::new();
            let costs: Vec<_> =
                costs.iter().enumerate().map(|(n, nano)| cost(org, &format!("m{n}"), *nano)).collect();
            for by in [By::Org, By::Plan, By::Model] {
                let (total, lines) = margins(by, &[paid(org, "usd", earned)], &costs, &HashMap::new());
                prop_assert_eq!(total.revenue_nano_usd.0, earned);
                let sum: i64 = lines.iter().map(|it| it.margin.margin_nano_usd.0).sum();
                prop_assert_eq!(sum, total.margin_nano_usd.0);
            }
        }
    }
}
