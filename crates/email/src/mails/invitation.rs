use askama::Template as _;
use kernel::EmailAddress;
use url::Url;

use crate::{Brand, Template};

/// To somebody whom members of an org want to have among them.
#[derive(Clone, Copy, Debug)]
pub struct InvitationMail<'a> {
    /// What the org is called.
    pub org: &'a str,
    /// Who asks them.
    pub inviter: &'a EmailAddress,
    /// What they will be there.
    pub role: &'a str,
    /// Where the invitation is accepted.
    pub link: &'a Url,
    /// How long the link works.
    pub days: i64,
}

#[derive(askama::Template)]
#[template(path = "invitation.html")]
struct Html<'a> {
    brand: &'a Brand,
    mail: &'a InvitationMail<'a>,
}

#[derive(askama::Template)]
#[template(path = "invitation.txt")]
struct Text<'a> {
    brand: &'a Brand,
    mail: &'a InvitationMail<'a>,
}

impl Template for InvitationMail<'_> {
    const NAME: &'static str = "invitation";

    fn subject(&self, brand: &Brand) -> String {
        format!("You are invited to {} on {}", crate::harmless(self.org), brand.product)
    }

    fn html(&self, brand: &Brand) -> askama::Result<String> {
        Html { brand, mail: self }.render()
    }

    fn text(&self, brand: &Brand) -> askama::Result<String> {
        Text { brand, mail: self }.render()
    }
}
