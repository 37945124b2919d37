//! The development pages that show every mail.

use email::{Brand, previews};
use simulators::Pages;

#[tokio::test]
async fn every_mail_can_be_looked_at_as_page_and_as_text() {
    let brand = Brand {
        product: "Slipway".to_owned(),
        app_url: "https://app.example.com".parse().unwrap(),
    };
    let pages = Pages::serve(([127, 0, 0, 1], 0).into(), previews(brand)).await.unwrap();
    let get = async |path: &str| reqwest::get(format!("{}{path}", pages.url())).await.unwrap();

    let list = get("/").await.text().await.unwrap();
    let links: Vec<&str> =
        list.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(links.len() >= 20 * 4, "{links:?}");
    for link in links {
        let page = get(&link.replace("&#38;", "&")).await;
        assert_eq!(page.status(), 200, "{link}");
        let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("default-src 'none'") && !policy.contains("script"), "{policy}");
        let text = page.text().await.unwrap();
        let is_page = link.contains(".html");
        assert_eq!(text.starts_with("<!doctype html>"), is_page, "{link}");
        assert_eq!(text.starts_with("Subject: "), !is_page, "{link}");
    }
    for path in ["/nothing.html", "/welcome", "/welcome.exe"] {
        assert_eq!(get(path).await.status(), 404, "{path}");
    }
    assert!(get("/welcome.txt?locale=de").await.text().await.unwrap().contains("Willkommen"));
}
