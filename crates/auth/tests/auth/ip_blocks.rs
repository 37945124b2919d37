use chrono::TimeDelta;
use rate_limit::Switch;
use serde_json::json;
use testing::{Client, PASSWORD, Reply, TestApp};

use crate::execute;

async fn behind_a_proxy() -> TestApp {
    TestApp::start_with(|settings| settings.trusted_proxies = 1).await
}

fn from(app: &TestApp, ip: &str) -> Client {
    app.anonymous().header("x-forwarded-for", ip)
}

/// Where the sixth refused sign-in within an hour blocks its network.
async fn blocking_after_five() -> TestApp {
    TestApp::start_with(|settings| {
        settings.trusted_proxies = 1;
        settings.rate_limit.rate_limits = Switch::On;
        settings.auth.block_after_refused_sign_ins = 5;
    })
    .await
}

async fn be_refused_six_times(app: &TestApp, ip: &str) {
    for n in 0..6 {
        let email = format!("user{n}@{}.example.com", ip.replace([':', '.'], "-"));
        let body = json!({ "email": email, "password": PASSWORD });
        assert_eq!(from(app, ip).post("/v1/sessions", body).await.status, 401, "{ip} {n}");
    }
}

async fn is_blocked(app: &TestApp, ip: &str) -> bool {
    let reply = from(app, ip).get("/v1/plans").await;
    if reply.status == 403 {
        assert_eq!(reply.problem(), (403, "network_blocked".into()));
        return true;
    }
    reply.ok();
    false
}

#[tokio::test]
async fn a_blocked_network_is_not_let_in_by_bytes_that_are_no_text() {
    let app = behind_a_proxy().await;
    let operator = app.operator().await.header("x-forwarded-for", "10.0.0.1");
    let block = json!({ "network": "203.0.113.0/24", "reason": "Credential stuffing" });
    operator.post("/admin/v1/ip-blocks", block).await.ok();

    for forged in
        [&b"\xff, 203.0.113.7"[..], b"\x80\xfe,\xff,203.0.113.7", b"\xff\xff ,203.0.113.7"]
    {
        let value = reqwest::header::HeaderValue::from_bytes(forged).unwrap();
        let request = app.anonymous().request(reqwest::Method::GET, "/v1/plans");
        let reply =
            Reply::read(request.header("x-forwarded-for", value).send().await.unwrap()).await;
        assert_eq!(reply.problem(), (403, "network_blocked".into()), "{forged:?}");
    }
}

#[tokio::test]
async fn a_network_written_as_if_it_were_of_ipv6_is_blocked_all_the_same() {
    let app = behind_a_proxy().await;
    let operator = app.operator().await.header("x-forwarded-for", "10.0.0.1");
    for (network, is) in
        [("::ffff:203.0.113.0/120", "203.0.113.0/24"), ("::ffff:198.51.100.7", "198.51.100.7/32")]
    {
        let block = json!({ "network": network, "reason": "Credential stuffing" });
        let block = operator.post("/admin/v1/ip-blocks", block).await.ok();
        assert_eq!(block["network"], is);
    }
    for ip in ["203.0.113.9", "::ffff:203.0.113.9", "198.51.100.7"] {
        assert!(is_blocked(&app, ip).await, "{ip}");
    }
    let everybody = json!({ "network": "::ffff:0.0.0.0/96", "reason": "A country" });
    assert_eq!(operator.post("/admin/v1/ip-blocks", everybody).await.problem().0, 422);
    let own = json!({ "network": "::ffff:10.0.0.0/120", "reason": "Oneself" });
    let own = operator.post("/admin/v1/ip-blocks", own).await;
    assert_eq!(own.problem(), (409, "own_network".into()));
}

#[tokio::test]
async fn a_blocked_network_gets_no_answer_with_or_without_credentials_until_it_is_free() {
    let app = behind_a_proxy().await;
    let operator = app.operator().await.header("x-forwarded-for", "10.0.0.1");
    let owner = app.owner().await.header("x-forwarded-for", "203.0.113.7");
    owner.get("/v1/me").await.ok();
    let block = json!({ "network": "203.0.113.0/24", "reason": "Credential stuffing" });
    let block = operator.post("/admin/v1/ip-blocks", block).await.ok();

    assert_eq!(owner.get("/v1/me").await.problem(), (403, "network_blocked".into()));
    assert!(is_blocked(&app, "203.0.113.255").await && !is_blocked(&app, "203.0.114.1").await);
    assert_eq!(from(&app, "203.0.113.7").get("/health/live").await.status, 200);

    let list = operator.get("/admin/v1/ip-blocks").await.ok();
    assert_eq!(list["items"][0]["network"], "203.0.113.0/24");
    assert_eq!(list["items"][0]["automatic"], false);
    let path = format!("/admin/v1/ip-blocks/{}", block["id"].as_str().unwrap());
    assert_eq!(operator.delete(&path).await.status, 204);
    assert_eq!(operator.delete(&path).await.problem(), (404, "ip_block_not_found".into()));
    owner.get("/v1/me").await.ok();
    let written = "select count(*) from audit_events
                   where action in ('ip_block.created', 'ip_block.removed')";
    assert_eq!(crate::count(&app, written).await, 2);
}

#[tokio::test]
async fn single_addresses_and_networks_of_both_kinds_are_blocked_and_end_by_themselves() {
    let app = behind_a_proxy().await;
    let operator = app.operator().await.header("x-forwarded-for", "10.0.0.1");
    let end = app.clock.now() + TimeDelta::hours(1);
    for network in ["198.51.100.7", "2001:db8:1::/48"] {
        let block = json!({ "network": network, "reason": "Abuse", "expires_at": end });
        operator.post("/admin/v1/ip-blocks", block).await.ok();
    }
    assert!(is_blocked(&app, "198.51.100.7").await && !is_blocked(&app, "198.51.100.8").await);
    assert!(is_blocked(&app, "2001:db8:1:2::3").await && !is_blocked(&app, "2001:db8:2::").await);
    assert!(is_blocked(&app, "::ffff:198.51.100.7").await, "the same address, written otherwise");

    app.advance(TimeDelta::hours(1));
    assert!(!is_blocked(&app, "198.51.100.7").await);
}

#[tokio::test]
async fn what_is_no_network_or_half_the_world_or_ones_own_is_refused() {
    let app = behind_a_proxy().await;
    let operator = app.operator().await.header("x-forwarded-for", "203.0.113.1");
    for network in ["", "x", "203.0.113.0/33", "0.0.0.0/0", "10.0.0.0/7", "::/0", "2001::/15"] {
        let block = json!({ "network": network, "reason": "Abuse" });
        assert_eq!(operator.post("/admin/v1/ip-blocks", block).await.status, 422, "{network}");
    }
    let own = json!({ "network": "203.0.113.0/24", "reason": "Abuse" });
    let own = operator.post("/admin/v1/ip-blocks", own).await;
    assert_eq!(own.problem(), (409, "own_network".into()));
}

#[tokio::test]
async fn a_block_made_at_another_instance_holds_here_within_a_second() {
    let app = behind_a_proxy().await;
    assert!(!is_blocked(&app, "203.0.113.7").await);
    execute(
        &app,
        "insert into ip_blocks (id, network, reason, created_at)
         values (gen_random_uuid(), '203.0.113.7', 'elsewhere', now())",
    )
    .await;
    testing::is_noticed("the block", async || is_blocked(&app, "203.0.113.7").await).await;
}

#[tokio::test]
async fn blocks_hold_while_the_database_is_away() {
    let app = behind_a_proxy().await;
    execute(
        &app,
        "insert into ip_blocks (id, network, reason, created_at)
         values (gen_random_uuid(), '203.0.113.7', 'before', now())",
    )
    .await;
    assert!(is_blocked(&app, "203.0.113.7").await);
    execute(&app, "alter table ip_blocks rename to away").await;
    app.db.changes().note("01930000-0000-7000-8000-0000000b10c5".parse::<uuid::Uuid>().unwrap());
    assert!(is_blocked(&app, "203.0.113.7").await);
}

#[tokio::test]
async fn too_many_refused_sign_ins_block_their_network_for_an_hour_and_private_ones_never() {
    let app = blocking_after_five().await;
    for (ip, blocked) in [("203.0.113.7", true), ("2001:db8::7", true), ("10.1.2.3", false)] {
        be_refused_six_times(&app, ip).await;
        assert_eq!(is_blocked(&app, ip).await, blocked, "{ip}");
    }
    assert!(is_blocked(&app, "2001:db8::ffff").await, "a subscriber has a whole /64");
    assert!(!is_blocked(&app, "2001:db8:0:1::").await);
    app.advance(TimeDelta::minutes(61));
    assert!(!is_blocked(&app, "203.0.113.7").await);
}

#[tokio::test]
async fn what_the_product_and_what_operators_block_do_not_shorten_each_other() {
    let app = blocking_after_five().await;
    let operator = app.operator().await.header("x-forwarded-for", "10.0.0.1");
    let block = async |network: &str, minutes: Option<i64>| {
        let end = minutes.map(|it| app.clock.now() + TimeDelta::minutes(it));
        let block = json!({ "network": network, "reason": "Abuse", "expires_at": end });
        operator.post("/admin/v1/ip-blocks", block).await.ok()
    };
    // Refused, and blocked by an operator for good while the last refusal is on its way.
    be_refused_six_times(&app, "203.0.113.7").await;
    let for_good = block("203.0.113.7", None).await;
    // Blocked by an operator for less than the product's hour, and for more.
    be_refused_six_times(&app, "198.51.100.7").await;
    block("198.51.100.7", Some(10)).await;
    be_refused_six_times(&app, "192.0.2.7").await;
    block("192.0.2.7", Some(90)).await;
    let list = operator.get("/admin/v1/ip-blocks").await.ok();
    let of_it = list["items"].as_array().unwrap().iter();
    let of_it = of_it.filter(|it| it["network"] == "203.0.113.7/32");
    let automatic: Vec<bool> = of_it.map(|it| it["automatic"].as_bool().unwrap()).collect();
    assert_eq!(automatic, [false, true]);

    app.advance(TimeDelta::minutes(59));
    for ip in ["203.0.113.7", "198.51.100.7", "192.0.2.7"] {
        assert!(is_blocked(&app, ip).await, "{ip}");
    }
    app.advance(TimeDelta::minutes(2));
    assert!(is_blocked(&app, "203.0.113.7").await, "an operator said so");
    assert!(!is_blocked(&app, "198.51.100.7").await, "neither any more");
    assert!(is_blocked(&app, "192.0.2.7").await, "an operator said so");

    let path = format!("/admin/v1/ip-blocks/{}", for_good["id"].as_str().unwrap());
    operator.delete(&path).await.ok_text();
    assert!(!is_blocked(&app, "203.0.113.7").await);
}
