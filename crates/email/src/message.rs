use lettre::{
    Message,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
};

use crate::Email;

impl Email {
    /// The mail as it goes over the wire.
    ///
    /// Its Message-ID never changes, so that a mail program shows a mail sent twice only once.
    pub(crate) fn message(&self, from: &Mailbox) -> anyhow::Result<Message> {
        let id = format!("<{}@{}>", self.id, from.email.domain());
        let automatic = HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        );
        let bodies = MultiPart::alternative_plain_html(self.text.clone(), self.html.clone());
        Ok(Message::builder()
            .from(from.clone())
            .to(Mailbox::new(None, self.recipient.as_str().parse()?))
            .subject(&self.subject)
            .message_id(Some(id))
            .date(self.created_at.into())
            .raw_header(automatic)
            .multipart(bodies)?)
    }
}
