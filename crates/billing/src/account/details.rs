use kernel::{EmailAddress, Id, Org};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;
use web::Problem;

use crate::{
    Billing, Error,
    stripe::{self, Failure},
};

/// What stands on an org's invoices. It is kept at Stripe, not here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = BillingDetails)]
pub(crate) struct Details {
    /// The company's name.
    #[schema(max_length = 150)]
    pub(crate) name: Option<String>,
    /// Where Stripe sends invoices and receipts.
    #[schema(max_length = 254)]
    pub(crate) email: Option<String>,
    /// Where the company is; taxes depend on it.
    pub(crate) address: Option<Address>,
    /// Its numbers with tax authorities.
    #[schema(max_items = 5)]
    pub(crate) tax_ids: Vec<TaxId>,
    /// Text at the foot of each invoice.
    #[schema(max_length = 500)]
    pub(crate) invoice_footer: Option<String>,
    /// What invoice numbers begin with: 3 to 12 capital letters or digits. Absent: Stripe chooses.
    #[schema(pattern = "^[A-Z0-9]{3,12}$")]
    pub(crate) invoice_prefix: Option<String>,
}

/// A postal address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = BillingAddress)]
pub(crate) struct Address {
    /// Street and number.
    #[schema(max_length = 200)]
    pub(crate) line1: Option<String>,
    /// More of that.
    #[schema(max_length = 200)]
    pub(crate) line2: Option<String>,
    /// City.
    #[schema(max_length = 100)]
    pub(crate) city: Option<String>,
    /// State or province.
    #[schema(max_length = 100)]
    pub(crate) state: Option<String>,
    /// Postal code.
    #[schema(max_length = 20)]
    pub(crate) postal_code: Option<String>,
    /// ISO 3166, two capital letters.
    #[schema(example = "DE", pattern = "^[A-Z]{2}$")]
    pub(crate) country: Option<String>,
}

/// A number with a tax authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BillingTaxId)]
pub(crate) struct TaxId {
    /// Stripe's word for the kind.
    #[serde(rename = "type")]
    #[schema(example = "eu_vat", max_length = 30)]
    pub(crate) kind: String,
    /// The number.
    #[schema(example = "DE123456789", max_length = 50)]
    pub(crate) value: String,
}

impl Details {
    fn check(&self) -> Result<(), Problem> {
        let long = |text: &Option<String>, most: usize| {
            text.as_ref().is_some_and(|text| text.chars().count() > most)
        };
        let address = self.address.clone().unwrap_or_default();
        let country = address.country.as_deref().unwrap_or("XX");
        let prefix = self.invoice_prefix.as_deref().unwrap_or("ABC");
        let capital =
            |text: &str| text.bytes().all(|it| it.is_ascii_uppercase() || it.is_ascii_digit());
        let email = self.email.as_deref().is_none_or(|it| it.parse::<EmailAddress>().is_ok());
        let tax_ids = self
            .tax_ids
            .iter()
            .all(|it| (1..=30).contains(&it.kind.len()) && (1..=50).contains(&it.value.len()));
        for (wrong, pointer, detail) in [
            (long(&self.name, 150), "/name", "must have at most 150 characters"),
            (!email, "/email", "must be an e-mail address"),
            (
                long(&self.invoice_footer, 500),
                "/invoice_footer",
                "must have at most 500 characters",
            ),
            (
                !((3..=12).contains(&prefix.len()) && capital(prefix)),
                "/invoice_prefix",
                "must have 3 to 12 capital letters or digits",
            ),
            (
                country.len() != 2 || !capital(country),
                "/address/country",
                "must be two capital letters",
            ),
            (long(&address.line1, 200), "/address/line1", "must have at most 200 characters"),
            (long(&address.line2, 200), "/address/line2", "must have at most 200 characters"),
            (long(&address.city, 100), "/address/city", "must have at most 100 characters"),
            (long(&address.state, 100), "/address/state", "must have at most 100 characters"),
            (
                long(&address.postal_code, 20),
                "/address/postal_code",
                "must have at most 20 characters",
            ),
            (self.tax_ids.len() > 5, "/tax_ids", "must be at most five"),
            (!tax_ids, "/tax_ids", "must have a type and a value"),
        ] {
            if wrong {
                return Err(Problem::invalid_field(pointer, detail));
            }
        }
        Ok(())
    }
}

impl Billing {
    /// What stands on the org's invoices.
    pub(super) async fn details(&self, org: Id<Org>) -> web::Result<Details> {
        let stripe = self.stripe()?;
        let Some(customer) = self.known_customer(org).await? else {
            return Ok(Details::default());
        };
        let customer = stripe.customer_details(&customer).await.map_err(Error::from)?;
        Ok(customer.into_details())
    }

    /// Replaces what stands on the org's invoices from now on.
    pub(super) async fn set_details(
        &self,
        org: Id<Org>,
        details: &Details,
    ) -> web::Result<Details> {
        details.check()?;
        let stripe = self.stripe()?;
        let id = self.customer(stripe, org).await?;
        let done = async {
            let customer = stripe.set_customer_details(&id, details).await?;
            let known = customer.tax_ids();
            for (tax_id, is) in &known {
                if !details.tax_ids.contains(is) {
                    stripe.delete_tax_id(&id, tax_id).await?;
                }
            }
            for tax_id in &details.tax_ids {
                if !known.iter().any(|(_, is)| is == tax_id) {
                    stripe.create_tax_id(&id, tax_id, Uuid::now_v7()).await?;
                }
            }
            stripe.customer_details(&id).await
        };
        let customer: stripe::CustomerDetails = done.await.map_err(|failure| match failure {
            Failure::Refused { status: 400, reason } => Error::DetailsRefused { reason },
            failure => failure.into(),
        })?;
        Ok(customer.into_details())
    }
}
