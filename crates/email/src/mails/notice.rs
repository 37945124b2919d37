use askama::Template as _;

use crate::{Brand, Template};

/// To somebody who should know that something has happened.
#[derive(Clone, Copy, Debug)]
pub struct Notice<'a> {
    /// Whom to greet.
    pub name: &'a str,
    /// What has happened, in one line.
    pub subject: &'a str,
    /// What there is to know about it.
    pub paragraphs: &'a [String],
}

#[derive(askama::Template)]
#[template(path = "notice.html")]
struct Html<'a> {
    brand: &'a Brand,
    mail: &'a Notice<'a>,
}

#[derive(askama::Template)]
#[template(path = "notice.txt")]
struct Text<'a> {
    brand: &'a Brand,
    mail: &'a Notice<'a>,
}

impl Template for Notice<'_> {
    const NAME: &'static str = "notice";

    fn subject(&self, _: &Brand) -> String {
        self.subject.to_owned()
    }

    fn html(&self, brand: &Brand) -> askama::Result<String> {
        Html { brand, mail: self }.render()
    }

    fn text(&self, brand: &Brand) -> askama::Result<String> {
        Text { brand, mail: self }.render()
    }
}
