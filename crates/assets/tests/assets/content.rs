use std::io::Cursor;

use image::{DynamicImage, ImageFormat, RgbImage};
use serde_json::json;
use testing::TestApp;

use crate::support::{assert_counted, begin, complete, content, send, upload, uploaded, used};

fn png() -> Vec<u8> {
    let mut content = Cursor::new(Vec::new());
    let pixels = DynamicImage::ImageRgb8(RgbImage::new(40, 30));
    pixels.write_to(&mut content, ImageFormat::Png).unwrap();
    content.into_inner()
}

#[tokio::test]
async fn what_is_not_what_it_says_is_refused_erased_and_not_counted() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let hidden = [&png()[..], b"<script>alert(1)</script>"].concat();
    for (content_type, content) in [
        ("image/png", &b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0"[..]),
        ("image/png", b"<svg onload=alert(1)>"),
        ("text/plain", &png()),
        ("image/jpeg", &png()),
        ("image/png", &hidden),
        ("image/png", &png()[..60]),
    ] {
        let id = begin(&owner, content_type, content.len()).await;
        send(&owner, &id, 1, content).await.ok();
        let refused = complete(&owner, &id).await;
        assert_eq!(refused.problem(), (422, "content_refused".into()), "{content_type}");
        let upload = owner.get(&format!("/v1/uploads/{id}")).await.ok();
        assert_eq!(upload["status"], "refused");
    }
    assert_eq!(used(&owner).await, 0);
    app.run_jobs().await;
    assert_counted(&app).await;
}

#[tokio::test]
async fn an_image_is_kept_without_what_else_was_in_it() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let plain = png();
    let secret = [&[0, 0, 0, 9][..], b"tEXt52.52 N..", &[0; 4]].concat();
    let with_place = [&plain[..33], &secret, &plain[33..]].concat();
    let asset = upload(&owner, "image/png", &with_place).await.ok();
    assert_eq!((&asset["width"], &asset["height"]), (&json!(40), &json!(30)));
    assert_eq!(asset["bytes"], plain.len());
    assert_eq!(content(&owner, asset["id"].as_str().unwrap()).await, plain);
    assert_eq!(used(&owner).await, i64::try_from(plain.len()).unwrap());
    assert_counted(&app).await;
}

#[tokio::test]
async fn an_image_gets_a_thumbnail_which_goes_with_it() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    let id = uploaded(&owner, "image/png", &png()).await;
    let path = format!("/v1/assets/{id}/thumbnail");
    assert_eq!(owner.get(&path).await.problem(), (404, "thumbnail_not_found".into()));
    app.run_jobs().await;
    assert_eq!(owner.get(&format!("/v1/assets/{id}")).await.ok()["thumbnail_type"], "image/webp");
    let read = owner.request(reqwest::Method::GET, &path).send().await.unwrap();
    assert_eq!(read.headers()["content-type"], "image/webp");
    let etag = read.headers()["etag"].to_str().unwrap().to_owned();
    let thumbnail = image::load_from_memory(&read.bytes().await.unwrap()).unwrap();
    assert_eq!((thumbnail.width(), thumbnail.height()), (40, 30));
    assert_eq!(owner.header("if-none-match", &etag).get(&path).await.status, 304);
    let kept = app.settings.storage.storage_dir.join("orgs").join(owner.org().to_string());
    assert!(kept.join("thumbnails").join(&id).exists());
    owner.delete(&format!("/v1/assets/{id}")).await;
    app.run_jobs().await;
    assert!(!kept.join("thumbnails").join(&id).exists());
    // What cannot be decoded is an image without a thumbnail.
    let damaged = uploaded(&owner, "image/png", &with_damaged_pixels()).await;
    app.run_jobs().await;
    assert_eq!(
        owner.get(&format!("/v1/assets/{damaged}")).await.ok()["thumbnail_type"],
        json!(null)
    );
    let text = uploaded(&owner, "text/plain", b"hello").await;
    let none = owner.get(&format!("/v1/assets/{text}/thumbnail")).await;
    assert_eq!(none.problem(), (404, "thumbnail_not_found".into()));
}

#[tokio::test]
async fn a_photo_is_made_smaller_before_it_is_kept_if_a_longest_side_is_set() {
    let app = TestApp::start_with(|settings| settings.assets.asset_image_side = Some(64)).await;
    let owner = app.owner().await;
    let pixels = (0..120_u8).flat_map(|row| (0..160_u8).flat_map(move |column| [row, column, row]));
    let photo = RgbImage::from_raw(160, 120, pixels.collect()).unwrap();
    let mut large = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(photo).write_to(&mut large, ImageFormat::Jpeg).unwrap();
    let large = large.into_inner();

    let asset = upload(&owner, "image/jpeg", &large).await.ok();
    assert_eq!((&asset["width"], &asset["height"]), (&json!(64), &json!(48)));
    let kept = content(&owner, asset["id"].as_str().unwrap()).await;
    assert!(kept.len() < large.len());
    assert_eq!(asset["bytes"], kept.len());
    assert_eq!(used(&owner).await, i64::try_from(kept.len()).unwrap(), "it takes that room");
    assert_counted(&app).await;
}

fn with_damaged_pixels() -> Vec<u8> {
    let mut content = png();
    let length = content.len();
    content[45..length - 12].fill(7);
    content
}

#[tokio::test]
async fn a_file_has_the_checksum_that_was_announced() {
    let app = TestApp::start().await;
    let owner = app.owner().await;
    // Of "hello".
    let sum = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let file = json!({ "name": "a", "content_type": "text/plain", "bytes": 5, "sha256": sum });
    for (sent, status) in [(b"hello", 201), (b"jello", 422)] {
        let id = owner.post("/v1/uploads", file.clone()).await.ok();
        let id = id["id"].as_str().unwrap();
        send(&owner, id, 1, sent).await.ok();
        assert_eq!(complete(&owner, id).await.status, status);
    }
    let assets = owner.get("/v1/assets").await.ok();
    assert_eq!(assets["items"][0]["sha256"], sum);
}
