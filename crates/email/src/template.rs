use url::Url;

/// How the product appears in mails.
#[derive(Clone, Debug)]
pub struct Brand {
    /// Its name.
    pub product: String,
    /// Where it lives.
    pub app_url: Url,
}

/// A kind of mail. A struct of what it says, with one askama template for HTML and one for text.
pub trait Template {
    /// Names the kind in the outbox.
    const NAME: &'static str;

    /// The subject line.
    fn subject(&self, brand: &Brand) -> String;

    /// The body as HTML.
    fn html(&self, brand: &Brand) -> askama::Result<String>;

    /// The same as plain text.
    fn text(&self, brand: &Brand) -> askama::Result<String>;
}

/// A mail ready to be sent.
pub(crate) struct Content {
    pub(crate) subject: String,
    pub(crate) html: String,
    pub(crate) text: String,
}

pub(crate) fn render(template: &impl Template, brand: &Brand) -> askama::Result<Content> {
    let printable = |c: &char| !is_invisible(*c);
    Ok(Content {
        subject: template.subject(brand).chars().filter(printable).take(120).collect(),
        html: template.html(brand)?,
        text: template.text(brand)?,
    })
}

/// `Hello Ada,`, from a name that somebody typed into a form.
pub fn greeting(name: &str) -> String {
    match harmless(name).as_str() {
        "" => "Hello,".to_owned(),
        name => format!("Hello {name},"),
    }
}

/// What is left of a name that somebody typed into a form, to be put into a mail.
///
/// Mail programs turn what looks like an address into a link, and the name may come from a stranger:
/// what is left of it cannot be one, nor break the line or reverse its direction.
pub fn harmless(name: &str) -> String {
    let kept = |c: &char| (c.is_alphanumeric() || " '’-".contains(*c)) && !is_invisible(*c);
    let name: String = name.chars().filter(kept).take(60).collect();
    name.trim().to_owned()
}

/// Control characters, and those that change the direction of text.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::greeting;

    #[test]
    fn a_greeting_contains_no_link_and_no_line_break() {
        assert_eq!(greeting("Ada Lovelace"), "Hello Ada Lovelace,");
        assert_eq!(greeting("Click https://evil.example"), "Hello Click httpsevilexample,");
        assert_eq!(greeting("a\r\nBcc: b@y\u{202E}"), "Hello aBcc by,");
        assert_eq!(greeting("<img>"), "Hello img,");
        assert_eq!(greeting(&"é".repeat(10_000)), format!("Hello {},", "é".repeat(60)));
        assert_eq!(greeting("\u{202E}"), "Hello,");
    }
}
