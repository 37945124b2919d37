mod in_force;
mod listing;
mod sync;
mod version;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Interval, Pack, Plan};

pub(crate) use in_force::Catalogues;
pub(crate) use listing::{Listing, OVERAGE};
pub use sync::Difference;
pub(crate) use sync::SyncCatalogue;
pub use version::CatalogueVersion;

const CATALOGUE: &str = include_str!("../catalogue.toml");

fn dollars() -> String {
    "usd".to_owned()
}

/// Stripe allows no longer trials.
const MOST_TRIAL_DAYS: i32 = 730;

/// Everything that can be bought, the cheapest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// What prices are in: ISO 4217, in small letters. Once something was sold it stays.
    #[serde(default = "dollars")]
    #[schema(default = "usd", pattern = "^[a-z]{3}$")]
    currency: String,
    /// What a credit costs that is used beyond those an org has; 0: none is sold.
    #[serde(default)]
    overage_cents: i64,
    plans: Vec<Plan>,
    packs: Vec<Pack>,
}

/// Why a text is not a catalogue.
#[derive(Debug, thiserror::Error)]
pub enum InvalidCatalogue {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] toml::de::Error),
    /// It breaks a rule.
    #[error("{0}")]
    Rule(String),
}

/// One line of a checkout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer<'a> {
    /// A plan, paid until further notice.
    Plan(&'a Plan, Interval),
    /// A pack, paid once.
    Pack(&'a Pack),
}

impl Offer<'_> {
    /// What to send to buy it.
    pub fn item(&self) -> String {
        match self {
            Self::Plan(plan, interval) => format!("plan-{}-{interval}", plan.id),
            Self::Pack(pack) => pack.id.clone(),
        }
    }

    /// What it is called on the bill.
    pub fn name(&self) -> String {
        match self {
            Self::Plan(plan, _) => plan.name.clone(),
            Self::Pack(pack) => format!("{} credits", pack.credits),
        }
    }

    /// What it costs.
    pub fn cents(&self) -> i64 {
        match self {
            Self::Plan(plan, interval) => plan.cents(*interval),
            Self::Pack(pack) => pack.cents,
        }
    }

    fn is_retired(&self) -> bool {
        match self {
            Self::Plan(plan, _) => plan.retired,
            Self::Pack(pack) => pack.retired,
        }
    }
}

impl Catalogue {
    /// The catalogue that the program was built with.
    ///
    /// # Panics
    /// If it breaks a rule, which a test excludes.
    pub fn embedded() -> Self {
        Self::parse(CATALOGUE).expect("the embedded catalogue keeps the rules")
    }

    /// Reads a catalogue in TOML.
    pub fn parse(text: &str) -> Result<Self, InvalidCatalogue> {
        let catalogue: Self = toml::from_str(text)?;
        catalogue.check()?;
        Ok(catalogue)
    }

    /// Refuses one that breaks a rule.
    pub fn check(&self) -> Result<(), InvalidCatalogue> {
        let known = self.currency.len() == 3
            && self.currency.bytes().all(|letter| letter.is_ascii_lowercase());
        require(known, || format!("{} is no currency, such as usd or eur", self.currency))?;
        require(self.overage_cents >= 0, || "overage must cost something".to_owned())?;
        self.require_sound_plans()?;
        self.require_plans_to_rise()?;
        self.require_packs_to_rise()
    }

    /// Refuses to lose what `before` sold: somebody may have it.
    pub(crate) fn require_all_of(&self, before: &Self) -> Result<(), InvalidCatalogue> {
        let plans = before.plans.iter().map(|it| &it.id);
        let packs = before.packs.iter().map(|it| &it.id);
        let kept =
            |id: &&String| self.plan(id).is_some() || self.packs.iter().any(|pack| pack.id == **id);
        match plans.chain(packs).find(|id| !kept(id)) {
            None => Ok(()),
            Some(id) => Err(InvalidCatalogue::Rule(format!(
                "{id} was sold and must stay; say retired = true to sell it no longer"
            ))),
        }
    }

    /// What prices are in.
    pub fn currency(&self) -> &str {
        &self.currency
    }

    /// What a credit costs that is used beyond those an org has; 0: none is sold.
    pub fn overage_cents(&self) -> i64 {
        self.overage_cents
    }

    /// Every plan.
    pub fn plans(&self) -> &[Plan] {
        &self.plans
    }

    /// Every pack.
    pub fn packs(&self) -> &[Pack] {
        &self.packs
    }

    /// The plan of whoever pays for none.
    pub fn free(&self) -> &Plan {
        &self.plans[0]
    }

    /// The plan with this id, sold or retired.
    pub(crate) fn plan(&self, id: &str) -> Option<&Plan> {
        self.plans.iter().find(|plan| plan.id == id)
    }

    /// What is sold under the name `item`.
    pub fn offer(&self, item: &str) -> Option<Offer<'_>> {
        self.sold(item).filter(|offer| !offer.is_retired())
    }

    /// What is or was sold under the name `item`.
    pub(crate) fn sold(&self, item: &str) -> Option<Offer<'_>> {
        if let Some(pack) = self.packs.iter().find(|pack| pack.id == item) {
            return Some(Offer::Pack(pack));
        }
        let (id, interval) = item.strip_prefix("plan-")?.rsplit_once('-')?;
        let interval = interval.parse().ok()?;
        let plan = self.plan(id)?;
        (plan.cents(interval) > 0).then_some(Offer::Plan(plan, interval))
    }

    fn require_sound_plans(&self) -> Result<(), InvalidCatalogue> {
        let free = self.plans.first().is_some_and(|plan| plan.month_cents == 0 && !plan.retired);
        require(free, || "the first plan must be free".to_owned())?;
        for (index, plan) in self.plans.iter().enumerate() {
            let id = &plan.id;
            let named = !id.is_empty() && id.len() <= 40;
            let named =
                named && id.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit());
            require(named, || format!("a plan's id is of small letters and digits, unlike {id}"))?;
            let known = self.plans[..index].iter().any(|other| other.id == *id);
            require(!known, || format!("two plans have the id {id}"))?;
            let year = plan.month_cents.min(1)..=plan.month_cents.saturating_mul(12);
            require(year.contains(&plan.year_cents), || {
                format!("a year of {id} must cost something, but no more than twelve months")
            })?;
            let (month, year) = (plan.seat_month_cents, plan.seat_year_cents);
            let sound = (month > 0) == (year > 0) && year <= month.saturating_mul(12);
            require(sound && (month == 0 || plan.month_cents > 0), || {
                format!(
                    "a further seat of {id} must have both prices, a year's no more than twelve months'"
                )
            })?;
            let sold = self.overage_cents > 0 && plan.month_cents > 0;
            require(plan.overage_credits_per_month == 0 || sold, || {
                format!("overage of {id} needs overage_cents, and a plan that is paid")
            })?;
            require((0..=MOST_TRIAL_DAYS).contains(&plan.trial_days), || {
                format!("a trial of {id} may last {MOST_TRIAL_DAYS} days")
            })?;
        }
        Ok(())
    }

    /// Who pays more must get more, in every respect. Retired plans are not compared.
    fn require_plans_to_rise(&self) -> Result<(), InvalidCatalogue> {
        let sold: Vec<_> = self.plans.iter().filter(|plan| !plan.retired).collect();
        for pair in sold.windows(2) {
            let [less, more] = pair else { continue };
            let dearer = less.month_cents < more.month_cents && less.tier < more.tier;
            require(dearer, || format!("{} must cost more than {}", more.id, less.id))?;
            let rises =
                benefits(less).into_iter().zip(benefits(more)).all(|(a, b)| 0 <= a && a <= b);
            require(rises, || format!("{} must offer no less than {}", more.id, less.id))?;
        }
        Ok(())
    }

    fn require_packs_to_rise(&self) -> Result<(), InvalidCatalogue> {
        for (index, pack) in self.packs.iter().enumerate() {
            let known = self.packs[..index].iter().any(|other| other.id == pack.id);
            require(!known, || format!("two packs have the id {}", pack.id))?;
            let valid = pack.id.starts_with("pack-") && pack.credits > 0 && pack.cents > 0;
            require(valid, || format!("{} must begin with pack-, hold credits and cost", pack.id))?;
        }
        let sold: Vec<_> = self.packs.iter().filter(|pack| !pack.retired).collect();
        for pair in sold.windows(2) {
            let [small, large] = pair else { continue };
            let larger = small.credits < large.credits && small.cents < large.cents;
            require(larger, || format!("{} must exceed {}", large.id, small.id))?;
            let cheaper = i128::from(large.cents) * i128::from(small.credits)
                <= i128::from(small.cents) * i128::from(large.credits);
            require(cheaper, || format!("a credit of {} must not cost more", large.id))?;
        }
        Ok(())
    }
}

fn benefits(plan: &Plan) -> [i64; 7] {
    [
        plan.generations_per_day,
        plan.generations_per_month,
        plan.spend_cents_per_month,
        plan.credits_per_month,
        plan.seats,
        plan.storage_bytes,
        plan.overage_credits_per_month,
    ]
}

fn require(holds: bool, rule: impl FnOnce() -> String) -> Result<(), InvalidCatalogue> {
    if holds { Ok(()) } else { Err(InvalidCatalogue::Rule(rule())) }
}

#[cfg(test)]
mod tests;
