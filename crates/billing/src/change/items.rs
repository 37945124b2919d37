use super::target::Target;
use crate::{
    Billing, Error, Result,
    catalogue::Listing,
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
        let (mut plan, mut seats) = (None, None);
        for item in &theirs.items.data {
            let price = Price::find(self.db.pool(), &item.price.id).await?;
            match price {
                Some(price) if price.item.starts_with("seat-") => seats = Some(item.id.clone()),
                _ => plan = Some(item.id.clone()),
            }
        }
        let plan = plan.ok_or_else(|| Error::Incomprehensible(theirs.id.clone()))?;
        let listing = Listing::plan(target.plan, target.interval);
        let price = self.price_of(stripe, &listing).await?;
        let mut changes = vec![ItemChange::set(Some(plan), price, 1)];
        if target.extra_seats > 0 {
            let price = self.price_of(stripe, &Listing::seat(target.plan, target.interval)).await?;
            changes.push(ItemChange::set(seats, price, target.extra_seats));
        } else if let Some(seats) = seats {
            changes.push(ItemChange::remove(seats));
        }
        Ok(changes)
    }
}
