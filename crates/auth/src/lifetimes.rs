//! How long things last that no setting changes.
//!
//! * An access token is checked against its session within a second of any change, so its life only
//!   bounds how long a session goes without proving that it still holds the refresh token.
//! * What lets its holder in lives as short as OWASP ASVS 6.5.5 asks of out-of-band codes. A
//!   registration's link asks for the password too, and mails may be read a day late.

use chrono::TimeDelta;

/// An access token.
pub(crate) const ACCESS_TOKEN: TimeDelta = TimeDelta::minutes(15);

/// After it was replaced, a refresh token gives its successor again, however far that one got.
pub(crate) const REFRESH_REPEAT: TimeDelta = TimeDelta::seconds(10);

/// An operator's session, however much it is used.
pub(crate) const OPERATOR_SESSION: TimeDelta = TimeDelta::hours(8);

/// An operator's invitation to choose a password and a second factor.
pub(crate) const OPERATOR_ENROLMENT: TimeDelta = TimeDelta::hours(24);

/// What somebody registered with, until the address is confirmed.
pub(crate) const REGISTRATION: TimeDelta = TimeDelta::hours(24);

/// The link that lets somebody join an org. It adds them only, so it may wait in a mailbox for a while.
pub(crate) const INVITATION: TimeDelta = TimeDelta::days(7);

/// An offer of ownership.
pub(crate) const OWNERSHIP_OFFER: TimeDelta = TimeDelta::days(3);

/// An operator standing in for a customer.
pub(crate) const IMPERSONATION: TimeDelta = TimeDelta::minutes(15);

/// How long the secret of an API key goes on working beside the one that replaces it, at most.
pub(crate) const KEY_OVERLAP: TimeDelta = TimeDelta::days(30);

/// A link that sets a password or an address.
pub(crate) const LINK_THAT_LETS_IN: TimeDelta = TimeDelta::minutes(10);

/// The link with which the owner of the former address takes it back.
pub(crate) const UNDO_EMAIL_CHANGE: TimeDelta = TimeDelta::days(14);

/// A code in a mail, and the time that the second factor may take after the first.
pub(crate) const SIGN_IN_STEP: TimeDelta = TimeDelta::minutes(10);

/// What asks for a passkey, until it is answered. Browsers are told to ask for as long.
pub(crate) const PASSKEY_CEREMONY: TimeDelta = TimeDelta::minutes(5);

/// An address that is registered again gets no further mail for so long.
pub(crate) const REGISTRATION_PAUSE: TimeDelta = TimeDelta::minutes(1);

/// Dead sessions and tokens stay for so long, to tell reuse from nonsense and for investigations.
pub(crate) const REMAINS: TimeDelta = TimeDelta::days(30);
