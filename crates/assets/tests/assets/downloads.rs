use reqwest::Method;
use testing::{Client, Reply, TestApp};

use crate::support::{text, uploaded, with_bucket};

async fn get(owner: &Client, asset: &str, headers: &[(&str, &str)]) -> Reply {
    let request = owner.request(Method::GET, &format!("/v1/assets/{asset}/content"));
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    Reply::read(request.send().await.unwrap()).await
}

async fn ranges_and_etags_are_honoured(app: TestApp) {
    let owner = app.owner().await;
    let whole = text(100_000);
    let asset = uploaded(&owner, "text/plain", &whole).await;
    let all = get(&owner, &asset, &[]).await;
    assert_eq!((all.status.as_u16(), all.text.as_bytes()), (200, &whole[..]));
    let etag = all.header("etag").unwrap().to_owned();
    assert_eq!(all.header("content-length"), Some("100000"));
    assert_eq!(all.header("accept-ranges"), Some("bytes"));

    let part = get(&owner, &asset, &[("range", "bytes=50000-50009")]).await;
    assert_eq!((part.status.as_u16(), part.text.as_bytes()), (206, &whole[50_000..50_010]));
    assert_eq!(part.header("content-range"), Some("bytes 50000-50009/100000"));
    let end = get(&owner, &asset, &[("range", "bytes=-5"), ("if-range", &etag)]).await;
    assert_eq!((end.status.as_u16(), end.text.as_bytes()), (206, &whole[99_995..]));
    let other = get(&owner, &asset, &[("range", "bytes=-5"), ("if-range", "\"other\"")]).await;
    assert_eq!((other.status.as_u16(), other.text.len()), (200, 100_000));
    let beyond = get(&owner, &asset, &[("range", "bytes=100000-")]).await;
    assert_eq!(beyond.header("content-range"), Some("bytes */100000"));
    assert_eq!(beyond.problem(), (416, "range_not_satisfiable".into()));

    let same = get(&owner, &asset, &[("if-none-match", &etag)]).await;
    assert_eq!((same.status.as_u16(), same.text.as_str()), (304, ""));
    assert_eq!(same.header("etag"), Some(etag.as_str()));
}

#[tokio::test]
async fn a_file_in_a_directory_is_read_in_ranges() {
    ranges_and_etags_are_honoured(TestApp::start().await).await;
}

#[tokio::test]
async fn a_file_in_a_bucket_is_read_in_ranges() {
    let (_bucket, app) = with_bucket().await;
    ranges_and_etags_are_honoured(app).await;
}

#[tokio::test]
async fn what_a_browser_might_run_is_downloaded_and_inert() {
    let types = ["text/html", "image/svg+xml", "application/pdf"];
    let app = TestApp::start_with(|settings| {
        settings.assets.asset_types.extend(types.map(str::to_owned));
    })
    .await;
    let owner = app.owner().await;
    for (content_type, content) in [
        ("text/html", &b"<!DOCTYPE html><script>alert(1)</script>"[..]),
        ("image/svg+xml", b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>"),
        ("application/pdf", b"%PDF-1.7 /JS (app.alert(1))"),
    ] {
        let asset = uploaded(&owner, content_type, content).await;
        let read = get(&owner, &asset, &[]).await;
        assert_eq!(read.header("content-disposition"), Some("attachment; filename=\"a file\""));
        let policy = "sandbox; default-src 'none'; frame-ancestors 'none'";
        assert_eq!(read.header("content-security-policy"), Some(policy));
        assert_eq!(read.header("x-content-type-options"), Some("nosniff"));
    }
}

#[tokio::test]
async fn a_download_has_the_name_of_the_file_and_never_that_of_another_place() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    for (name, disposition) in [
        ("../../etc/passwd", "attachment; filename=\"_.._etc_passwd\""),
        (".htaccess", "attachment; filename=\"htaccess\""),
        ("月.txt", "attachment; filename=\"_.txt\"; filename*=UTF-8''%E6%9C%88.txt"),
    ] {
        let file = serde_json::json!({ "name": name, "content_type": "text/plain", "bytes": 5 });
        let upload = owner.post("/v1/uploads", file).await.ok();
        let upload = upload["id"].as_str().unwrap();
        crate::support::send(&owner, upload, 1, b"hello").await.ok();
        let asset = crate::support::complete(&owner, upload).await.ok();
        let read = get(&owner, asset["id"].as_str().unwrap(), &[]).await;
        assert_eq!(read.header("content-disposition"), Some(disposition));
        assert_eq!(asset["name"], name);
    }
}
