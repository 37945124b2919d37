//! Invoices, what stands on them, and the portal.

use miniserde::Deserialize;
use stripe_billing::{
    billing_portal_session::CreateBillingPortalSession,
    invoice::{ListInvoice, RetrieveInvoice},
    tax_id::{CreateCustomerTaxId, CreateCustomerTaxIdType, DeleteCustomerTaxId},
};
use stripe_core::customer::{
    OptionalFieldsCustomerAddress, RetrieveCustomer, UpdateCustomer, UpdateCustomerInvoiceSettings,
};
use uuid::Uuid;

use super::{Failure, Stripe};
use crate::account::{Address, Details, TaxId};

/// An invoice, as it is shown.
#[derive(Debug, Deserialize)]
pub(crate) struct ShownInvoice {
    /// `in_…`.
    pub(crate) id: String,
    /// Whose: `cus_…`.
    pub(crate) customer: Option<String>,
    /// The number on it, once it is final.
    pub(crate) number: Option<String>,
    /// `draft`, `open`, `paid`, `uncollectible` or `void`.
    pub(crate) status: Option<String>,
    /// What it comes to.
    pub(crate) total: i64,
    /// What was paid.
    pub(crate) amount_paid: i64,
    /// What is owed.
    pub(crate) amount_remaining: i64,
    /// In small letters.
    pub(crate) currency: String,
    /// In seconds since 1970.
    pub(crate) created: i64,
    /// Its page.
    pub(crate) hosted_invoice_url: Option<String>,
    /// Its PDF.
    pub(crate) invoice_pdf: Option<String>,
}

/// A page of invoices.
#[derive(Debug, Deserialize)]
pub(crate) struct ShownInvoices {
    /// The newest first.
    pub(crate) data: Vec<ShownInvoice>,
    /// Whether there are more.
    pub(crate) has_more: bool,
}

/// A customer, as invoices show it.
#[derive(Debug, Deserialize)]
pub(crate) struct CustomerDetails {
    name: Option<String>,
    email: Option<String>,
    address: Option<StripeAddress>,
    invoice_prefix: Option<String>,
    invoice_settings: Option<InvoiceSettings>,
    tax_ids: Option<TaxIds>,
}

#[derive(Debug, Deserialize)]
struct StripeAddress {
    line1: Option<String>,
    line2: Option<String>,
    city: Option<String>,
    state: Option<String>,
    postal_code: Option<String>,
    country: Option<String>,
}

#[derive(Debug, Deserialize)]
struct InvoiceSettings {
    footer: Option<String>,
}

#[derive(Debug, Deserialize)]
struct TaxIds {
    data: Vec<StripeTaxId>,
}

#[derive(Debug, Deserialize)]
struct StripeTaxId {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    value: String,
}

#[derive(Debug, Deserialize)]
struct PortalSession {
    url: String,
}

/// Something that is no more, or whose fields do not matter.
#[derive(Debug, Deserialize)]
struct Anything {}

impl CustomerDetails {
    /// Its tax ids, with Stripe's names for them.
    pub(crate) fn tax_ids(&self) -> Vec<(String, TaxId)> {
        let data = self.tax_ids.iter().flat_map(|ids| &ids.data);
        data.map(|it| (it.id.clone(), TaxId { kind: it.kind.clone(), value: it.value.clone() }))
            .collect()
    }

    /// The same in our words.
    pub(crate) fn into_details(self) -> Details {
        let tax_ids = self.tax_ids().into_iter().map(|(_, tax_id)| tax_id).collect();
        let address = self.address.map(|it| Address {
            line1: it.line1,
            line2: it.line2,
            city: it.city,
            state: it.state,
            postal_code: it.postal_code,
            country: it.country,
        });
        Details {
            name: self.name,
            email: self.email,
            address,
            tax_ids,
            invoice_footer: self.invoice_settings.and_then(|settings| settings.footer),
            invoice_prefix: self.invoice_prefix,
        }
    }
}

impl Stripe {
    /// The portal's page for a customer.
    pub(crate) async fn portal_session(
        &self,
        customer: &str,
        back: &str,
        key: Uuid,
    ) -> Result<String, Failure> {
        let request = CreateBillingPortalSession::new().customer(customer).return_url(back);
        let session: PortalSession = self.send(&request, Some(key.to_string())).await?;
        Ok(session.url)
    }

    /// A customer's invoices after the one named.
    pub(crate) async fn invoices(
        &self,
        customer: &str,
        limit: i64,
        after: Option<&str>,
    ) -> Result<ShownInvoices, Failure> {
        let mut request = ListInvoice::new().customer(customer).limit(limit);
        if let Some(after) = after {
            request = request.starting_after(after);
        }
        self.send(&request, None).await
    }

    /// An invoice.
    pub(crate) async fn invoice(&self, id: &str) -> Result<ShownInvoice, Failure> {
        self.send(&RetrieveInvoice::new(id), None).await
    }

    /// A customer, as invoices show it.
    pub(crate) async fn customer_details(&self, id: &str) -> Result<CustomerDetails, Failure> {
        self.send(&RetrieveCustomer::new(id).expand(["tax_ids".to_owned()]), None).await
    }

    /// Changes all of that but the tax ids, which are objects of their own.
    pub(crate) async fn set_customer_details(
        &self,
        id: &str,
        details: &Details,
    ) -> Result<CustomerDetails, Failure> {
        // An empty text takes away what was there.
        let text = |text: &Option<String>| Some(text.clone().unwrap_or_default());
        let address = details.address.clone().unwrap_or_default();
        let mut settings = UpdateCustomerInvoiceSettings::new();
        settings.footer = text(&details.invoice_footer);
        let mut to = OptionalFieldsCustomerAddress::new();
        to.line1 = text(&address.line1);
        to.line2 = text(&address.line2);
        to.city = text(&address.city);
        to.state = text(&address.state);
        to.postal_code = text(&address.postal_code);
        to.country = text(&address.country);
        let mut request = UpdateCustomer::new(id)
            .name(details.name.as_deref().unwrap_or_default())
            .email(details.email.as_deref().unwrap_or_default())
            .address(to)
            .invoice_settings(settings)
            .expand(["tax_ids".to_owned()]);
        if let Some(prefix) = &details.invoice_prefix {
            request = request.invoice_prefix(prefix.as_str());
        }
        self.send(&request, None).await
    }

    /// Gives a customer a tax id.
    pub(crate) async fn create_tax_id(
        &self,
        customer: &str,
        tax_id: &TaxId,
        key: Uuid,
    ) -> Result<(), Failure> {
        let kind = CreateCustomerTaxIdType::Unknown(tax_id.kind.clone());
        let request = CreateCustomerTaxId::new(customer, kind, tax_id.value.as_str());
        let _: Anything = self.send(&request, Some(key.to_string())).await?;
        Ok(())
    }

    /// Takes a tax id from a customer.
    pub(crate) async fn delete_tax_id(&self, customer: &str, id: &str) -> Result<(), Failure> {
        let _: Anything = self.send(&DeleteCustomerTaxId::new(customer, id), None).await?;
        Ok(())
    }
}
