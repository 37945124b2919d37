use lettre::{
    Message,
    message::{
        dkim::{
            DkimCanonicalization, DkimCanonicalizationType, DkimConfig, DkimSigningAlgorithm,
            DkimSigningKey,
        },
        header::HeaderName,
    },
};

/// What is signed. `List-Unsubscribe` must be, for one-click unsubscribing to be believed (RFC 8058).
/// `Content-Type` cannot be: the library does not count it among a message's headers.
const SIGNED: [&str; 8] = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
];

/// Signs mails as coming from a domain (RFC 6376), for SMTP servers that do not do so themselves.
pub(crate) struct Dkim {
    selector: String,
    domain: String,
    key: DkimConfig,
}

impl Dkim {
    /// `key` is an RSA key as PEM (`BEGIN RSA PRIVATE KEY`), or the 32 bytes of an Ed25519 key in base 64.
    pub(crate) fn new(selector: &str, domain: &str, key: &str) -> anyhow::Result<Self> {
        let (key, rsa) = (key.trim(), key.contains("BEGIN"));
        let algorithm = if rsa { DkimSigningAlgorithm::Rsa } else { DkimSigningAlgorithm::Ed25519 };
        // The error might quote the key.
        let key = DkimSigningKey::new(key, algorithm).map_err(|_| {
            anyhow::anyhow!(
                "is neither an RSA key (BEGIN RSA PRIVATE KEY) nor an Ed25519 key (32 bytes in base 64)"
            )
        })?;
        let relaxed = DkimCanonicalization {
            header: DkimCanonicalizationType::Relaxed,
            body: DkimCanonicalizationType::Relaxed,
        };
        let headers = SIGNED.map(HeaderName::new_from_ascii_str).to_vec();
        let (selector, domain) = (selector.to_owned(), domain.to_owned());
        let key = DkimConfig::new(selector.clone(), domain.clone(), key, headers, relaxed);
        Ok(Self { selector, domain, key })
    }

    pub(super) fn sign(&self, message: &mut Message) {
        tracing::trace!(selector = self.selector, domain = self.domain, "a mail is signed");
        message.sign(&self.key);
    }
}
