use lettre::{
    Message,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
};

use super::Outgoing;

impl Outgoing<'_> {
    /// The mail as it goes over the wire.
    ///
    /// Its Message-ID never changes, so that a mail program shows a mail sent twice only once.
    pub(super) fn message(&self) -> anyhow::Result<Message> {
        let id = format!("<{}@{}>", self.id, self.from.email.domain());
        let bodies = MultiPart::alternative_plain_html(self.text.to_owned(), self.html.to_owned());
        let mut message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, self.to.parse()?))
            .subject(self.subject)
            .message_id(Some(id))
            .date(self.created_at.into());
        for (name, value) in self.headers() {
            let name = HeaderName::new_from_ascii_str(name);
            message = message.raw_header(HeaderValue::new(name, value));
        }
        Ok(message.multipart(bodies)?)
    }
}
