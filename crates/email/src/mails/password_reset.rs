use askama::Template as _;
use url::Url;

use crate::{Brand, Template};

/// To somebody who asked to choose a new password.
#[derive(Clone, Copy, Debug)]
pub struct PasswordReset<'a> {
    /// Whom to greet.
    pub name: &'a str,
    /// Where the password is chosen.
    pub link: &'a Url,
    /// How long the link works.
    pub minutes: i64,
}

#[derive(askama::Template)]
#[template(path = "password_reset.html")]
struct Html<'a> {
    brand: &'a Brand,
    mail: &'a PasswordReset<'a>,
}

#[derive(askama::Template)]
#[template(path = "password_reset.txt")]
struct Text<'a> {
    brand: &'a Brand,
    mail: &'a PasswordReset<'a>,
}

impl Template for PasswordReset<'_> {
    const NAME: &'static str = "password_reset";

    fn subject(&self, brand: &Brand) -> String {
        format!("Choose a new password for {}", brand.product)
    }

    fn html(&self, brand: &Brand) -> askama::Result<String> {
        Html { brand, mail: self }.render()
    }

    fn text(&self, brand: &Brand) -> askama::Result<String> {
        Text { brand, mail: self }.render()
    }
}
