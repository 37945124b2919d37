use crate::{Brand, Category, Letter, Locale, Template};

/// To everybody, from those who run the product.
#[derive(Clone, Copy, Debug)]
pub struct Announcement<'a> {
    /// Whom to greet.
    pub name: &'a str,
    /// In a few words.
    pub title: &'a str,
    /// All of it; each line is a paragraph.
    pub text: &'a str,
}

impl Template for Announcement<'_> {
    const NAME: &'static str = "announcement";
    const CATEGORY: Category = Category::News;

    fn letter(&self, _: &Brand, _: Locale) -> Letter {
        let letter = Letter::new(Locale::En, self.title).greet(self.name);
        self.text.lines().filter(|line| !line.trim().is_empty()).fold(letter, Letter::say)
    }
}
