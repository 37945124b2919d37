use crate::{Brand, Category, Letter, Locale, Template};

/// To those who pay, for a payment that has arrived.
#[derive(Clone, Copy, Debug)]
pub struct ReceiptPaid<'a> {
    /// Whom to greet.
    pub name: &'a str,
    /// What was paid, such as `USD 49.00`.
    pub amount: &'a str,
    /// For what.
    pub what: &'a str,
    /// What Stripe calls the payment.
    pub reference: &'a str,
}

impl Template for ReceiptPaid<'_> {
    const NAME: &'static str = "receipt_paid";
    const CATEGORY: Category = Category::Account;

    fn letter(&self, brand: &Brand, _: Locale) -> Letter {
        Letter::new(Locale::En, format!("Receipt from {}", brand.product))
            .greet(self.name)
            .say("thank you. Your payment has arrived:")
            .figures([
                ("Amount".to_owned(), self.amount.to_owned()),
                ("For".to_owned(), self.what.to_owned()),
                ("Reference".to_owned(), self.reference.to_owned()),
            ])
    }
}
