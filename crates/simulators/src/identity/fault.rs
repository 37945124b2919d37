use serde::{Deserialize, Serialize};

/// One way for an identity provider to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum Fault {
    /// The identity token is for another sign-in.
    WrongNonce,
    /// It says nothing of the sign-in.
    NoNonce,
    /// It is for another client.
    WrongAudience,
    /// It is for us and another client, which asked for it.
    OtherParty,
    /// It comes from another issuer.
    WrongIssuer,
    /// It is not signed.
    AlgNone,
    /// It is signed with our client secret.
    Hs256,
    /// It is signed with a key that is not published, under the name of one that is.
    ForeignKey,
    /// It has expired.
    Expired,
    /// It never expires.
    NoExpiry,
    /// It is about nobody.
    EmptySubject,
    /// It is about somebody else with the same address.
    OtherSubject,
    /// The address is not known to be theirs.
    UnverifiedEmail,
    /// Whether it is known to be theirs is not said.
    UnsaidEmail,
    /// There is no address.
    NoEmail,
    /// The code is refused, and that is called a success.
    RefusalInSuccess,
    /// Asked whose token it is, the answer is an error, and called a success.
    ErrorInSuccess,
    /// The answer is no JSON.
    Garbage,
    /// There is no identity token.
    NoIdToken,
    /// The configuration names another issuer.
    MixedUp,
    /// The published keys never end.
    EndlessKeys,
    /// No answer until the provider recovers.
    Hang,
    /// An error of this status.
    Status {
        /// The status, such as 503.
        status: u16,
    },
}
