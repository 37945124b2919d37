//! A device that makes passkeys, and the browser that it is used with.

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Flags of what the device says.
const PRESENT: u8 = 1;
const VERIFIED: u8 = 1 << 2;
const HAS_KEY: u8 = 1 << 6;

/// One passkey. What it says can be made wrong.
pub(crate) struct Device {
    key: EcdsaKeyPair,
    id: Vec<u8>,
    /// What it was told on whose account it is.
    pub(super) holder: Option<String>,
    /// The page that the browser shows.
    pub(super) origin: String,
    /// The site that the device believes it is used at.
    pub(super) site: String,
    /// Whether it asks for a PIN.
    pub(super) verifies: bool,
    /// How often it was used.
    pub(super) count: u32,
}

impl Device {
    pub(super) fn new(origin: &str) -> Self {
        Self {
            key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key"),
            id: uuid::Uuid::now_v7().as_bytes().to_vec(),
            holder: None,
            origin: origin.to_owned(),
            site: origin.split("//").nth(1).expect("a name").to_owned(),
            verifies: true,
            count: 0,
        }
    }

    /// What `navigator.credentials.create` gives for `options`.
    pub(super) fn create(&mut self, options: &Value) -> Value {
        self.holder = options["user"]["id"].as_str().map(str::to_owned);
        let public = self.key.public_key().as_ref();
        // An EC2 key on P-256 for ES256 (RFC 9053), its two coordinates after a 4.
        let mut key = vec![0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
        key.extend(&public[1..33]);
        key.extend([0x22, 0x58, 0x20]);
        key.extend(&public[33..]);
        let mut data = self.data(HAS_KEY);
        data.extend([0; 16]);
        data.extend(u16::try_from(self.id.len()).expect("a short id").to_be_bytes());
        data.extend(&self.id);
        data.extend(key);
        // {"fmt": "none", "attStmt": {}, "authData": …}
        let mut object = b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58".to_vec();
        object.push(u8::try_from(data.len()).expect("short data"));
        object.extend(data);
        self.credential(json!({
            "clientDataJSON": BASE64.encode(self.client_data("webauthn.create", options)),
            "attestationObject": BASE64.encode(object),
        }))
    }

    /// What `navigator.credentials.get` gives for `options`.
    pub(super) fn get(&mut self, options: &Value) -> Value {
        self.count += 1;
        let client = self.client_data("webauthn.get", options);
        let data = self.data(0);
        let signed = [&data[..], &Sha256::digest(&client)].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed).expect("sign");
        self.credential(json!({
            "clientDataJSON": BASE64.encode(client),
            "authenticatorData": BASE64.encode(data),
            "signature": BASE64.encode(signature),
            "userHandle": self.holder,
        }))
    }

    fn client_data(&self, kind: &str, options: &Value) -> Vec<u8> {
        let data = json!({
            "type": kind,
            "challenge": options["challenge"],
            "origin": self.origin,
            "crossOrigin": false,
        });
        data.to_string().into_bytes()
    }

    fn data(&self, flags: u8) -> Vec<u8> {
        let verified = if self.verifies { VERIFIED } else { 0 };
        let mut data = Sha256::digest(&self.site).to_vec();
        data.push(flags | PRESENT | verified);
        data.extend(self.count.to_be_bytes());
        data
    }

    fn credential(&self, response: Value) -> Value {
        let id = BASE64.encode(&self.id);
        json!({
            "id": id, "rawId": id, "type": "public-key", "response": response,
            "authenticatorAttachment": "platform", "clientExtensionResults": {},
        })
    }
}
