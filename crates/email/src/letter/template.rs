use url::Url;

use super::{Letter, Locale};
use crate::Category;

/// How the product appears in mails.
#[derive(Clone, Debug)]
pub struct Brand {
    /// Its name.
    pub product: String,
    /// Where it lives.
    pub app_url: Url,
}

/// A kind of mail: a struct of what it tells, which writes the letter.
pub trait Template {
    /// Names the kind in the outbox.
    const NAME: &'static str;

    /// Whether people can do without it, and when it is sent.
    const CATEGORY: Category;

    /// Whether a link in it lets somebody in, or decides for them. It is erased when the mail is given up.
    const LETS_IN: bool = matches!(Self::CATEGORY, Category::Security);

    /// What it says.
    fn letter(&self, brand: &Brand, locale: Locale) -> Letter;
}
