use crate::{Brand, Category, Letter, Locale, Template};

/// To see whether mail arrives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TestMail<'a> {
    /// Who asked for it.
    pub(crate) asked_by: &'a str,
}

impl Template for TestMail<'_> {
    const NAME: &'static str = "test";
    const CATEGORY: Category = Category::Account;

    fn letter(&self, brand: &Brand, _: Locale) -> Letter {
        Letter::new(Locale::En, format!("Mail from {} arrives", brand.product)).greet("").say(
            format!("this was sent to see whether mail arrives, by {}. It did.", self.asked_by),
        )
    }
}
