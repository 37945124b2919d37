//! Mails over SMTP are signed when a key is set, as a mail server verifies it (RFC 6376, RFC 8463).

use aws_lc_rs::{
    digest::{SHA256, digest},
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
    signature::{
        ED25519, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    },
};
use base64::{Engine, prelude::BASE64_STANDARD};
use testing::TestApp;

use crate::{digest as news, queue, queue_to, received};

/// A header field as it was sent, without its last line break.
struct Field {
    name: String,
    value: String,
}

fn split(raw: &[u8]) -> (Vec<Field>, &[u8]) {
    let end = raw.windows(4).position(|it| it == b"\r\n\r\n").unwrap();
    let mut fields: Vec<Field> = Vec::new();
    for line in str::from_utf8(&raw[..end]).unwrap().split("\r\n") {
        if line.starts_with([' ', '\t']) {
            fields.last_mut().unwrap().value += line;
        } else {
            let (name, value) = line.split_once(':').unwrap();
            fields.push(Field { name: name.to_lowercase(), value: value.to_owned() });
        }
    }
    (fields, &raw[end + 4..])
}

/// Relaxed: runs of white space are one space, none at the ends.
fn relaxed(text: &str) -> String {
    text.split([' ', '\t']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn relaxed_body(body: &[u8]) -> Vec<u8> {
    let mut out = String::new();
    for line in str::from_utf8(body).unwrap().split("\r\n") {
        let begins =
            if line.starts_with([' ', '\t']) && !line.trim().is_empty() { " " } else { "" };
        out.extend([begins, &relaxed(line), "\r\n"]);
    }
    while out.ends_with("\r\n\r\n") {
        out.truncate(out.len() - 2);
    }
    out.into_bytes()
}

fn tag<'a>(signature: &'a str, name: &str) -> &'a str {
    let tags = signature.split(';').filter_map(|tag| tag.split_once('='));
    tags.map(|(name, value)| (name.trim(), value.trim())).find(|it| it.0 == name).unwrap().1
}

/// What was signed, and the signature; panics if the body is not what was signed.
fn signed(raw: &[u8]) -> (Vec<u8>, Vec<u8>, String) {
    let (fields, body) = split(raw);
    let signature = fields.iter().find(|it| it.name == "dkim-signature").expect("it is signed");
    let clean = |text: &str| text.replace([' ', '\t'], "");
    let hash = BASE64_STANDARD.encode(digest(&SHA256, &relaxed_body(body)));
    assert_eq!(clean(tag(&signature.value, "bh")), hash, "the body is not what was signed");
    let mut input = String::new();
    for name in tag(&signature.value, "h").split(':') {
        if let Some(field) = fields.iter().rev().find(|it| it.name == name.trim()) {
            input.extend([&field.name, ":", &relaxed(&field.value), "\r\n"]);
        }
    }
    let value = relaxed(&signature.value);
    let unsigned = &value[..value.rfind("; b=").unwrap() + 4];
    input.extend(["dkim-signature:", unsigned]);
    let bytes = BASE64_STANDARD.decode(clean(tag(&signature.value, "b"))).unwrap();
    (input.into_bytes(), bytes, signature.value.clone())
}

async fn app_with(key: String) -> TestApp {
    TestApp::start_with(|settings| {
        settings.email.dkim_selector = Some("slipway".to_owned());
        settings.email.dkim_private_key = Some(key.into());
        settings.email.email_from = "Ünïcode <hello@mail.example.com>".parse().unwrap();
    })
    .await
}

/// An RSA key as `openssl genrsa -traditional` writes it.
fn rsa_pem(key: &KeyPair) -> String {
    let der: Pkcs8V1Der<'_> = key.as_der().unwrap();
    // The key proper stands behind 26 bytes which say that it is an RSA key.
    let text = BASE64_STANDARD.encode(&der.as_ref()[26..]);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|it| str::from_utf8(it).unwrap()).collect();
    let lines = lines.join("\n");
    format!("-----BEGIN RSA PRIVATE KEY-----\n{lines}\n-----END RSA PRIVATE KEY-----\n")
}

#[tokio::test]
async fn an_rsa_signature_verifies_and_covers_who_sent_it_and_how_to_end_it() {
    let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let app = app_with(rsa_pem(&key)).await;
    queue_to(&app, crate::ADA, None, &news()).await;
    app.run_jobs().await;
    let [mail] = &received(&app)[..] else { panic!("one mail") };

    let (input, signature, header) = signed(&mail.raw);
    let public = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public_key().as_ref());
    public.verify(&input, &signature).expect("the signature is valid");
    assert_eq!((tag(&header, "d"), tag(&header, "s")), ("mail.example.com", "slipway"));
    let covered = tag(&header, "h").to_lowercase();
    for name in ["from", "to", "subject", "date", "list-unsubscribe", "list-unsubscribe-post"] {
        assert!(covered.split(':').any(|it| it.trim() == name), "{name} is not signed: {covered}");
    }

    let changed = String::from_utf8(mail.raw.clone()).unwrap().replacen("week in", "month in", 1);
    let (input, signature, _) = signed(changed.as_bytes());
    assert!(public.verify(&input, &signature).is_err(), "another subject verifies");
}

#[tokio::test]
async fn an_ed25519_signature_verifies() {
    let seed = [7; 32];
    let key = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
    let app = app_with(BASE64_STANDARD.encode(seed)).await;
    queue(&app).await;
    app.run_jobs().await;
    let (input, signature, header) = signed(&received(&app)[0].raw);
    assert_eq!(tag(&header, "a"), "ed25519-sha256");
    let public = UnparsedPublicKey::new(&ED25519, key.public_key().as_ref());
    public.verify(digest(&SHA256, &input).as_ref(), &signature).expect("the signature is valid");
}

#[test]
fn a_key_that_is_none_is_a_problem_of_the_settings_and_is_not_shown() {
    for (name, value) in [("DKIM_PRIVATE_KEY", "canary"), ("DKIM_SELECTOR", "slipway")] {
        let environment = |it: &str| match it {
            "DKIM_SELECTOR" if name == "DKIM_PRIVATE_KEY" => Some("slipway".to_owned()),
            it => (it == name).then(|| value.to_owned()),
        };
        let refused = server::cli::read(vec!["slipway".into()], &environment);
        let Err(server::cli::Refused::Problems(problems)) = refused else { panic!("accepted") };
        assert!(problems.iter().any(|it| it.contains("DKIM_PRIVATE_KEY")), "{problems:?}");
        assert!(!problems.join("").contains("canary"), "{problems:?}");
    }
}
