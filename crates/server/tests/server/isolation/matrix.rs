//! Every operation, called by everybody, is answered as its declaration says.

use reqwest::Method;
use serde_json::{Value, json};
use testing::{Client, TestApp};
use web::{Access, Audience, Operation, Permission, Role, StandIns};

use super::{fill_in, operations};

/// Of the example in its own libraries: without one nobody is let in.
const SENDGRID_KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEDr2LjtURuePQzplybdC+u4CwrqDqBaWjcMMsTbhdbcwHBcepxo7yAQGhHPTnlvFYPAZFceEu/1FwCM/QmGUhA==";

/// What the declaration of an operation says of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Allowed,
    /// Known, but not to do this.
    Forbidden,
    /// Not known, or no longer.
    Unauthenticated,
    /// Known, in an org that is closed.
    Suspended,
}

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Nobody,
    /// A signed-in person.
    Person(Role),
    /// A key with these scopes, made by somebody with this role.
    Key(Role, &'static str),
    /// Somebody whose account was suspended while they were signed in.
    Suspended,
    /// A key of somebody whose account was suspended.
    KeyOfSuspended,
    /// The owner of an org that was suspended.
    InSuspendedOrg,
    /// A key of an org that was suspended.
    KeyOfSuspendedOrg,
    /// An operator standing in for the owner of an org that was suspended.
    StandInSuspendedOrg,
    Operator,
    /// An operator standing in for an owner.
    StandIn,
}

impl Who {
    fn all() -> Vec<Self> {
        let people = Role::ALL.map(Self::Person);
        let keys = Role::ALL.map(|role| Self::Key(role, "*"));
        let others = [
            Self::Nobody,
            Self::Key(Role::Owner, "*:read"),
            Self::Key(Role::Owner, "me:read"),
            Self::Suspended,
            Self::KeyOfSuspended,
            Self::InSuspendedOrg,
            Self::KeyOfSuspendedOrg,
            Self::StandInSuspendedOrg,
            Self::Operator,
            Self::StandIn,
        ];
        [&people[..], &keys[..], &others[..]].concat()
    }

    /// What `access` says.
    fn expects(self, access: &Access) -> Answer {
        let allowed = |it| if it { Answer::Allowed } else { Answer::Forbidden };
        match (access.audience, self) {
            (Audience::Anyone, _) | (Audience::Operators, Self::Operator) => Answer::Allowed,
            (_, Self::Nobody | Self::Suspended | Self::KeyOfSuspended) => Answer::Unauthenticated,
            (Audience::Callers(_), Self::InSuspendedOrg) if access.in_suspended_org => {
                Answer::Allowed
            }
            (_, Self::InSuspendedOrg | Self::KeyOfSuspendedOrg | Self::StandInSuspendedOrg) => {
                Answer::Suspended
            }
            (Audience::Operators, _) | (_, Self::Operator) => Answer::Forbidden,
            (Audience::Callers(it), Self::StandIn) => {
                let theirs = it.name.ends_with(":read") || it.roles.contains(&Role::Member);
                allowed(access.stand_ins == StandIns::AsPermitted && it.keys && theirs)
            }
            (Audience::Callers(it), Self::Person(role)) => allowed(it.roles.contains(&role)),
            (Audience::Callers(it), Self::Key(role, scope)) => {
                allowed(it.keys && it.roles.contains(&role) && covers(scope, &it))
            }
        }
    }
}

fn covers(scope: &str, permission: &Permission) -> bool {
    match scope {
        "*" => true,
        "*:read" => permission.name.ends_with(":read"),
        name => name == permission.name,
    }
}

/// Somebody with a token, so that each operation is called with one that nobody has ended yet.
async fn sign_in(app: &TestApp, owner: &Client, who: Who) -> Client {
    let key = async |maker: &Client, scope: &str| {
        let new = json!({ "name": "matrix", "scopes": [scope] });
        // Only those who run the org make keys; the maker may lose that role later.
        app.set_role(owner, maker, Role::Owner).await;
        let key = maker.post("/v1/api-keys", new).await.ok();
        maker.with_key(key["secret"].as_str().unwrap())
    };
    match who {
        Who::Nobody => app.anonymous(),
        Who::Person(role) => app.member(owner, role).await,
        Who::Key(role, scope) => {
            let maker = app.member(owner, Role::Owner).await;
            let key = key(&maker, scope).await;
            app.set_role(owner, &maker, role).await;
            key
        }
        Who::Suspended | Who::KeyOfSuspended => {
            let member = app.member(owner, Role::Owner).await;
            let key = key(&member, "*").await;
            let disable = sqlx::query("update users set disabled_at = now() where id = $1");
            disable.bind(member.user()).execute(app.db.pool()).await.unwrap();
            app.db.changes().note(member.user());
            if who == Who::Suspended { member } else { key }
        }
        Who::InSuspendedOrg | Who::KeyOfSuspendedOrg | Who::StandInSuspendedOrg => {
            let other = app.owner().await;
            let client = match who {
                Who::InSuspendedOrg => other.clone(),
                Who::KeyOfSuspendedOrg => key(&other, "*").await,
                _ => stand_in(app, &other).await,
            };
            let suspend = sqlx::query(
                "update orgs set suspended_at = now(), suspension_reason = 'r' where id = $1",
            );
            suspend.bind(other.org()).execute(app.db.pool()).await.unwrap();
            app.db.changes().note(other.org());
            client
        }
        Who::Operator => app.operator().await,
        Who::StandIn => stand_in(app, owner).await,
    }
}

/// An operator in place of `owner`.
async fn stand_in(app: &TestApp, owner: &Client) -> Client {
    let operator = app.operator().await;
    app.advance(chrono::TimeDelta::seconds(30));
    let code = app.totp_code(operator.totp_url.as_ref().unwrap());
    let new = json!({ "user_id": owner.user(), "reason": "matrix", "code": code });
    let made = operator.post("/admin/v1/impersonations", new).await.ok();
    owner.with_key(made["token"].as_str().unwrap())
}

/// Calls with a body that no operation takes and, where one belongs, the id of nothing: so whoever is
/// let in is told so, or that there is no such thing, and nothing is done.
async fn answer(client: &Client, operation: &Operation) -> (Answer, u16, Value) {
    let id = uuid::Uuid::now_v7().to_string();
    let method = operation.method.clone();
    let has_body = ![Method::GET, Method::DELETE].contains(&method);
    let mut request = client.request(method, &fill_in(&operation.path, &id));
    if has_body {
        request = request.json(&json!([]));
    }
    let reply = request.send().await.unwrap();
    let status = reply.status();
    // What succeeds may be a stream without an end.
    let body =
        if status.is_success() { Value::Null } else { reply.json().await.unwrap_or_default() };
    let code = body["code"].as_str().unwrap_or_default();
    let answer = match (status.as_u16(), code) {
        (401, "unauthenticated" | "invalid_token") => Answer::Unauthenticated,
        (403, "forbidden") => Answer::Forbidden,
        (403, "organization_suspended") => Answer::Suspended,
        _ => Answer::Allowed,
    };
    (answer, status.as_u16(), body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_answers_everybody_as_it_is_declared() {
    let key = Some(SENDGRID_KEY.to_owned());
    let app = TestApp::start_with(|it| it.email.sendgrid_webhook_key = key).await;
    let owner = app.owner().await;
    let (mut wrong, mut calls) = (Vec::new(), 0);
    for who in Who::all() {
        let mut client = sign_in(&app, &owner, who).await;
        for operation in operations() {
            let expected = who.expects(&operation.access);
            let (found, status, body) = answer(&client, &operation).await;
            calls += 1;
            let Operation { method, path, .. } = &operation;
            if found != expected || status >= 500 {
                wrong
                    .push(format!("{method} {path} by {who:?}: {status} {body}, not {expected:?}"));
            }
            // It may have ended the session.
            if operation.method == Method::DELETE && !path.contains('{') && status < 300 {
                client = sign_in(&app, &owner, who).await;
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {calls}:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn every_operation_declares_who_may_call_it() {
    for Operation { method, path, access } in operations() {
        match access.audience {
            Audience::Anyone => {}
            Audience::Operators => assert!(path.starts_with("/admin/v1/"), "{method} {path}"),
            Audience::Callers(permission) => {
                assert!(!path.starts_with("/admin/"), "{method} {path} is for operators");
                let (resource, action) = permission.name.split_once(':').expect("resource:action");
                assert!(!resource.is_empty() && !action.is_empty(), "{method} {path}");
                assert!(permission.roles.contains(&Role::Owner), "owners cannot {method} {path}");
                let reads = method == Method::GET;
                assert!(
                    reads || action != "read",
                    "{method} {path} changes with {}",
                    permission.name
                );
            }
        }
    }
}

#[tokio::test]
async fn a_permission_means_the_same_wherever_it_is_asked_for() {
    let mut known: Vec<Permission> = Vec::new();
    for permission in operations().iter().filter_map(|it| it.access.permission().copied()) {
        match known.iter().find(|it| it.name == permission.name) {
            Some(same) => assert_eq!(*same, permission),
            None => known.push(permission),
        }
    }
}
