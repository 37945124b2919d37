//! Passkeys (WebAuthn): keys in somebody's devices that sign in by themselves, and prove the second
//! factor after a password.

pub(crate) mod ceremony;
mod manage;
pub(crate) mod passkey;
mod prove;
mod register;
mod relying_party;
pub(crate) mod routes;
mod sign_in;

pub(crate) use relying_party::RelyingParty;
