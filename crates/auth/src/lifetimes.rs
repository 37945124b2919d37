//! How long things last.
//!
//! * An access token is checked against its session within a second of any change, so its life only
//!   bounds how long a session goes without proving that it still holds the refresh token.
//! * A reset link lets whoever holds it in, so it lives as short as OWASP ASVS 6.5.5 asks of
//!   out-of-band codes. A verification link lets nobody in, and mails may be read a day late.

use chrono::TimeDelta;

/// An access token.
pub(crate) const ACCESS_TOKEN: TimeDelta = TimeDelta::minutes(15);

/// A session that is not used.
pub(crate) const SESSION_IDLE: TimeDelta = TimeDelta::days(30);

/// Any session.
pub(crate) const SESSION: TimeDelta = TimeDelta::days(90);

/// After it was replaced, a refresh token gives its successor again, however far that one got.
pub(crate) const REFRESH_REPEAT: TimeDelta = TimeDelta::seconds(10);

/// An operator's session, however much it is used.
pub(crate) const OPERATOR_SESSION: TimeDelta = TimeDelta::hours(8);

/// An operator's invitation to choose a password and a second factor.
pub(crate) const OPERATOR_ENROLMENT: TimeDelta = TimeDelta::hours(24);

/// The link that confirms an address.
pub(crate) const VERIFICATION: TimeDelta = TimeDelta::hours(24);

/// The link that sets a new password.
pub(crate) const PASSWORD_RESET: TimeDelta = TimeDelta::minutes(10);

/// An unconfirmed address that is registered again gets no further mail for so long.
pub(crate) const VERIFICATION_PAUSE: TimeDelta = TimeDelta::minutes(1);

/// Dead sessions and tokens stay for so long, to tell reuse from nonsense and for investigations.
pub(crate) const REMAINS: TimeDelta = TimeDelta::days(30);
