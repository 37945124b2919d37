use super::Locale;

/// `Hello Ada,`, from a name that somebody typed into a form.
pub(super) fn greeting(locale: Locale, name: &str) -> String {
    let hello = match locale {
        Locale::En => "Hello",
        Locale::De => "Hallo",
    };
    match harmless(name).as_str() {
        "" => format!("{hello},"),
        name => format!("{hello} {name},"),
    }
}

/// What is left of a name that somebody typed into a form, to be put into a mail.
///
/// Mail programs turn what looks like an address into a link, and the name may come from a stranger:
/// what is left of it cannot be one, nor break the line or reverse its direction.
pub fn harmless(name: &str) -> String {
    kept(name, " '’-", 60)
}

/// The same for a line of text, such as a title: punctuation stays that makes no link.
pub fn harmless_line(text: &str) -> String {
    kept(text, " '’-,;!?()&#+%\"", 120)
}

fn kept(text: &str, besides: &str, length: usize) -> String {
    let kept = |c: &char| (c.is_alphanumeric() || besides.contains(*c)) && !is_invisible(*c);
    let text: String = text.chars().filter(kept).take(length).collect();
    text.trim().to_owned()
}

/// The text without anything that ends a line or cannot be seen.
pub(super) fn one_line(text: &str) -> String {
    let visible = |c: char| if is_invisible(c) { ' ' } else { c };
    text.chars().map(visible).collect::<String>().trim().to_owned()
}

/// Control characters, and those that change the direction of text.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::{Locale, greeting, harmless_line};

    #[test]
    fn a_greeting_contains_no_link_and_no_line_break() {
        let greeting = |name: &str| greeting(Locale::En, name);
        assert_eq!(greeting("Ada Lovelace"), "Hello Ada Lovelace,");
        assert_eq!(greeting("Click https://evil.example"), "Hello Click httpsevilexample,");
        assert_eq!(greeting("a\r\nBcc: b@y\u{202E}"), "Hello aBcc by,");
        assert_eq!(greeting("<img>"), "Hello img,");
        assert_eq!(greeting(&"é".repeat(10_000)), format!("Hello {},", "é".repeat(60)));
        assert_eq!(greeting("\u{202E}"), "Hello,");
    }

    #[test]
    fn a_title_keeps_its_punctuation_and_loses_its_links() {
        assert_eq!(harmless_line("Poster (draft 2), final!"), "Poster (draft 2), final!");
        assert_eq!(
            harmless_line("see https://evil.example\r\nBcc: x@y"),
            "see httpsevilexampleBcc xy"
        );
        assert_eq!(harmless_line("<script>alert('x')</script>"), "scriptalert('x')script");
    }
}
