use askama::Template as _;

use crate::{Brand, Template};

/// To somebody whose address has just been confirmed.
#[derive(Clone, Copy, Debug)]
pub struct Welcome<'a> {
    /// Whom to greet.
    pub name: &'a str,
}

#[derive(askama::Template)]
#[template(path = "welcome.html")]
struct Html<'a> {
    brand: &'a Brand,
    mail: &'a Welcome<'a>,
}

#[derive(askama::Template)]
#[template(path = "welcome.txt")]
struct Text<'a> {
    brand: &'a Brand,
    mail: &'a Welcome<'a>,
}

impl Template for Welcome<'_> {
    const NAME: &'static str = "welcome";

    fn subject(&self, brand: &Brand) -> String {
        format!("Welcome to {}", brand.product)
    }

    fn html(&self, brand: &Brand) -> askama::Result<String> {
        Html { brand, mail: self }.render()
    }

    fn text(&self, brand: &Brand) -> askama::Result<String> {
        Text { brand, mail: self }.render()
    }
}
