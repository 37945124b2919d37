use askama::Template as _;
use url::Url;

use super::{Block, Brand, Letter, Locale, Template};

/// A mail ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) subject: String,
    pub(crate) html: String,
    pub(crate) text: String,
}

/// What stands below every letter.
struct Words {
    /// Before the link that ends mails of this kind.
    why: &'static str,
    unsubscribe: &'static str,
}

fn words(locale: Locale) -> Words {
    match locale {
        Locale::En => Words {
            why: "You get this because mails of this kind are on in your preferences.",
            unsubscribe: "No more of these",
        },
        Locale::De => Words {
            why: "Sie bekommen dies, weil Mails dieser Art in Ihren Einstellungen an sind.",
            unsubscribe: "Keine mehr davon",
        },
    }
}

/// What stands below a letter besides who sent it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Footer<'a> {
    /// Where mails of this kind are ended, if people can do without them.
    pub(crate) unsubscribe: Option<&'a Url>,
}

#[derive(askama::Template)]
#[template(path = "letter.html")]
struct Html<'a> {
    brand: &'a Brand,
    letter: &'a Letter,
    words: Words,
    unsubscribe: Option<&'a Url>,
}

/// Puts what `template` says into the frame.
pub(crate) fn render(
    template: &impl Template,
    brand: &Brand,
    locale: Locale,
    footer: Footer<'_>,
) -> askama::Result<Content> {
    let letter = template.letter(brand, locale);
    let text = text(&letter, brand, footer);
    let unsubscribe = footer.unsubscribe;
    let html =
        Html { brand, letter: &letter, words: words(letter.locale), unsubscribe }.render()?;
    Ok(Content { subject: letter.subject, html, text })
}

fn text(letter: &Letter, brand: &Brand, footer: Footer<'_>) -> String {
    let mut text = String::new();
    for block in &letter.blocks {
        match block {
            Block::Text(line) | Block::Small(line) => text.push_str(line),
            Block::Button { link, .. } => text.push_str(link),
            Block::Figures(figures) => {
                let lines: Vec<_> =
                    figures.iter().map(|(name, figure)| format!("{name}: {figure}")).collect();
                text.push_str(&lines.join("\n"));
            }
        }
        text.push_str("\n\n");
    }
    text.extend(["-- \n", &brand.product, "\n", brand.app_url.as_str(), "\n"]);
    if let Some(link) = footer.unsubscribe {
        let words = words(letter.locale);
        text.extend(["\n", words.why, "\n", words.unsubscribe, ": ", link.as_str(), "\n"]);
    }
    text
}
