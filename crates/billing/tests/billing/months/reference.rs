//! What must be true, computed from Stripe's objects and the price list alone: none of it asks the product's code.

use std::collections::BTreeMap;

use chrono::{DateTime, Months};
use serde_json::Value;

use super::world::World;
use crate::support::at_stripe;

/// Cents and credits of each pack.
const PACKS: [(i64, i64); 4] = [(200, 10), (900, 50), (1600, 100), (7000, 500)];

/// Cents a month, name, and credits a month of each plan. A year costs as much as ten months.
const PLANS: [(i64, &str, i64); 3] =
    [(1900, "creator", 100), (4900, "pro", 500), (19_900, "agency", 2500)];

/// How long a plan stays in force while a bill is overdue.
const GRACE: i64 = 7 * 86_400;

/// What one org has at Stripe.
pub(super) struct Books {
    now: i64,
    sessions: Vec<Value>,
    invoices: Vec<Value>,
    payments: Vec<Value>,
    subscriptions: Vec<Value>,
    charges: Vec<Value>,
    refunds: Vec<Value>,
    disputes: Vec<Value>,
    transactions: Vec<Value>,
}

/// What is left of each grant, in credits, after what was returned of its payment; by the grant's name.
#[derive(Debug, Default)]
pub(super) struct Credits {
    pub(super) sure: BTreeMap<String, i64>,
    /// Of a subscription that ended before anybody heard that they were paid, or not.
    pub(super) perhaps: BTreeMap<String, i64>,
}

/// A period that is paid.
struct Period<'a> {
    start: i64,
    end: i64,
    /// When another one takes its place, or the subscription ends.
    until: i64,
    is_year: bool,
    /// What it began with, and what it was changed to, each with its bill.
    steps: Vec<Step<'a>>,
}

struct Step<'a> {
    from: i64,
    plan: &'static str,
    credits: i64,
    bill: &'a Value,
}

fn number(object: &Value, field: &str) -> i64 {
    object[field].as_i64().unwrap_or_default()
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}

/// The plan that costs so much, and whether for a year; seats cost something else.
fn plan_at(cents: i64) -> Option<(&'static str, i64, bool)> {
    let month = PLANS.iter().find(|plan| plan.0 == cents).map(|plan| (plan.1, plan.2, false));
    month.or_else(|| {
        PLANS.iter().find(|plan| 10 * plan.0 == cents).map(|plan| (plan.1, plan.2, true))
    })
}

impl Books {
    pub(super) fn of(world: &World, customer: &str) -> Self {
        let own = |kind: &str| {
            let mut all = at_stripe(&world.app, kind);
            all.retain(|object| object["customer"] == customer);
            all
        };
        Self {
            now: world.app.clock.now().timestamp(),
            sessions: own("checkout.session"),
            invoices: own("invoice"),
            payments: at_stripe(&world.app, "invoice_payment"),
            subscriptions: own("subscription"),
            charges: own("charge"),
            refunds: own("refund"),
            disputes: at_stripe(&world.app, "dispute"),
            transactions: at_stripe(&world.app, "balance_transaction"),
        }
    }

    /// How much of each payment came, in order.
    pub(super) fn paid(&self) -> Vec<i64> {
        let paid = self.charges.iter().filter(|charge| charge["paid"] == true);
        let mut amounts: Vec<i64> = paid.map(|charge| number(charge, "amount")).collect();
        amounts.sort_unstable();
        amounts
    }

    /// What all movements of our balance come to that this customer caused, fees left out.
    pub(super) fn money(&self) -> i64 {
        let charges: Vec<&str> = self.charges.iter().map(|charge| text(charge, "id")).collect();
        let refunds = self.refunds.iter().map(|refund| text(refund, "id"));
        let disputes = self.disputes.iter().filter(|it| charges.contains(&text(it, "charge")));
        let disputes = disputes.map(|dispute| text(dispute, "id"));
        let sources: Vec<&str> = charges.iter().copied().chain(refunds).chain(disputes).collect();
        let moved = self.transactions.iter().filter(|it| sources.contains(&text(it, "source")));
        moved.map(|transaction| number(transaction, "amount")).sum()
    }

    /// The subscription that counts: the one in force, else one that runs, else the newest.
    fn subscription(&self) -> Option<&Value> {
        let rank = |it: &&Value| {
            let status = text(it, "status");
            let in_force = matches!(status, "active" | "past_due" | "trialing");
            (in_force, status != "canceled", number(it, "created"))
        };
        self.subscriptions.iter().max_by_key(rank)
    }

    pub(super) fn state(&self) -> String {
        self.subscription().map_or_else(String::new, |it| {
            let items = it["items"]["data"].as_array().expect("items");
            let period = (
                number(&items[0], "current_period_start"),
                number(&items[0], "current_period_end"),
            );
            let seats: i64 = items[1..].iter().map(|item| number(item, "quantity")).sum();
            let leaves = it["cancel_at_period_end"] == true;
            let (plan, status) = (plan(it), text(it, "status"));
            format!("{} {plan} {seats} {status} {period:?} {leaves}", text(it, "id"))
        })
    }

    /// The plan in force.
    pub(super) fn plan(&self) -> &'static str {
        let Some(subscription) = self.subscription() else { return "free" };
        let bill = self.invoices.iter().find(|it| it["id"] == subscription["latest_invoice"]);
        // What was changed within the period may be paid, while the period is not.
        let since = match bill {
            Some(bill) if bill["status"] != "paid" => number(bill, "created"),
            _ => number(&subscription["items"]["data"][0], "current_period_start"),
        };
        match text(subscription, "status") {
            "active" | "trialing" => plan(subscription),
            "past_due" if self.now - since < GRACE => plan(subscription),
            _ => "free",
        }
    }

    /// A pack's payment gives the pack, the bill of a period each of its months when it begins, the bill of an
    /// upgrade the difference of every month that it is for: of the one in which it was made in proportion to what was
    /// left of it. What is returned of a payment takes that part of its credits away, in whole credits.
    pub(super) fn credits(&self) -> Credits {
        let mut credits = Credits::default();
        let packs = self
            .sessions
            .iter()
            .filter(|session| session["mode"] == "payment" && session["payment_status"] == "paid");
        for session in packs {
            let (cents, intent) =
                (number(session, "amount_total"), text(session, "payment_intent"));
            let pack = PACKS.iter().find(|pack| pack.0 == cents).expect("a pack of that price");
            credits.sure.insert(format!("stripe:{intent}"), self.kept(self.charge(intent), pack.1));
        }
        for subscription in &self.subscriptions {
            let mut periods = self.periods(subscription);
            periods.sort_by_key(|period| period.start);
            for index in 1..periods.len() {
                periods[index - 1].until = periods[index].start;
            }
            let ended = subscription["status"] == "canceled";
            let last = periods.last().map(|period| period.start);
            for period in &periods {
                let unsure = ended && Some(period.start) == last;
                self.months(text(subscription, "id"), period, unsure, &mut credits);
            }
        }
        credits
    }

    /// The paid periods of a subscription.
    fn periods(&self, subscription: &Value) -> Vec<Period<'_>> {
        let mut bills: Vec<&Value> = self
            .invoices
            .iter()
            .filter(|bill| {
                let of = &bill["parent"]["subscription_details"]["subscription"];
                *of == subscription["id"] && bill["status"] == "paid"
            })
            .collect();
        bills.sort_by_key(|bill| number(bill, "created"));
        let mut periods: Vec<Period> = Vec::new();
        for bill in bills {
            let mut changed: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
            for line in bill["lines"]["data"].as_array().expect("lines") {
                let cents = text(&line["pricing"], "unit_amount_decimal").parse().unwrap_or(0);
                let Some((plan, credits, is_year)) = plan_at(cents) else { continue };
                if line["parent"]["subscription_item_details"]["proration"] == true {
                    let sum = changed.entry(plan).or_insert((0, credits));
                    sum.0 += number(line, "amount");
                    continue;
                }
                let period = &line["period"];
                let (start, end) = (number(period, "start"), number(period, "end"));
                let steps = vec![Step { from: start, plan, credits, bill }];
                periods.push(Period { start, end, until: end, is_year, steps });
            }
            let from = number(bill, "created");
            let dearer = changed.into_iter().find(|(_, (cents, _))| *cents > 0);
            // It is for the period that began last: a year may begin within a month.
            let running = periods.iter_mut().filter(|it| (it.start..it.end).contains(&from));
            if let (Some((name, (_, credits))), Some(running)) =
                (dearer, running.max_by_key(|it| it.start))
            {
                let plan = PLANS.iter().find(|plan| plan.1 == name).expect("a plan").1;
                running.steps.push(Step { from, plan, credits, bill });
            }
        }
        periods
    }

    /// Adds what each month of a period that has begun gives. One that begins after another period has taken its place
    /// is given only if nobody has heard of that yet.
    fn months(&self, subscription: &str, period: &Period, unsure: bool, credits: &mut Credits) {
        for (start, end) in period.months().into_iter().filter(|(start, _)| *start <= self.now) {
            let unsure = unsure || start >= period.until;
            let to = if unsure { &mut credits.perhaps } else { &mut credits.sure };
            let name = format!("stripe:{subscription}:{start}");
            let mut before = 0;
            for (index, step) in period.steps.iter().enumerate().filter(|(_, it)| it.from < end) {
                let more = (step.credits - before).max(0);
                before = before.max(step.credits);
                let left = end - step.from.max(start);
                let more = if index == 0 { more } else { more * left / (end - start) };
                let name = if index == 0 { name.clone() } else { format!("{name}:{}", step.plan) };
                if more > 0 {
                    to.insert(name, self.kept(self.charge_of(step.bill), more));
                }
            }
        }
    }

    fn charge_of(&self, bill: &Value) -> Option<&Value> {
        let payment = self.payments.iter().find(|it| it["invoice"] == bill["id"])?;
        self.charge(text(&payment["payment"], "payment_intent"))
    }

    fn charge(&self, intent: &str) -> Option<&Value> {
        let paid = |it: &&Value| it["payment_intent"] == intent && it["paid"] == true;
        self.charges.iter().find(paid)
    }

    fn kept(&self, charge: Option<&Value>, credits: i64) -> i64 {
        let Some(charge) = charge else { return credits };
        let of_it = |it: &&Value| it["charge"] == charge["id"];
        let refunds = self.refunds.iter().filter(of_it).filter(|it| it["status"] != "failed");
        let gone = ["needs_response", "under_review", "lost"];
        let disputes = self.disputes.iter().filter(of_it);
        let disputes = disputes.filter(|it| gone.contains(&text(it, "status")));
        let returned: i64 = refunds.chain(disputes).map(|it| number(it, "amount")).sum();
        let paid = number(charge, "amount");
        credits - credits * returned.min(paid) / paid
    }
}

impl Period<'_> {
    /// When its months begin and end.
    fn months(&self) -> Vec<(i64, i64)> {
        if !self.is_year {
            return vec![(self.start, self.end)];
        }
        let start = DateTime::from_timestamp(self.start, 0).expect("a time");
        let after = |months| (start + Months::new(months)).timestamp();
        (0..12).map(|month| (after(month), after(month + 1))).collect()
    }
}

fn plan(subscription: &Value) -> &'static str {
    let price = &subscription["items"]["data"][0]["price"];
    plan_at(number(price, "unit_amount")).expect("a plan of that price").0
}
