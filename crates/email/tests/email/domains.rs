//! Addresses whose domain takes no mail. Fault F33.

use std::net::SocketAddr;

use email::Dns;
use hickory_resolver::proto::{
    op::{Message, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, MX},
    },
};
use serde_json::json;
use testing::{PASSWORD, Reply, TestApp};
use tokio::net::UdpSocket;

/// A DNS server that answers by the first label of the name; `silent` it does not answer at all.
async fn dns() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            if let Some(answer) = answer(&buffer[..length]) {
                socket.send_to(&answer, from).await.unwrap();
            }
        }
    });
    address
}

fn answer(asked: &[u8]) -> Option<Vec<u8>> {
    let asked = Message::from_vec(asked).unwrap();
    let question = asked.queries[0].clone();
    let mut answer = Message::response(asked.metadata.id, asked.metadata.op_code);
    answer.metadata.recursion_available = true;
    answer.add_query(question.clone());
    let name = question.name().clone();
    let mx = |host: &str| Some(RData::MX(MX::new(10, Name::from_ascii(host).unwrap())));
    let label = name.to_ascii().split('.').next().unwrap().to_lowercase();
    let found = match (label.as_str(), question.query_type()) {
        ("silent", _) => return None,
        ("normal", RecordType::MX) => mx("mx.normal.example."),
        ("null", RecordType::MX) => mx("."),
        ("bare", RecordType::A) => Some(RData::A(A::new(192, 0, 2, 1))),
        _ => None,
    };
    answer.metadata.response_code = match label.as_str() {
        "missing" => ResponseCode::NXDomain,
        "broken" => ResponseCode::ServFail,
        _ => ResponseCode::NoError,
    };
    if let Some(found) = found {
        answer.add_answer(Record::from_rdata(name, 60, found));
    }
    Some(answer.to_vec().unwrap())
}

async fn register(app: &TestApp, domain: &str) -> Reply {
    let person =
        json!({ "email": format!("ada@{domain}.example"), "password": PASSWORD, "name": "Ada" });
    app.anonymous().post("/v1/users", person).await
}

#[tokio::test]
async fn nobody_registers_with_a_domain_that_takes_no_mail_and_what_dns_does_not_say_stops_nobody()
{
    let server = dns().await;
    let app = TestApp::start_with(|it| it.email.email_dns = Some(Dns::Server(server))).await;
    for domain in ["normal", "bare", "broken", "silent"] {
        assert_eq!(register(&app, domain).await.status, 202, "{domain}");
    }
    for domain in ["null", "missing", "empty"] {
        let reply = register(&app, domain).await;
        assert_eq!(reply.problem(), (422, "undeliverable_email".into()), "{domain}");
    }
}

#[tokio::test]
async fn whoever_is_invited_asked_or_changes_their_address_has_one_that_takes_mail() {
    let server = dns().await;
    let app = TestApp::start_with(|it| it.email.email_dns = Some(Dns::Server(server))).await;
    let owner = app.owner().await;
    sqlx::query("update entitlements set seats = 9").execute(app.db.pool()).await.unwrap();
    for (domain, refused) in [("normal", false), ("missing", true)] {
        let email = format!("bob@{domain}.example");
        let invitation = json!({ "email": email, "role": "member" });
        let approval = json!({ "email": email, "name": "Bob", "title": "A logo", "days": 7 });
        let change = json!({ "email": email });
        for (path, body) in [
            ("/v1/invitations", invitation),
            ("/v1/approvals", approval),
            ("/v1/me/email-changes", change),
        ] {
            let reply = owner.post(path, body).await;
            if refused {
                assert_eq!(reply.problem().1, "undeliverable_email", "{path}");
            } else {
                assert!(reply.status.is_success(), "{path} {reply:?}");
            }
        }
    }
}

#[tokio::test]
async fn without_dns_every_address_is_taken_and_nonsense_is_no_server() {
    let app = TestApp::start().await;
    assert_eq!(register(&app, "missing").await.status, 202);
    assert_eq!("system".parse(), Ok(Dns::System));
    assert_eq!("9.9.9.9:53".parse(), Ok(Dns::Server(([9, 9, 9, 9], 53).into())));
    assert!("9.9.9.9".parse::<Dns>().is_err() && "".parse::<Dns>().is_err());
}
