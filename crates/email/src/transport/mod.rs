//! The ways a mail leaves: an SMTP server, or Resend's API.

mod dkim;
mod message;
mod resend;
mod smtp;

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use kernel::Id;
use lettre::message::Mailbox;
use url::Url;

use crate::{Category, Email, Mailer, events};

pub(crate) use dkim::Dkim;
pub(crate) use resend::{Resend, TAG};
pub(crate) use smtp::{Authority, Smtp};

/// How mails are handed over.
#[derive(Clone)]
pub(crate) enum Transport {
    Smtp { server: Smtp, dkim: Option<Arc<Dkim>> },
    Resend(Resend),
}

/// A mail on its way, the same at every attempt.
pub(crate) struct Outgoing<'a> {
    id: Id<Email>,
    from: &'a Mailbox,
    to: &'a str,
    category: Category,
    subject: &'a str,
    html: &'a str,
    text: &'a str,
    created_at: DateTime<Utc>,
    unsubscribe: Option<Url>,
    /// Whether SendGrid is to name it in what it tells.
    named: bool,
}

impl<'a> Outgoing<'a> {
    pub(crate) fn new(email: &'a Email, mailer: &'a Mailer) -> Self {
        let optional = email.category.is_optional();
        Self {
            id: email.id,
            from: &mailer.from,
            to: email.recipient.as_str(),
            category: email.category,
            subject: &email.subject,
            html: &email.html,
            text: &email.text,
            created_at: email.created_at,
            unsubscribe: optional.then(|| mailer.unsubscribe_link(email.id)),
            named: mailer.told_with.sendgrid.is_some(),
        }
    }

    /// Headers besides the usual ones. Mail programs offer to unsubscribe by one click (RFC 8058) where
    /// people can do without the mail.
    fn headers(&self) -> Vec<(&'static str, String)> {
        let mut headers = vec![("Auto-Submitted", "auto-generated".to_owned())];
        if self.named {
            headers.push((events::NAMED, events::named(self.id)));
        }
        if let Some(link) = &self.unsubscribe {
            headers.push(("List-Unsubscribe", format!("<{link}>")));
            headers.push(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()));
        }
        headers
    }
}

/// Why a mail was not handed over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// It will never be taken.
    #[error("it is refused for good: {reason}")]
    Permanent {
        reason: String,
        /// Whether that is because nobody lives at the address.
        no_such_address: bool,
    },
    /// It may be taken later, or may even have been taken.
    #[error("{0}")]
    Transient(String),
    /// There are too many for now.
    #[error("the provider is busy for {retry_after:?}")]
    Busy { retry_after: Duration },
}

impl Transport {
    /// As the log calls it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Smtp { .. } => "smtp",
            Self::Resend(_) => "resend",
        }
    }

    /// Hands a mail over. Answers what the provider calls it.
    pub(crate) async fn hand_over(&self, mail: &Outgoing<'_>) -> Result<String, Failure> {
        match self {
            Self::Smtp { server, dkim } => {
                let unusable = |error: anyhow::Error| Failure::Permanent {
                    reason: format!("it is not a mail: {error:#}"),
                    no_such_address: false,
                };
                let mut message = mail.message().map_err(unusable)?;
                if let Some(dkim) = dkim {
                    dkim.sign(&mut message);
                }
                server.send(&message).await
            }
            Self::Resend(resend) => resend.send(mail).await,
        }
    }

    /// Whether the provider would take a mail from us.
    pub(crate) async fn probe(&self) -> Result<(), Failure> {
        match self {
            Self::Smtp { server, .. } => server.probe().await,
            Self::Resend(resend) => resend.probe().await,
        }
    }
}
