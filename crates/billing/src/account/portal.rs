use kernel::{Id, Org};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Billing, Result};

/// Stripe's page on which an org changes its card and looks at its invoices.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PortalSession {
    /// Where to send the browser, soon: it opens for a few minutes.
    url: String,
}

impl Billing {
    /// Opens the portal for an org, which becomes a customer if it is none yet.
    pub(super) async fn portal(&self, org: Id<Org>) -> Result<PortalSession> {
        let stripe = self.stripe()?;
        let customer = self.customer(stripe, org).await?;
        let app_url = self.terms.app_url.as_str().trim_end_matches('/');
        let back = format!("{app_url}/billing/return");
        let url = stripe.portal_session(&customer, &back, Uuid::now_v7()).await?;
        Ok(PortalSession { url })
    }
}
