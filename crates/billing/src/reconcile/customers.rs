use chrono::{DateTime, Utc};
use kernel::{Id, Org};

use super::{Finding, Report};
use crate::{Billing, Result, customer::Customer, stripe::Stripe};

impl Billing {
    /// No customer at Stripe was made for an org of ours and then forgotten, because the answer was lost and
    /// nobody asked again while Stripe remembered the question.
    pub(super) async fn compare_customers(
        &self,
        stripe: &Stripe,
        since: DateTime<Utc>,
        report: &mut Report,
    ) -> Result<()> {
        let customers = stripe.customers_since(since).await?;
        report.count("customers", customers.len());
        for theirs in customers {
            let Some(org) = theirs.org().filter(|_| !theirs.is_deleted()) else { continue };
            let known = Customer::of(self.db.pool(), org).await?;
            if known.as_ref().is_some_and(|it| it.id == theirs.id) || !self.is_ours(org).await? {
                continue;
            }
            let mut repaired = true;
            let detail = match known {
                None => {
                    let mut db = self.db.pool().acquire().await?;
                    Customer::note(&mut db, org, &theirs.id, self.clock.now()).await?;
                    "is who the org is there".to_owned()
                }
                // We told its name to nobody, but somebody at Stripe's dashboard may have used it.
                Some(known) if stripe.has_bought(&theirs.id).await? => {
                    repaired = false;
                    format!("was made beside {}, and has bought: move it by hand", known.id)
                }
                Some(known) => {
                    stripe.delete_customer(&theirs.id).await?;
                    format!("was made beside {}, and is deleted", known.id)
                }
            };
            let (kind, object) = ("customer_forgotten".to_owned(), theirs.id);
            report.found(Finding { kind, object, org_id: Some(org), detail, repaired });
        }
        Ok(())
    }

    async fn is_ours(&self, org: Id<Org>) -> sqlx::Result<bool> {
        let known = sqlx::query_scalar!(
            r#"select exists (select from orgs where id = $1) as "known!""#,
            org as _
        );
        known.fetch_one(self.db.pool()).await
    }
}
