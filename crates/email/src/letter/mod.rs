//! What a mail says, apart from how it looks: a template writes a letter, one frame shows all letters.

mod frame;
mod locale;
mod template;
mod text;

pub(crate) use frame::{Content, Footer, render};
pub use locale::Locale;
pub use template::{Brand, Template};
pub use text::{harmless, harmless_line};

use text::{greeting, one_line};
use url::Url;

/// A subject and what follows, block by block. What is put into one never breaks a line, a header or
/// the page: line breaks and invisible characters become spaces, and HTML is escaped by the frame.
#[derive(Clone, Debug)]
pub struct Letter {
    pub(crate) locale: Locale,
    pub(crate) subject: String,
    pub(crate) blocks: Vec<Block>,
}

/// A part of a letter.
#[derive(Clone, Debug)]
pub(crate) enum Block {
    Text(String),
    Button { label: String, link: String },
    Figures(Vec<(String, String)>),
    Small(String),
}

impl Letter {
    /// Begins one with its subject line.
    pub fn new(locale: Locale, subject: impl AsRef<str>) -> Self {
        let subject = one_line(subject.as_ref()).chars().take(120).collect();
        Self { locale, subject, blocks: Vec::new() }
    }

    /// Greets somebody, by a name that they typed into a form.
    #[must_use]
    pub fn greet(self, name: &str) -> Self {
        let greeting = greeting(self.locale, name);
        self.say(greeting)
    }

    /// A paragraph.
    #[must_use]
    pub fn say(mut self, text: impl AsRef<str>) -> Self {
        self.blocks.push(Block::Text(one_line(text.as_ref())));
        self
    }

    /// What can be done, and where.
    #[must_use]
    pub fn button(mut self, label: impl AsRef<str>, link: &Url) -> Self {
        let label = one_line(label.as_ref());
        self.blocks.push(Block::Button { label, link: link.to_string() });
        self
    }

    /// Figures under their names.
    #[must_use]
    pub fn figures(mut self, figures: impl IntoIterator<Item = (String, String)>) -> Self {
        let clean = |(name, figure): (String, String)| (one_line(&name), one_line(&figure));
        self.blocks.push(Block::Figures(figures.into_iter().map(clean).collect()));
        self
    }

    /// What one should know besides, in small print.
    #[must_use]
    pub fn note(mut self, text: impl AsRef<str>) -> Self {
        self.blocks.push(Block::Small(one_line(text.as_ref())));
        self
    }
}
