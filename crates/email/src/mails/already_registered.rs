use askama::Template as _;

use crate::{Brand, Template};

/// To the owner of an account whose address somebody tried to register again.
#[derive(Clone, Copy, Debug)]
pub struct AlreadyRegistered<'a> {
    /// Whom to greet.
    pub name: &'a str,
}

#[derive(askama::Template)]
#[template(path = "already_registered.html")]
struct Html<'a> {
    brand: &'a Brand,
    mail: &'a AlreadyRegistered<'a>,
}

#[derive(askama::Template)]
#[template(path = "already_registered.txt")]
struct Text<'a> {
    brand: &'a Brand,
    mail: &'a AlreadyRegistered<'a>,
}

impl Template for AlreadyRegistered<'_> {
    const NAME: &'static str = "already_registered";

    fn subject(&self, brand: &Brand) -> String {
        format!("You already have an account at {}", brand.product)
    }

    fn html(&self, brand: &Brand) -> askama::Result<String> {
        Html { brand, mail: self }.render()
    }

    fn text(&self, brand: &Brand) -> askama::Result<String> {
        Text { brand, mail: self }.render()
    }
}
