use askama::Template as _;
use url::Url;

use crate::{Brand, Template};

/// To somebody who can do one thing about what the mail tells.
#[derive(Clone, Copy, Debug)]
pub struct ActionMail<'a> {
    /// Whom to greet.
    pub name: &'a str,
    /// What it is about, in one line.
    pub subject: &'a str,
    /// What there is to know. It goes on after the greeting.
    pub text: &'a str,
    /// What can be done.
    pub button: &'a str,
    /// Where it is done.
    pub link: &'a Url,
    /// How long that works, and what to do if one did not ask for it.
    pub note: &'a str,
}

#[derive(askama::Template)]
#[template(path = "action_mail.html")]
struct Html<'a> {
    brand: &'a Brand,
    mail: &'a ActionMail<'a>,
}

#[derive(askama::Template)]
#[template(path = "action_mail.txt")]
struct Text<'a> {
    brand: &'a Brand,
    mail: &'a ActionMail<'a>,
}

impl Template for ActionMail<'_> {
    const NAME: &'static str = "action";

    fn subject(&self, brand: &Brand) -> String {
        format!("{} · {}", self.subject, brand.product)
    }

    fn html(&self, brand: &Brand) -> askama::Result<String> {
        Html { brand, mail: self }.render()
    }

    fn text(&self, brand: &Brand) -> askama::Result<String> {
        Text { brand, mail: self }.render()
    }
}
