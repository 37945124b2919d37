use url::Url;

use crate::{Brand, Category, Letter, Locale, Template, harmless};

/// To whoever asked for work in the background that has ended.
#[derive(Clone, Copy, Debug)]
pub struct RenderComplete<'a> {
    /// Whom to greet.
    pub name: &'a str,
    /// What was done, such as `image`.
    pub operation: &'a str,
    /// Whether there is an answer.
    pub succeeded: bool,
    /// Where the answer is.
    pub link: &'a Url,
}

impl Template for RenderComplete<'_> {
    const NAME: &'static str = "render_complete";
    const CATEGORY: Category = Category::Renders;

    fn letter(&self, _: &Brand, _: Locale) -> Letter {
        let operation = harmless(self.operation);
        let (subject, text) = if self.succeeded {
            let text = "the work that you had done in the background has ended. The answer is kept \
                        for a day:";
            (format!("Your {operation} is ready"), text)
        } else {
            let text = "the work that you had done in the background failed, and nothing was \
                        charged for it. What went wrong is kept for a day:";
            (format!("Your {operation} failed"), text)
        };
        Letter::new(Locale::En, subject).greet(self.name).say(text).button("See it", self.link)
    }
}
