use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use kernel::Id;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::routes;
use web::{Access, Caller, ClientIp, Json, Path, Permission, RateClass, Role, Routes};
use webauthn_rs::prelude::{PublicKeyCredential, RegisterPublicKeyCredential};

use super::{ceremony::Purpose, passkey::Passkey, prove::Begun, register::AddedPasskey};
use crate::{
    Auth, Device, Error, Name, Result, Tokens, lifetimes,
    sessions::{PROVE, session_of, transport::Transport},
};

const READ: Permission = Permission { name: "passkeys:read", roles: &Role::ALL, keys: false };
const WRITE: Permission = Permission { name: "passkeys:write", roles: &Role::ALL, keys: false };

pub(crate) fn routes() -> Routes<Auth> {
    let public = Access::public().limited_as(RateClass::Auth);
    let prove = Access::to(PROVE).limited_as(RateClass::Auth).even_in_a_suspended_org();
    let write = Access::to(WRITE).limited_as(RateClass::Auth).after_recent_sign_in();
    let write = write.even_in_a_suspended_org();
    Routes::new()
        .route(public, routes!(begin_passkey_sign_in))
        .route(public, routes!(sign_in_with_passkey))
        .route(prove, routes!(begin_passkey_proof))
        .route(Access::to(READ).even_in_a_suspended_org(), routes!(list_passkeys))
        .route(write, routes!(begin_passkey_registration))
        .route(write, routes!(add_passkey))
        .route(write, routes!(rename_passkey))
        .route(write, routes!(remove_passkey))
}

/// Whose passkey to ask for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasskeySignIn {
    /// From the answer to a first factor, whose owner is asked for one of theirs. Without any, the
    /// passkey tells who signs in.
    #[schema(value_type = Option<String>)]
    challenge: Option<SecretString>,
}

/// What to ask a passkey with.
#[derive(Serialize, ToSchema)]
struct PasskeyCeremony {
    /// To be sent with the answer, once.
    ceremony: String,
    /// Seconds until it stops working.
    #[schema(example = 300)]
    expires_in: i64,
    /// For `PublicKeyCredential.parseRequestOptionsFromJSON`, or `parseCreationOptionsFromJSON` where a
    /// passkey is to be made.
    #[schema(value_type = Object)]
    public_key: Value,
}

/// What a passkey has made of a challenge.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasskeyProof {
    /// From the answer that asked for the passkey.
    #[schema(value_type = String)]
    pub(crate) ceremony: SecretString,
    /// What `navigator.credentials.get` gave, by its `toJSON`.
    #[schema(value_type = Object)]
    pub(crate) credential: PublicKeyCredential,
}

/// The same, to sign in with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasskeySession {
    /// From the answer that asked for the passkey.
    #[schema(value_type = String)]
    ceremony: SecretString,
    /// What `navigator.credentials.get` gave, by its `toJSON`.
    #[schema(value_type = Object)]
    credential: PublicKeyCredential,
    /// Where the tokens go.
    #[serde(default)]
    transport: Transport,
}

/// A passkey that a device has made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPasskey {
    /// From the answer that asked for it.
    #[schema(value_type = String)]
    ceremony: SecretString,
    /// What `navigator.credentials.create` gave, by its `toJSON`.
    #[schema(value_type = Object)]
    credential: RegisterPublicKeyCredential,
    /// What to call it.
    #[schema(min_length = 1, max_length = 100, example = "My phone")]
    name: String,
}

/// What to call a passkey.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct PasskeyName {
    #[schema(min_length = 1, max_length = 100, example = "My old phone")]
    name: String,
}

/// The passkeys that you sign in with.
#[derive(Serialize, ToSchema)]
struct Passkeys {
    items: Vec<Passkey>,
}

/// Begin to sign in with a passkey, alone or after a first factor.
#[utoipa::path(post, path = "/v1/passkey-ceremonies", tag = "identity",
    request_body = PasskeySignIn, responses((status = 201, body = PasskeyCeremony)))]
async fn begin_passkey_sign_in(
    State(auth): State<Auth>,
    ip: ClientIp,
    Json(whose): Json<PasskeySignIn>,
) -> web::Result<(StatusCode, Json<PasskeyCeremony>)> {
    let challenge = whose.challenge.as_ref().map(ExposeSecret::expose_secret);
    begun(auth.begin_passkey_sign_in(challenge, ip).await)
}

/// Sign in with a passkey. No second factor is asked for: it is one, and has checked who holds it.
#[utoipa::path(post, path = "/v1/sessions/passkey", tag = "identity",
    request_body = PasskeySession, responses((status = 201, body = Tokens)))]
async fn sign_in_with_passkey(
    State(auth): State<Auth>,
    device: Device,
    headers: HeaderMap,
    Json(new): Json<PasskeySession>,
) -> web::Result<Response> {
    let ceremony = new.ceremony.expose_secret();
    let tokens = auth.sign_in_with_passkey(ceremony, &new.credential, &device).await?;
    Ok(auth.deliver(&headers, new.transport, tokens).await?)
}

/// Begin to prove with one of your passkeys that you are still who you are: see `POST /v1/reauthentications`.
#[utoipa::path(post, path = "/v1/me/passkey-ceremonies", tag = "identity",
    responses((status = 201, body = PasskeyCeremony)))]
async fn begin_passkey_proof(
    State(auth): State<Auth>,
    caller: Caller,
) -> web::Result<(StatusCode, Json<PasskeyCeremony>)> {
    begun(auth.ask_for_passkey(Purpose::Proof, Some(caller.user)).await)
}

/// List your passkeys.
#[utoipa::path(get, path = "/v1/me/passkeys", tag = "identity",
    responses((status = 200, body = Passkeys)))]
async fn list_passkeys(State(auth): State<Auth>, caller: Caller) -> web::Result<Json<Passkeys>> {
    Ok(Json(Passkeys { items: Passkey::list(auth.db.pool(), caller.user).await? }))
}

/// Begin to add a passkey: ask the device for one.
#[utoipa::path(post, path = "/v1/me/passkey-registrations", tag = "identity",
    responses((status = 201, body = PasskeyCeremony)))]
async fn begin_passkey_registration(
    State(auth): State<Auth>,
    caller: Caller,
) -> web::Result<(StatusCode, Json<PasskeyCeremony>)> {
    begun(auth.begin_passkey_registration(&caller).await)
}

/// Add a passkey. From then on the password alone signs nobody in. Where it did before, every other
/// session ends.
#[utoipa::path(post, path = "/v1/me/passkeys", tag = "identity", request_body = NewPasskey,
    responses((status = 201, body = AddedPasskey)))]
async fn add_passkey(
    State(auth): State<Auth>,
    caller: Caller,
    ip: ClientIp,
    Json(new): Json<NewPasskey>,
) -> web::Result<(StatusCode, Json<AddedPasskey>)> {
    let name = Name::new(&new.name)?;
    // Keys may not do this.
    let session = session_of(&caller).ok_or(Error::InvalidCredentials)?;
    let made = (new.ceremony.expose_secret(), &new.credential);
    let added = auth.add_passkey(&caller, session, made, &name, ip).await?;
    Ok((StatusCode::CREATED, Json(added)))
}

/// Call a passkey something else.
#[utoipa::path(patch, path = "/v1/me/passkeys/{id}", tag = "identity",
    params(("id" = String, Path, format = Uuid)), request_body = PasskeyName,
    responses((status = 200, body = Passkey)))]
async fn rename_passkey(
    State(auth): State<Auth>,
    caller: Caller,
    Path(id): Path<Id<Passkey>>,
    Json(new): Json<PasskeyName>,
) -> web::Result<Json<Passkey>> {
    Ok(Json(auth.rename_passkey(&caller, id, &Name::new(&new.name)?).await?))
}

/// Remove a passkey, unless it is your only way in. Every other session ends.
#[utoipa::path(delete, path = "/v1/me/passkeys/{id}", tag = "identity",
    params(("id" = String, Path, format = Uuid)),
    responses((status = 204, description = "It opens nothing any more")))]
async fn remove_passkey(
    State(auth): State<Auth>,
    caller: Caller,
    ip: ClientIp,
    Path(id): Path<Id<Passkey>>,
) -> web::Result<StatusCode> {
    auth.remove_passkey(&caller, session_of(&caller), id, ip).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn begun(begun: Result<Begun>) -> web::Result<(StatusCode, Json<PasskeyCeremony>)> {
    let Begun { ceremony, options } = begun?;
    let expires_in = lifetimes::PASSKEY_CEREMONY.num_seconds();
    Ok((StatusCode::CREATED, Json(PasskeyCeremony { ceremony, expires_in, public_key: options })))
}
