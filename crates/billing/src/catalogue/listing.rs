use super::Catalogue;
use crate::{Interval, Offer, Plan};

/// One price as it should stand at Stripe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listing {
    /// Our name for it, at Stripe its lookup key.
    pub(crate) item: String,
    /// The product it is a price of: also that product's id at Stripe.
    pub(crate) product: String,
    /// What the product is called on bills.
    pub(crate) name: String,
    /// In US cents.
    pub(crate) cents: i64,
    /// How often it is paid; `None`: once.
    pub(crate) interval: Option<Interval>,
}

impl Listing {
    /// A plan or pack.
    pub(crate) fn of(offer: &Offer<'_>) -> Self {
        let (product, interval) = match offer {
            Offer::Plan(plan, interval) => (format!("plan-{}", plan.id), Some(*interval)),
            Offer::Pack(pack) => (pack.id.clone(), None),
        };
        Self { item: offer.item(), product, name: offer.name(), cents: offer.cents(), interval }
    }

    /// A plan, sold or retired.
    pub(crate) fn plan(plan: &Plan, interval: Interval) -> Self {
        Self::of(&Offer::Plan(plan, interval))
    }

    /// A further seat of a plan.
    pub(crate) fn seat(plan: &Plan, interval: Interval) -> Self {
        Self {
            item: format!("seat-{}-{interval}", plan.id),
            product: format!("seat-{}", plan.id),
            name: format!("{}: further seat", plan.name),
            cents: plan.seat_cents(interval),
            interval: Some(interval),
        }
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
                let own = INTERVALS.map(|interval| Listing::of(&Offer::Plan(plan, interval)));
                let seats = INTERVALS.map(|interval| Listing::seat(plan, interval));
                own.into_iter().chain(seats.into_iter().filter(|seat| seat.cents > 0))
            })
            .chain(packs.map(|pack| Listing::of(&Offer::Pack(pack))))
            .collect()
    }
}
