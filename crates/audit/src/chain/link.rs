use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use kernel::{Id, Org};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::Event;

/// An event as it is stored. JSON is the text that Postgres makes of it, which is always the same.
pub(crate) struct Stored {
    pub(crate) id: Id<Event>,
    pub(crate) org_id: Option<Id<Org>>,
    pub(crate) actor_kind: String,
    pub(crate) actor_id: Option<Uuid>,
    pub(crate) on_behalf_of: Option<Uuid>,
    pub(crate) action: String,
    pub(crate) subject: String,
    pub(crate) before: Option<String>,
    pub(crate) after: Option<String>,
    pub(crate) ip: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) created_at: DateTime<Utc>,
}

impl Stored {
    /// What the event says, in 32 bytes.
    pub(crate) fn digest(&self) -> Vec<u8> {
        let uuid = |id: Option<Uuid>| id.map(|id| id.as_bytes().to_vec());
        let text = |text: &Option<String>| text.as_ref().map(|text| text.as_bytes().to_vec());
        hash_of(&[
            Some(self.id.uuid().as_bytes().to_vec()),
            uuid(self.org_id.map(Id::uuid)),
            Some(self.actor_kind.as_bytes().to_vec()),
            uuid(self.actor_id),
            uuid(self.on_behalf_of),
            Some(self.action.as_bytes().to_vec()),
            Some(self.subject.as_bytes().to_vec()),
            text(&self.before),
            text(&self.after),
            text(&self.ip),
            text(&self.request_id),
            Some(self.created_at.timestamp_micros().to_be_bytes().to_vec()),
        ])
    }
}

/// The hash of a link: of the one before, and of the event at this position.
pub(crate) fn hash(
    before: &[u8],
    seq: i64,
    event: Uuid,
    at: DateTime<Utc>,
    digest: &[u8],
) -> Vec<u8> {
    hash_of(&[
        Some(before.to_vec()),
        Some(seq.to_be_bytes().to_vec()),
        Some(event.as_bytes().to_vec()),
        Some(at.timestamp_micros().to_be_bytes().to_vec()),
        Some(digest.to_vec()),
    ])
}

/// Each part with its length before it, so that no two lists look the same.
fn hash_of(parts: &[Option<Vec<u8>>]) -> Vec<u8> {
    let mut hash = Sha256::new();
    for part in parts {
        match part {
            None => hash.update([0]),
            Some(bytes) => {
                hash.update([1]);
                hash.update((bytes.len() as u64).to_be_bytes());
                hash.update(bytes);
            }
        }
    }
    hash.finalize().to_vec()
}

/// What only those who know `secret` can write at the end of a chain.
pub(crate) fn code(secret: &SecretString, org: Option<Id<Org>>, seq: i64, hash: &[u8]) -> Vec<u8> {
    code_of(secret, org, seq, hash).finalize().into_bytes().to_vec()
}

/// Whether `found` was written with one of `secrets`.
pub(crate) fn code_holds(
    secrets: &[SecretString],
    (org, seq, hash): (Option<Id<Org>>, i64, &[u8]),
    found: &[u8],
) -> bool {
    secrets.iter().any(|secret| code_of(secret, org, seq, hash).verify_slice(found).is_ok())
}

/// Tells secrets apart, and nothing else about them.
pub(crate) fn fingerprint(secret: &SecretString) -> Vec<u8> {
    code_of(secret, None, 0, b"fingerprint").finalize().into_bytes()[..8].to_vec()
}

/// What only those who know `secret` can write beside an event that was redacted, of its digest since then.
pub(crate) fn redaction_code(secret: &SecretString, event: Uuid, digest: &[u8]) -> Vec<u8> {
    redaction_of(secret, event, digest).finalize().into_bytes().to_vec()
}

/// Whether `found` was written with one of `secrets`.
pub(crate) fn redaction_holds(
    secrets: &[SecretString],
    event: Uuid,
    digest: &[u8],
    found: &[u8],
) -> bool {
    let holds = |secret| redaction_of(secret, event, digest).verify_slice(found).is_ok();
    secrets.iter().any(holds)
}

fn redaction_of(secret: &SecretString, event: Uuid, digest: &[u8]) -> Hmac<Sha256> {
    let mut code = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .expect("HMAC takes keys of any length");
    code.update(b"slipway audit redaction");
    code.update(event.as_bytes());
    code.update(digest);
    code
}

fn code_of(secret: &SecretString, org: Option<Id<Org>>, seq: i64, hash: &[u8]) -> Hmac<Sha256> {
    let mut code = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
        .expect("HMAC takes keys of any length");
    code.update(b"slipway audit chain");
    code.update(org.map_or(Uuid::nil(), Id::uuid).as_bytes());
    code.update(&seq.to_be_bytes());
    code.update(hash);
    code
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use kernel::Id;

    use super::{Stored, code, code_holds, hash};

    fn event() -> Stored {
        Stored {
            id: Id::from(uuid::Uuid::from_u128(1)),
            org_id: Some(Id::from(uuid::Uuid::from_u128(2))),
            actor_kind: "system".into(),
            actor_id: None,
            on_behalf_of: None,
            action: "budget.changed".into(),
            subject: "x".into(),
            before: None,
            after: Some("{}".into()),
            ip: None,
            request_id: None,
            created_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn every_word_of_an_event_counts() {
        let digest = event().digest();
        let changes: [fn(&mut Stored); 12] = [
            |it| it.id = Id::from(uuid::Uuid::from_u128(3)),
            |it| it.org_id = None,
            |it| it.actor_kind = "user".into(),
            |it| it.actor_id = Some(uuid::Uuid::nil()),
            |it| it.on_behalf_of = Some(uuid::Uuid::nil()),
            |it| it.action = "budget.change".into(),
            |it| it.subject = "dx".into(),
            |it| (it.before, it.after) = (it.after.clone(), it.before.clone()),
            |it| it.after = Some("{ }".into()),
            |it| it.ip = Some(String::new()),
            |it| it.request_id = Some("r".into()),
            |it| it.created_at = DateTime::from_timestamp_micros(1).unwrap(),
        ];
        for (n, change) in changes.iter().enumerate() {
            let mut other = event();
            change(&mut other);
            assert_ne!(other.digest(), digest, "change {n}");
        }
    }

    #[test]
    fn the_same_event_elsewhere_has_another_hash() {
        let (id, at, digest) = (event().id.uuid(), event().created_at, event().digest());
        assert_eq!(hash(b"", 1, id, at, &digest), hash(b"", 1, id, at, &digest));
        assert_ne!(hash(b"", 1, id, at, &digest), hash(b"", 2, id, at, &digest));
        assert_ne!(hash(b"", 1, id, at, &digest), hash(b"x", 1, id, at, &digest));
    }

    #[test]
    fn the_end_of_a_chain_is_bound_to_its_org_place_and_secret() {
        let secrets = ["new".to_owned().into(), "old".to_owned().into()];
        let org = Some(Id::new());
        let made = code(&secrets[1], org, 3, b"hash");
        assert!(code_holds(&secrets, (org, 3, b"hash"), &made), "the secret before holds too");
        assert!(!code_holds(&secrets[..1], (org, 3, b"hash"), &made));
        assert!(!code_holds(&secrets, (None, 3, b"hash"), &made));
        assert!(!code_holds(&secrets, (org, 2, b"hash"), &made));
        assert!(!code_holds(&secrets, (org, 3, b"hush"), &made));
        assert!(!code_holds(&secrets, (org, 3, b"hash"), b""));
    }
}
