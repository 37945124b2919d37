use askama::Template as _;
use url::Url;

use crate::{Brand, Template};

/// To an address that somebody gave as theirs.
///
/// It greets nobody: until the address is confirmed, the name may be a stranger's message.
#[derive(Clone, Copy, Debug)]
pub struct VerifyEmail<'a> {
    /// Where the address is confirmed.
    pub link: &'a Url,
    /// How long the link works.
    pub hours: i64,
}

#[derive(askama::Template)]
#[template(path = "verify_email.html")]
struct Html<'a> {
    brand: &'a Brand,
    mail: &'a VerifyEmail<'a>,
}

#[derive(askama::Template)]
#[template(path = "verify_email.txt")]
struct Text<'a> {
    brand: &'a Brand,
    mail: &'a VerifyEmail<'a>,
}

impl Template for VerifyEmail<'_> {
    const NAME: &'static str = "verify_email";

    fn subject(&self, brand: &Brand) -> String {
        format!("Confirm your e-mail address for {}", brand.product)
    }

    fn html(&self, brand: &Brand) -> askama::Result<String> {
        Html { brand, mail: self }.render()
    }

    fn text(&self, brand: &Brand) -> askama::Result<String> {
        Text { brand, mail: self }.render()
    }
}
