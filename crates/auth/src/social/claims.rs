use kernel::EmailAddress;

/// Who a provider says somebody is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claims {
    /// What the provider calls them, for ever.
    pub(super) subject: String,
    /// Their address, if the provider knows that it is theirs. Any other is none to us.
    pub(super) verified_email: Option<EmailAddress>,
    /// What they are called.
    pub(super) name: Option<String>,
}
