//! Every sensitive operation is written down in the audit log. This is the list.

use chrono::TimeDelta;
use serde_json::json;
use testing::{Client, Reply, TestApp};
use web::{Audience, Role};

use super::operations;

/// Operations that change who may do what, what may be spent, or what holds for everybody; and what
/// each of them writes.
const AUDITED: &[(&str, &str)] = &[
    ("POST /v1/api-keys", "api_key.created"),
    ("DELETE /v1/api-keys/{id}", "api_key.revoked"),
    ("POST /v1/api-keys/{id}/rotations", "api_key.rotated"),
    ("POST /v1/orgs", "org.created"),
    ("PATCH /v1/org", "org.renamed"),
    ("POST /v1/invitations", "invitation.created"),
    ("POST /v1/invitations/{id}/mails", "invitation.sent_again"),
    ("DELETE /v1/invitations/{id}", "invitation.revoked"),
    ("PATCH /v1/members/{id}", "member.role_changed"),
    ("DELETE /v1/members/{id}", "member.removed"),
    ("DELETE /v1/members/me", "member.left"),
    ("PUT /v1/ownership-transfer", "ownership.offered"),
    ("DELETE /v1/ownership-transfer", "ownership.withdrawn"),
    ("POST /v1/ownership-transfer/acceptance", "ownership.transferred"),
    ("POST /v1/budgets", "budget.created"),
    ("PATCH /v1/budgets/{id}", "budget.changed"),
    ("DELETE /v1/budgets/{id}", "budget.removed"),
    ("PUT /v1/budgets/{id}/raise", "budget.raised"),
    ("DELETE /v1/budgets/{id}/raise", "budget.raised"),
    ("PUT /v1/ai-control", "ai_control.changed"),
    ("DELETE /admin/v1/sessions/current", "operator.signed_out"),
    ("PUT /admin/v1/ai-control", "ai_control.changed"),
    ("PUT /admin/v1/orgs/{id}/ai-control", "ai_control.changed"),
    ("PUT /admin/v1/ai-routes/{name}", "ai_route.changed"),
    ("DELETE /admin/v1/ai-routes/{name}", "ai_route.changed"),
    ("POST /admin/v1/budgets", "budget.created"),
    ("PATCH /admin/v1/budgets/{id}", "budget.changed"),
    ("DELETE /admin/v1/budgets/{id}", "budget.removed"),
    ("PUT /admin/v1/budgets/{id}/raise", "budget.raised"),
    ("DELETE /admin/v1/budgets/{id}/raise", "budget.raised"),
    ("POST /admin/v1/orgs/{id}/grants", "credits.granted"),
    ("PUT /admin/v1/orgs/{id}/suspension", "org.suspended"),
    ("DELETE /admin/v1/orgs/{id}/suspension", "org.unsuspended"),
    ("PUT /admin/v1/users/{id}/suspension", "user.suspended"),
    ("DELETE /admin/v1/users/{id}/suspension", "user.unsuspended"),
    ("POST /admin/v1/impersonations", "impersonation.started"),
    ("DELETE /admin/v1/impersonations/{id}", "impersonation.ended"),
    ("DELETE /admin/v1/operators/{id}", "operator.disabled"),
    ("POST /admin/v1/prices", "price.proposed"),
    ("DELETE /admin/v1/prices/{id}", "price.withdrawn"),
    ("POST /admin/v1/provider-costs", "provider_costs.imported"),
];

/// The same, of what takes a bought subscription or a catalogue to be done: billing's own tests do it.
const AUDITED_BY_BILLING: &[(&str, &str)] = &[
    ("PATCH /v1/billing/subscription", "subscription.changed"),
    ("DELETE /v1/billing/subscription", "subscription.cancelled"),
    ("PUT /v1/billing/details", "billing_details.changed"),
    ("PUT /admin/v1/catalogue", "catalogue.published"),
    ("POST /admin/v1/coupons", "coupon.created"),
    ("DELETE /admin/v1/coupons/{id}", "coupon.disabled"),
    ("PUT /admin/v1/orgs/{id}/plan-grant", "plan.granted"),
    ("DELETE /admin/v1/orgs/{id}/plan-grant", "plan.withdrawn"),
    ("PUT /admin/v1/billing/orgs/{id}/closure", "billing.closed"),
    ("POST /admin/v1/billing/events/{id}/replays", "stripe_event.replayed"),
    ("POST /admin/v1/billing/event-replays", "stripe_events.replayed"),
    ("POST /admin/v1/billing/payments/{id}/refunds", "refund.requested"),
];

/// Changes that are ordinary use: they are found where their results are.
const ORDINARY: &[&str] = &[
    "DELETE /v1/files/{id}",
    "DELETE /v1/generations/{id}",
    "DELETE /v1/projects/{id}",
    "DELETE /v1/sessions/current",
    "PATCH /v1/projects/{id}",
    "POST /admin/v1/billing/reconciliations",
    "POST /admin/v1/replays",
    "PUT /admin/v1/ledger/closes/{month}",
    "POST /v1/batches",
    "POST /v1/batches/{id}/cancel",
    "POST /v1/billing/checkout-sessions",
    "POST /v1/billing/coupon-redemptions",
    "POST /v1/billing/portal-sessions",
    "POST /v1/billing/subscription/previews",
    "POST /v1/chat/completions",
    "POST /v1/embeddings",
    "POST /v1/files",
    "POST /v1/images/generations",
    "POST /v1/messages",
    "POST /v1/messages/count_tokens",
    "POST /v1/projects",
    "POST /v1/quotes",
    "PUT /v1/sessions/current/org",
];

#[test]
fn every_change_is_audited_or_known_to_be_ordinary() {
    let mut unknown = Vec::new();
    for operation in operations() {
        let name = format!("{} {}", operation.method, operation.path);
        let changes = operation.method != reqwest::Method::GET;
        let audited = AUDITED.iter().chain(AUDITED_BY_BILLING).any(|(it, _)| *it == name);
        let ordinary = ORDINARY.contains(&name.as_str());
        assert!(!(audited && ordinary), "{name} is in both lists");
        if changes && operation.access.audience != Audience::Anyone && !audited && !ordinary {
            unknown.push(name);
        }
    }
    assert_eq!(unknown, [""; 0], "changes in neither list");
    let exists =
        |name: &str| operations().iter().any(|it| format!("{} {}", it.method, it.path) == name);
    let audited = AUDITED.iter().chain(AUDITED_BY_BILLING).map(|(name, _)| name);
    for name in audited.chain(ORDINARY) {
        assert!(exists(name), "{name} is no operation");
    }
}

/// The people who take part.
struct Cast {
    app: TestApp,
    owner: Client,
    operator: Client,
}

impl Cast {
    /// Does what an operation is for, with success.
    async fn perform(&self, operation: &str) -> Reply {
        let (method, path) = operation.split_once(' ').unwrap();
        if let Some(path) = path.strip_prefix("/admin/v1") {
            self.perform_as_operator(method, path).await
        } else if path.contains("/budgets") {
            self.perform_on_budget(method, path, &self.owner, "/v1/budgets", "org").await
        } else if path.contains("/members") || path.contains("/ownership") {
            self.perform_among_members(operation).await
        } else {
            self.perform_as_owner(operation).await
        }
    }

    async fn perform_among_members(&self, operation: &str) -> Reply {
        let (app, owner) = (&self.app, &self.owner);
        let member = app.member(owner, Role::Member).await;
        let path = format!("/v1/members/{}", member.user());
        match operation {
            "PATCH /v1/members/{id}" => owner.patch(&path, json!({ "role": "viewer" })).await,
            "DELETE /v1/members/{id}" => owner.delete(&path).await,
            "DELETE /v1/members/me" => member.delete("/v1/members/me").await,
            _ => {
                let offer = json!({ "to_user_id": member.user() });
                let offered = owner.put("/v1/ownership-transfer", offer).await;
                match operation {
                    "PUT /v1/ownership-transfer" => offered,
                    "DELETE /v1/ownership-transfer" => {
                        member.delete("/v1/ownership-transfer").await
                    }
                    _ => {
                        let accept = "/v1/ownership-transfer/acceptance";
                        let accepted = member.post(accept, json!({})).await;
                        app.set_role(owner, owner, Role::Owner).await;
                        accepted
                    }
                }
            }
        }
    }

    async fn perform_as_owner(&self, operation: &str) -> Reply {
        let owner = &self.owner;
        match operation {
            "POST /v1/api-keys" => owner.post("/v1/api-keys", json!({ "name": "a" })).await,
            "DELETE /v1/api-keys/{id}" => {
                let key = owner.post("/v1/api-keys", json!({ "name": "b" })).await.ok();
                owner.delete(&format!("/v1/api-keys/{}", key["id"].as_str().unwrap())).await
            }
            "POST /v1/api-keys/{id}/rotations" => {
                let key = owner.post("/v1/api-keys", json!({ "name": "c" })).await.ok();
                let path = format!("/v1/api-keys/{}/rotations", key["id"].as_str().unwrap());
                owner.post(&path, json!({})).await
            }
            "POST /v1/orgs" => owner.post("/v1/orgs", json!({ "name": "Second" })).await,
            "PATCH /v1/org" => owner.patch("/v1/org", json!({ "name": "Renamed" })).await,
            _ if operation.contains("/invitations") => {
                let guest = json!({ "email": format!("{}@example.com", uuid::Uuid::now_v7()), "role": "viewer" });
                let invited = owner.post("/v1/invitations", guest).await;
                if operation == "POST /v1/invitations" {
                    return invited;
                }
                let path = format!("/v1/invitations/{}", invited.ok()["id"].as_str().unwrap());
                match operation {
                    "DELETE /v1/invitations/{id}" => owner.delete(&path).await,
                    _ => owner.post(&format!("{path}/mails"), json!({})).await,
                }
            }
            "PUT /v1/ai-control" => owner.put("/v1/ai-control", json!({ "on": true })).await,
            _ => panic!("the test does not know how to {operation}"),
        }
    }

    async fn perform_as_operator(&self, method: &str, path: &str) -> Reply {
        let (app, operator) = (&self.app, &self.operator);
        let org = self.owner.org();
        let tomorrow = app.clock.now() + TimeDelta::days(1);
        match (method, path) {
            ("DELETE", "/sessions/current") => {
                app.operator().await.delete("/admin/v1/sessions/current").await
            }
            ("PUT", "/ai-control") => {
                operator.put("/admin/v1/ai-control", json!({ "on": true })).await
            }
            ("PUT", "/orgs/{id}/ai-control") => {
                operator
                    .put(&format!("/admin/v1/orgs/{org}/ai-control"), json!({ "on": true }))
                    .await
            }
            (_, "/orgs/{id}/suspension" | "/users/{id}/suspension") => {
                let other = app.owner().await;
                let path = match path {
                    "/orgs/{id}/suspension" => format!("/admin/v1/orgs/{}/suspension", other.org()),
                    _ => format!("/admin/v1/users/{}/suspension", other.user()),
                };
                let suspended = operator.put(&path, json!({ "reason": "r" })).await;
                if method == "PUT" { suspended } else { operator.delete(&path).await }
            }
            (_, "/impersonations" | "/impersonations/{id}") => {
                app.advance(TimeDelta::seconds(30));
                let code = app.totp_code(operator.totp_url.as_ref().unwrap());
                let body = json!({ "user_id": self.owner.user(), "reason": "r", "code": code });
                let made = operator.post("/admin/v1/impersonations", body).await;
                if method == "POST" {
                    return made;
                }
                let id = made.ok()["id"].as_str().unwrap().to_owned();
                operator.delete(&format!("/admin/v1/impersonations/{id}")).await
            }
            ("DELETE", "/operators/{id}") => {
                let other = app.operator().await;
                let list = operator.get("/admin/v1/operators?limit=100").await.ok();
                let mut list = list["items"].as_array().unwrap().iter();
                let other = list.find(|it| it["email"] == other.email).unwrap();
                operator
                    .delete(&format!("/admin/v1/operators/{}", other["id"].as_str().unwrap()))
                    .await
            }
            (_, "/ai-routes/{name}") => {
                let rules = json!({ "rules": [{ "models": ["gpt-4o"] }] });
                let set = operator.put("/admin/v1/ai-routes/house", rules).await;
                match method {
                    "PUT" => set,
                    _ => operator.delete("/admin/v1/ai-routes/house").await,
                }
            }
            ("POST", "/orgs/{id}/grants") => {
                let gift = json!({ "credits": 5, "reason": "r", "reference": "audited" });
                operator.post(&format!("/admin/v1/orgs/{org}/grants"), gift).await
            }
            (_, "/prices" | "/prices/{id}") => {
                let price = json!({
                    "provider": "openai", "name": method, "kind": "chat", "effective_from": tomorrow,
                    "source": "https://example.com", "input_per_million": 1, "output_per_million": 2,
                    "credits": 1,
                });
                let proposed = operator.post("/admin/v1/prices", price).await;
                if method == "POST" {
                    return proposed;
                }
                let id = proposed.ok()["id"].as_str().unwrap().to_owned();
                operator.delete(&format!("/admin/v1/prices/{id}")).await
            }
            ("POST", "/provider-costs") => {
                let csv = format!(
                    "provider,model,day,cost_nano_usd\nopenai,gpt-4o,{},70\n",
                    app.clock.now().date_naive()
                );
                operator.post("/admin/v1/provider-costs", json!({ "csv": csv })).await
            }
            (_, path) if path.starts_with("/budgets") => {
                self.perform_on_budget(method, path, operator, "/admin/v1/budgets", "global").await
            }
            _ => panic!("the test does not know how to {method} /admin/v1{path}"),
        }
    }

    /// On a budget of its own: with `method` as the operation that no other budget counts.
    async fn perform_on_budget(
        &self,
        method: &str,
        path: &str,
        by: &Client,
        collection: &str,
        scope: &str,
    ) -> Reply {
        let raise = path.ends_with("/raise");
        let word = format!("{}{}", method.to_lowercase(), if raise { "raise" } else { "" });
        let budget = json!({
            "scope": scope, "period": "day", "unit": "requests", "amount": 5, "operation": word,
        });
        let created = by.post(collection, budget).await;
        if method == "POST" {
            return created;
        }
        let path = format!("{collection}/{}", created.ok()["id"].as_str().unwrap());
        let until = self.app.clock.now() + TimeDelta::days(1);
        let more = json!({ "by": 1, "until": until });
        match (method, raise) {
            ("PATCH", _) => by.patch(&path, json!({ "amount": 6 })).await,
            ("PUT", _) => by.put(&format!("{path}/raise"), more).await,
            (_, true) => {
                by.put(&format!("{path}/raise"), more).await.ok();
                by.delete(&format!("{path}/raise")).await
            }
            _ => by.delete(&path).await,
        }
    }

    async fn events(&self, action: &str) -> i64 {
        let count = sqlx::query_scalar("select count(*) from audit_events where action = $1");
        count.bind(action).fetch_one(self.app.db.pool()).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sensitive_operation_is_written_down_and_the_log_stays_whole() {
    let app = TestApp::start().await;
    let (owner, operator) = (app.owner().await, app.operator().await);
    sqlx::query("update entitlements set seats = 100").execute(app.db.pool()).await.unwrap();
    let cast = Cast { app, owner, operator };
    for (operation, action) in AUDITED {
        let before = cast.events(action).await;
        let reply = cast.perform(operation).await;
        assert!(reply.status.is_success(), "{operation}: {reply:?}");
        assert!(cast.events(action).await > before, "{operation} does not write {action}");
    }
    let found = cast.operator.get("/admin/v1/audit-log/verification").await.ok();
    assert_eq!(found["breaks"], json!([]));
    assert!(found["seals"].as_u64().unwrap() >= AUDITED.len() as u64, "{found}");
}
