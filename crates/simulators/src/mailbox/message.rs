use chrono::{DateTime, Utc};
use mail_parser::{MessageParser, PartType};
use serde::Serialize;

use crate::clock::now;

/// A mail that was delivered.
#[derive(Debug, Clone, Serialize)]
pub struct Message {
    /// Counts up from 1 in the order of delivery.
    pub id: usize,
    /// The address of the `From` header, or else the one of the envelope.
    pub from: String,
    /// The recipients of the envelope.
    pub to: Vec<String>,
    /// The decoded subject.
    pub subject: String,
    /// The text part.
    pub text: Option<String>,
    /// The HTML part.
    pub html: Option<String>,
    /// The web addresses in the text part, in order.
    pub links: Vec<String>,
    /// The headers, undecoded, in order.
    pub headers: Vec<(String, String)>,
    /// The mail as it came over the wire.
    #[serde(skip)]
    pub raw: Vec<u8>,
    /// When it arrived, to the second.
    pub received_at: DateTime<Utc>,
}

impl Message {
    pub(super) fn parse(id: usize, envelope_from: &str, to: Vec<String>, raw: &[u8]) -> Self {
        let as_it_came = raw.to_owned();
        // The last server on a mail's way adds this (RFC 5321, 4.4); it also means that even a mail
        // without a header of its own has one, and a mail with a header always parses.
        let raw = [format!("Return-Path: <{envelope_from}>\r\n").as_bytes(), raw].concat();
        let mail = MessageParser::default().parse(&raw).expect("the mail has a header");
        let from = mail.from().and_then(|from| from.first()).and_then(|from| from.address());
        let text = mail.text_bodies().find_map(|part| match &part.body {
            PartType::Text(text) => Some(text.to_string()),
            _ => None,
        });
        let html = mail.html_bodies().find_map(|part| match &part.body {
            PartType::Html(html) => Some(html.to_string()),
            _ => None,
        });
        let headers = mail.headers_raw().map(|(name, value)| (name.into(), value.trim().into()));
        Self {
            id,
            from: from.unwrap_or(envelope_from).to_owned(),
            to,
            subject: mail.subject().unwrap_or_default().to_owned(),
            links: text.as_deref().map(links).unwrap_or_default(),
            text,
            html,
            headers: headers.collect(),
            raw: as_it_came,
            received_at: DateTime::from_timestamp(now(), 0).unwrap_or_default(),
        }
    }

    /// Whether `address` is among the recipients.
    pub fn is_to(&self, address: &str) -> bool {
        self.to.iter().any(|to| to.eq_ignore_ascii_case(address))
    }

    /// The undecoded value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        header.map(|(_, value)| value.as_str())
    }
}

fn links(text: &str) -> Vec<String> {
    let ends = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"');
    text.split(ends)
        .filter_map(|word| {
            let start = word.find("https://").or_else(|| word.find("http://"))?;
            Some(word[start..].trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '\'']))
        })
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Message, links};

    #[test]
    fn whatever_comes_is_kept() {
        for raw in
            ["", "\r\n", "hi\r\n", "\r\nhi\r\n", "Subject\r\n\r\n", ": x\r\n", "\u{0}\r\n\r\n"]
        {
            let message = Message::parse(1, "a@b.test", vec![], raw.as_bytes());
            assert_eq!(message.from, "a@b.test");
            assert_eq!(message.header("return-path"), Some("<a@b.test>"));
        }
        let torn =
            b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: text/html";
        assert_eq!(Message::parse(1, "", vec![], torn).text, None);
    }

    #[test]
    fn links_lose_the_punctuation_around_them_and_keep_their_order() {
        let text =
            "Confirm (https://a.test/x?t=1&u=2). Or <http://b.test/y>, or\nhttps://c.test/#z!";
        assert_eq!(
            links(text),
            ["https://a.test/x?t=1&u=2", "http://b.test/y", "https://c.test/#z"]
        );
    }

    #[test]
    fn other_schemes_are_no_links() {
        assert!(links("javascript:alert(1) mailto:a@b.test ftp://c.test").is_empty());
    }
}
