use super::target::Target;
use crate::{
    Billing, Catalogue, ChangeRefused, Error, Result,
    catalogue::{Listing, OVERAGE},
    price::Price,
    stripe::{self, ItemChange, Stripe},
};

impl Billing {
    /// What to say of each item of `theirs`, so that it becomes `target`.
    pub(super) async fn item_changes(
        &self,
        stripe: &Stripe,
        theirs: &stripe::Subscription,
        target: &Target<'_>,
    ) -> Result<Vec<ItemChange>> {
        let (mut plan, mut seats, mut overage) = (None, None, None);
        for item in &theirs.items.data {
            let price = Price::find(self.db.pool(), &item.price.id).await?;
            match price {
                Some(price) if price.is_seat() => seats = Some(item.id.clone()),
                Some(price) if price.item == OVERAGE => {
                    overage = Some((item.id.clone(), price.id));
                }
                _ => plan = Some(item.id.clone()),
            }
        }
        let plan = plan.ok_or_else(|| Error::Incomprehensible(theirs.id.clone()))?;
        let currency = target.currency;
        let listing = Listing::plan(target.plan, target.interval, currency);
        let price = self.price_of(stripe, &listing).await?;
        let mut changes = vec![ItemChange::set(Some(plan), price, 1)];
        if target.extra_seats > 0 {
            let price = Listing::seat(target.plan, target.interval, currency);
            let price = self.price_of(stripe, &price).await?;
            changes.push(ItemChange::set(seats, price, target.extra_seats));
        } else if let Some(seats) = seats {
            changes.push(ItemChange::remove(seats));
        }
        changes.extend(overage.map(|(id, price)| match target.overage() {
            0 => ItemChange::remove(id),
            _ => ItemChange::metered(id, price),
        }));
        Ok(changes)
    }

    /// Has Stripe bill the overage of a subscription, if it does not.
    pub(super) async fn bill_overage(
        &self,
        stripe: &Stripe,
        theirs: &stripe::Subscription,
        catalogue: &Catalogue,
        key: &str,
    ) -> Result<()> {
        for item in &theirs.items.data {
            let price = Price::find(self.db.pool(), &item.price.id).await?;
            if price.is_some_and(|price| price.item == OVERAGE) {
                return Ok(());
            }
        }
        if theirs.schedule.is_some() {
            // Its next phase says what the subscription is for then.
            let way_on = "Take back what is planned first, with cancel_at_period_end: false.";
            return Err(ChangeRefused::NotChangeable { way_on }.into());
        }
        let price = self.price_of(stripe, &Listing::overage(catalogue)).await?;
        Ok(stripe.add_overage(&theirs.id, &price, key).await?)
    }
}
