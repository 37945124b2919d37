//! Those who do what there is to do, each operation with success.

use auth::SignUp;
use chrono::TimeDelta;
use serde_json::{Value, json};
use testing::{Client, PASSWORD, Reply, TestApp};
use web::Role;

/// The people who take part.
pub(super) struct Cast {
    pub(super) app: TestApp,
    owner: Client,
    pub(super) operator: Client,
}

impl Cast {
    pub(super) async fn gather() -> Self {
        let app = TestApp::start_with(|settings| settings.auth.sign_up.sign_up = SignUp::Waitlist);
        let app = app.await;
        let (owner, operator) = (app.owner().await, app.operator().await);
        sqlx::query("update entitlements set seats = 100").execute(app.db.pool()).await.unwrap();
        Self { app, owner, operator }
    }

    /// Does what an operation is for, with success.
    pub(super) async fn perform(&self, operation: &str) -> Reply {
        let (method, path) = operation.split_once(' ').unwrap();
        if let Some(path) = path.strip_prefix("/admin/v1") {
            self.perform_as_operator(method, path).await
        } else if path.contains("/budgets") {
            self.perform_on_budget(method, path, &self.owner, "/v1/budgets", "org").await
        } else if path.starts_with("/v1/me/") || path.starts_with("/v1/sessions") {
            self.perform_on_oneself(operation).await
        } else if path.contains("/members") || path.contains("/ownership") {
            self.perform_among_members(operation).await
        } else {
            self.perform_as_owner(operation).await
        }
    }

    /// As somebody new, whose sessions may end.
    async fn perform_on_oneself(&self, operation: &str) -> Reply {
        let app = &self.app;
        let somebody = app.owner().await;
        match operation {
            "POST /v1/me/password" => {
                let new =
                    json!({ "current_password": PASSWORD, "password": "another long one 4711" });
                somebody.post("/v1/me/password", new).await
            }
            "POST /v1/me/email-changes" => {
                let new = json!({ "email": format!("new-{}", somebody.email) });
                somebody.post("/v1/me/email-changes", new).await
            }
            "DELETE /v1/sessions" => somebody.delete("/v1/sessions").await,
            "DELETE /v1/sessions/{id}" => {
                let list = somebody.get("/v1/sessions").await.ok();
                let id = list["items"][0]["id"].as_str().unwrap();
                somebody.delete(&format!("/v1/sessions/{id}")).await
            }
            _ => {
                let new = somebody.post("/v1/me/second-factor", json!({})).await.ok();
                let code = || json!({ "code": app.totp_code(new["totp_url"].as_str().unwrap()) });
                let on = somebody.post("/v1/me/second-factor/proof", code()).await;
                app.advance(TimeDelta::seconds(30));
                match operation {
                    "POST /v1/me/second-factor/proof" => on,
                    "POST /v1/me/second-factor/removal" => {
                        somebody.post("/v1/me/second-factor/removal", code()).await
                    }
                    "POST /v1/me/recovery-codes" => {
                        somebody.post("/v1/me/recovery-codes", json!({})).await
                    }
                    _ => panic!("the test does not know how to {operation}"),
                }
            }
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
            _ if operation.contains("/webhook-endpoints") => {
                self.perform_on_webhook(operation).await
            }
            "PUT /v1/ai-control" => owner.put("/v1/ai-control", json!({ "on": true })).await,
            _ => panic!("the test does not know how to {operation}"),
        }
    }

    async fn perform_on_webhook(&self, operation: &str) -> Reply {
        let (owner, url) = (&self.owner, json!({ "url": self.app.simulators.sink.url() }));
        let made = owner.post("/v1/webhook-endpoints", url).await;
        if operation == "POST /v1/webhook-endpoints" {
            return made;
        }
        let path = format!("/v1/webhook-endpoints/{}", made.ok()["id"].as_str().unwrap());
        match operation {
            "DELETE /v1/webhook-endpoints/{id}" => owner.delete(&path).await,
            "PATCH /v1/webhook-endpoints/{id}" => owner.patch(&path, json!({ "events": [] })).await,
            _ => {
                let what = operation.rsplit('/').next().unwrap();
                owner.post(&format!("{path}/{what}"), json!({})).await
            }
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
                self.make_or_remove(method, "/admin/v1/prices", price).await
            }
            ("POST", "/provider-costs") => {
                let csv = format!(
                    "provider,model,day,cost_nano_usd\nopenai,gpt-4o,{},70\n",
                    app.clock.now().date_naive()
                );
                operator.post("/admin/v1/provider-costs", json!({ "csv": csv })).await
            }
            (_, "/invite-codes" | "/invite-codes/{id}") => {
                let code = json!({ "note": "n", "uses": 1 });
                self.make_or_remove(method, "/admin/v1/invite-codes", code).await
            }
            (_, "/alert-silences" | "/alert-silences/{id}") => {
                let silence = json!({ "until": tomorrow, "reason": "r" });
                self.make_or_remove(method, "/admin/v1/alert-silences", silence).await
            }
            (_, "/ip-blocks" | "/ip-blocks/{id}") => {
                let network = if method == "POST" { "203.0.113.1" } else { "203.0.113.2" };
                let block = json!({ "network": network, "reason": "r" });
                self.make_or_remove(method, "/admin/v1/ip-blocks", block).await
            }
            ("PUT", "/ledger/closes/{month}") => {
                let month = quotas::Month::before(app.clock.now());
                operator.put(&format!("/admin/v1/ledger/closes/{month}"), json!({})).await
            }
            ("POST", "/billing/reconciliations" | "/alert-tests") => {
                operator.post(&format!("/admin/v1{path}"), json!({})).await
            }
            (_, path) if path.starts_with("/budgets") => {
                self.perform_on_budget(method, path, operator, "/admin/v1/budgets", "global").await
            }
            _ => self.perform_on_people(method, path).await,
        }
    }

    async fn perform_on_people(&self, method: &str, path: &str) -> Reply {
        let (app, operator) = (&self.app, &self.operator);
        match (method, path) {
            (_, "/orgs/{id}/suspension" | "/users/{id}/suspension") => {
                let other = app.owner().await;
                let path = match path {
                    "/orgs/{id}/suspension" => format!("/admin/v1/orgs/{}/suspension", other.org()),
                    _ => format!("/admin/v1/users/{}/suspension", other.user()),
                };
                let suspended = operator.put(&path, json!({ "reason": "r" })).await;
                if method == "PUT" { suspended } else { operator.delete(&path).await }
            }
            ("POST", "/users/{id}/second-factor-reset") => {
                let somebody = app.owner().await;
                let new = somebody.post("/v1/me/second-factor", json!({})).await.ok();
                let code = json!({ "code": app.totp_code(new["totp_url"].as_str().unwrap()) });
                somebody.post("/v1/me/second-factor/proof", code).await.ok();
                let path = format!("/admin/v1/users/{}/second-factor-reset", somebody.user());
                operator.post(&path, json!({})).await
            }
            ("POST", "/waitlist-entries/{id}/invitation") => {
                let entry = json!({ "email": "waiting@example.com" });
                app.anonymous().post("/v1/waitlist-entries", entry).await.ok_text();
                let list = operator.get("/admin/v1/waitlist-entries").await.ok();
                let id = list["items"][0]["id"].as_str().unwrap();
                let path = format!("/admin/v1/waitlist-entries/{id}/invitation");
                operator.post(&path, json!({})).await
            }
            (_, "/prompts/{name}") => {
                let prompt = "/admin/v1/prompts/projects.draft";
                match method {
                    "PUT" => operator.put(prompt, json!({ "text": "Write." })).await,
                    _ => operator.delete(prompt).await,
                }
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
            _ => panic!("the test does not know how to {method} /admin/v1{path}"),
        }
    }

    async fn make_or_remove(&self, method: &str, collection: &str, new: Value) -> Reply {
        let made = self.operator.post(collection, new).await;
        if method == "POST" {
            return made;
        }
        let id = made.ok()["id"].as_str().unwrap().to_owned();
        self.operator.delete(&format!("{collection}/{id}")).await
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

    pub(super) async fn events(&self, action: &str) -> i64 {
        let count = sqlx::query_scalar("select count(*) from audit_events where action = $1");
        count.bind(action).fetch_one(self.app.db.pool()).await.unwrap()
    }
}
