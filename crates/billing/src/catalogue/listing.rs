use super::Catalogue;
use crate::{Interval, Offer, Plan};

/// The item of overage.
pub(crate) const OVERAGE: &str = "overage";

/// One price as it should stand at Stripe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listing {
    /// Our name for it, at Stripe its lookup key.
    pub(crate) item: String,
    /// The product it is a price of: also that product's id at Stripe.
    pub(crate) product: String,
    /// What the product is called on bills.
    pub(crate) name: String,
    /// In the smallest unit of `currency`.
    pub(crate) cents: i64,
    /// In small letters.
    pub(crate) currency: String,
    /// How often it is paid; `None`: once.
    pub(crate) interval: Option<Interval>,
    /// Whether it is paid afterwards, by what was used.
    pub(crate) metered: bool,
}

impl Listing {
    /// A plan or pack.
    pub(crate) fn of(offer: &Offer<'_>, currency: &str) -> Self {
        let (product, interval) = match offer {
            Offer::Plan(plan, interval) => (format!("plan-{}", plan.id), Some(*interval)),
            Offer::Pack(pack) => (pack.id.clone(), None),
        };
        Self {
            item: offer.item(),
            product,
            name: offer.name(),
            cents: offer.cents(),
            currency: currency.to_owned(),
            interval,
            metered: false,
        }
    }

    /// A plan, sold or retired.
    pub(crate) fn plan(plan: &Plan, interval: Interval, currency: &str) -> Self {
        Self::of(&Offer::Plan(plan, interval), currency)
    }

    /// A further seat of a plan.
    pub(crate) fn seat(plan: &Plan, interval: Interval, currency: &str) -> Self {
        Self {
            item: format!("seat-{}-{interval}", plan.id),
            product: format!("seat-{}", plan.id),
            name: format!("{}: further seat", plan.name),
            cents: plan.seat_cents(interval),
            currency: currency.to_owned(),
            interval: Some(interval),
            metered: false,
        }
    }

    /// A credit used beyond those that an org has.
    pub(crate) fn overage(catalogue: &Catalogue) -> Self {
        Self {
            item: OVERAGE.to_owned(),
            product: OVERAGE.to_owned(),
            name: "Credits used beyond the plan".to_owned(),
            cents: catalogue.overage_cents,
            currency: catalogue.currency.clone(),
            interval: Some(Interval::Month),
            metered: true,
        }
    }
}

impl Listing {
    /// What it costs, in words.
    pub(crate) fn price(&self) -> String {
        let unit = if self.currency == "usd" {
            "cents".to_owned()
        } else {
            self.currency.to_uppercase() + " cents"
        };
        format!("{} {unit}", self.cents)
    }
}

impl Catalogue {
    /// Every price that is to be for sale, those of one product together.
    pub(crate) fn listings(&self) -> Vec<Listing> {
        const INTERVALS: [Interval; 2] = [Interval::Month, Interval::Year];
        let plans = self.plans.iter().filter(|plan| !plan.retired && plan.month_cents > 0);
        let packs = self.packs.iter().filter(|pack| !pack.retired);
        plans
            .flat_map(|plan| {
                let own = INTERVALS.map(|interval| Listing::plan(plan, interval, &self.currency));
                let seats = INTERVALS.map(|interval| Listing::seat(plan, interval, &self.currency));
                own.into_iter().chain(seats.into_iter().filter(|seat| seat.cents > 0))
            })
            .chain((self.overage_cents > 0).then(|| Listing::overage(self)))
            .chain(packs.map(|pack| Listing::of(&Offer::Pack(pack), &self.currency)))
            .collect()
    }
}
