use kernel::{Id, Org, User};

use crate::{
    Billing, Checkout, CheckoutStatus, Coupon, CouponRefused, Error, Offer, Result, Subscription,
    catalogue::Listing,
    customer::Customer,
    stripe::{Failure, Stripe},
};

/// How many checkouts may be found in the way before we give up.
const ATTEMPTS: usize = 3;

impl Billing {
    /// Opens a checkout for `item`, or finds the one that is open already.
    ///
    /// Each step is stored before Stripe hears of it, and the ids stored are Stripe's idempotency
    /// keys: whatever fails, asking again continues where it stopped.
    pub(crate) async fn buy(
        &self,
        org: Id<Org>,
        user: Id<User>,
        item: &str,
        code: Option<&str>,
    ) -> Result<Checkout> {
        let stripe = self.stripe()?;
        let unknown = || Error::UnknownItem { item: item.to_owned() };
        let version = self.catalogues.current().await?;
        let offer = version.catalogue.offer(item).ok_or_else(unknown)?;
        let currency = version.catalogue.currency();
        let coupon = match code {
            Some(code) => Some(self.coupon(stripe, code, item, currency).await?),
            None => None,
        };
        let customer = self.customer(stripe, org).await?;
        let mut checkout =
            self.open(stripe, org, user, (&offer, currency), coupon.as_ref()).await?;
        if checkout.url.is_none() {
            let session = stripe.create_session(&checkout, &offer, &customer, &self.terms).await?;
            let id = session.id.clone();
            let mut tx = self.db.tenant(org).await?;
            let noted = checkout.attach(&mut tx, session).await?;
            tx.commit().await?;
            if !noted {
                stripe.expire_session(&id).await?;
                return Err(Error::CheckoutInProgress);
            }
        }
        Ok(checkout)
    }

    /// The coupon with this code, made known at Stripe, unless it plainly does not fit.
    async fn coupon(
        &self,
        stripe: &Stripe,
        code: &str,
        item: &str,
        currency: &str,
    ) -> Result<Coupon> {
        let coupon = Coupon::find(self.db.pool(), code).await?.ok_or(CouponRefused::Unknown)?;
        match coupon.check(Some(item), self.clock.now()) {
            // This org may have taken the last one for this very purchase.
            Ok(()) | Err(CouponRefused::Exhausted) => {}
            Err(refused) => return Err(refused.into()),
        }
        stripe.coupon(&coupon, currency).await?;
        Ok(coupon)
    }

    /// Who the org is at Stripe, made known there first if need be.
    pub(crate) async fn customer(&self, stripe: &Stripe, org: Id<Org>) -> Result<String> {
        let mut tx = self.db.tenant(org).await?;
        let known = Customer::of(&mut *tx, org).await?;
        // Not held while Stripe thinks.
        tx.commit().await?;
        if let Some(customer) = known {
            return Ok(customer.id);
        }
        let id = stripe.create_customer(org).await?;
        let mut tx = self.db.tenant(org).await?;
        Customer::note(&mut tx, org, &id, self.clock.now()).await?;
        let noted = Customer::of(&mut *tx, org).await?;
        tx.commit().await?;
        Ok(noted.map_or(id, |customer| customer.id))
    }

    /// The open checkout of `offer`. One that stands in its way is closed first.
    async fn open(
        &self,
        stripe: &Stripe,
        org: Id<Org>,
        user: Id<User>,
        (offer, currency): (&Offer<'_>, &str),
        coupon: Option<&Coupon>,
    ) -> Result<Checkout> {
        let item = offer.item();
        let price = self.price_of(stripe, &Listing::of(offer, currency)).await?;
        for _ in 0..ATTEMPTS {
            let now = self.clock.now();
            // Coupons belong to nobody's org.
            let mut tx = match coupon {
                Some(_) => self.db.begin().await?,
                None => self.db.tenant(org).await?,
            };
            let mut trial_days = 0;
            if let Offer::Plan(plan, _) = offer {
                match Subscription::of(&mut *tx, org).await? {
                    Some(it) if !it.state(self.grace, now).over => {
                        return Err(Error::AlreadySubscribed);
                    }
                    Some(_) => {}
                    None => trial_days = plan.trial_days,
                }
            }
            let mut checkout = Checkout::new(org, &item, &price, trial_days, now);
            let inserted = checkout.insert(&mut tx, user).await?;
            if let (Some(coupon), true) = (coupon, inserted) {
                let coupon = self.redeem_for(&mut tx, &checkout, user, &coupon.code).await?;
                checkout.discount(&mut tx, coupon.id).await?;
            }
            let other = Checkout::in_the_way(&mut *tx, org, &item).await?;
            tx.commit().await?;
            match other {
                _ if inserted => return Ok(checkout),
                Some(open) if open.serves(&item, coupon.map(|it| it.id), now) => return Ok(open),
                Some(stale) => self.give_up(stripe, &stale).await?,
                None => {} // Closed between the two statements.
            }
        }
        Err(Error::CheckoutInProgress)
    }

    /// Closes a checkout so that nobody can pay for it any more. If somebody has, it is paid.
    async fn give_up(&self, stripe: &Stripe, checkout: &Checkout) -> Result<()> {
        let Some(id) = &checkout.stripe_session_id else {
            // Nobody was ever sent to a page, even if Stripe made one.
            let mut tx = self.db.begin().await?;
            checkout.close(&mut tx, CheckoutStatus::Expired).await?;
            return Ok(tx.commit().await?);
        };
        let session = match stripe.expire_session(id).await {
            Err(Failure::Refused { .. }) => stripe.session(id).await?,
            answer => answer?,
        };
        self.apply_session(stripe, &session).await?;
        Ok(())
    }
}
