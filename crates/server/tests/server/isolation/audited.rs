//! Every sensitive operation is written down in the audit log. This is the list.

use std::{fs, path::Path};

use serde_json::json;
use web::Audience;

use super::{cast::Cast, operations};

/// Operations that change who may do what, what may be spent, or what holds for everybody; and what
/// each of them writes.
const AUDITED: &[(&str, &str)] = &[
    ("POST /v1/me/password", "password.changed"),
    ("POST /v1/me/email-changes", "email_change.requested"),
    ("POST /v1/me/second-factor/proof", "second_factor.enabled"),
    ("POST /v1/me/second-factor/removal", "second_factor.disabled"),
    ("POST /v1/me/recovery-codes", "recovery_codes.renewed"),
    ("DELETE /v1/sessions/{id}", "session.revoked"),
    ("DELETE /v1/sessions", "sessions.revoked"),
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
    ("POST /v1/webhook-endpoints", "webhook_endpoint.created"),
    ("PATCH /v1/webhook-endpoints/{id}", "webhook_endpoint.changed"),
    ("DELETE /v1/webhook-endpoints/{id}", "webhook_endpoint.deleted"),
    ("POST /v1/webhook-endpoints/{id}/rotations", "webhook_endpoint.rotated"),
    ("POST /v1/webhook-endpoints/{id}/replays", "webhook_events.replayed"),
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
    ("PUT /admin/v1/prompts/{name}", "prompt.changed"),
    ("DELETE /admin/v1/prompts/{name}", "prompt.changed"),
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
    ("POST /admin/v1/users/{id}/second-factor-reset", "second_factor.reset"),
    ("POST /admin/v1/invite-codes", "invite_code.created"),
    ("DELETE /admin/v1/invite-codes/{id}", "invite_code.removed"),
    ("POST /admin/v1/waitlist-entries/{id}/invitation", "waitlist.invited"),
    ("POST /admin/v1/ip-blocks", "ip_block.created"),
    ("DELETE /admin/v1/ip-blocks/{id}", "ip_block.removed"),
    ("POST /admin/v1/impersonations", "impersonation.started"),
    ("DELETE /admin/v1/impersonations/{id}", "impersonation.ended"),
    ("DELETE /admin/v1/operators/{id}", "operator.disabled"),
    ("POST /admin/v1/alert-silences", "alert_silence.begun"),
    ("DELETE /admin/v1/alert-silences/{id}", "alert_silence.ended"),
    ("POST /admin/v1/prices", "price.proposed"),
    ("DELETE /admin/v1/prices/{id}", "price.withdrawn"),
    ("POST /admin/v1/provider-costs", "provider_costs.imported"),
    ("PUT /admin/v1/ledger/closes/{month}", "ledger.month_closed"),
    ("POST /admin/v1/billing/reconciliations", "billing.reconciled"),
    ("POST /admin/v1/alert-tests", "alerts.tested"),
];

/// The same, of what takes a provider, a device, a bought subscription, a catalogue or a job that failed to be done:
/// tests of the features do it, and look for what is written.
const AUDITED_ELSEWHERE: &[(&str, &str)] = &[
    ("DELETE /v1/me/identities/{id}", "identity.unlinked"),
    ("POST /v1/me/passkeys", "passkey.added"),
    ("DELETE /v1/me/passkeys/{id}", "passkey.removed"),
    ("PATCH /v1/billing/subscription", "subscription.changed"),
    ("DELETE /v1/billing/subscription", "subscription.cancelled"),
    ("PUT /v1/billing/details", "billing_details.changed"),
    ("PUT /admin/v1/catalogue", "catalogue.published"),
    ("POST /admin/v1/coupons", "coupon.created"),
    ("DELETE /admin/v1/coupons/{id}", "coupon.disabled"),
    ("POST /v1/me/exports", "export.requested"),
    ("POST /v1/org/exports", "export.requested"),
    ("POST /v1/me/deletion", "deletion.requested"),
    ("DELETE /v1/me/deletion", "deletion.cancelled"),
    ("POST /v1/org/deletion", "deletion.requested"),
    ("DELETE /v1/org/deletion", "deletion.cancelled"),
    ("POST /v1/me/policy-acceptances", "policy.accepted"),
    ("PUT /v1/me/consents/{purpose}", "consent.decided"),
    ("PUT /v1/me/prompt-retention", "prompt_retention.changed"),
    ("PUT /v1/org/prompt-retention", "prompt_retention.changed"),
    ("POST /admin/v1/policies", "policy.published"),
    ("PUT /admin/v1/flags/{key}", "flag.changed"),
    ("DELETE /admin/v1/flags/{key}", "flag.removed"),
    ("POST /admin/v1/experiments", "experiment.begun"),
    ("POST /admin/v1/experiments/{key}/end", "experiment.ended"),
    ("POST /admin/v1/announcements", "announcement.published"),
    ("DELETE /admin/v1/announcements/{id}", "announcement.withdrawn"),
    ("POST /admin/v1/tickets/{id}/messages", "ticket.answered"),
    ("PATCH /admin/v1/tickets/{id}", "ticket.set"),
    ("POST /admin/v1/deletions", "deletion.requested"),
    ("DELETE /admin/v1/deletions/{id}", "deletion.cancelled"),
    ("POST /v1/approvals", "approval.requested"),
    ("DELETE /v1/approvals/{id}", "approval.revoked"),
    ("POST /v1/projects/{id}/links", "project_link.created"),
    ("DELETE /v1/projects/{id}/links/{link}", "project_link.revoked"),
    ("POST /admin/v1/emails/{id}/retries", "email.retried"),
    ("POST /admin/v1/email-suppressions", "email_suppression.created"),
    ("DELETE /admin/v1/email-suppressions/{id}", "email_suppression.removed"),
    ("PUT /admin/v1/orgs/{id}/plan-grant", "plan.granted"),
    ("DELETE /admin/v1/orgs/{id}/plan-grant", "plan.withdrawn"),
    ("PUT /admin/v1/billing/orgs/{id}/closure", "billing.closed"),
    ("POST /admin/v1/billing/events/{id}/replays", "stripe_event.replayed"),
    ("POST /admin/v1/billing/event-replays", "stripe_events.replayed"),
    ("POST /admin/v1/billing/payments/{id}/refunds", "refund.requested"),
    ("POST /admin/v1/jobs/{id}/retries", "job.retried"),
    ("DELETE /admin/v1/jobs/{id}", "job.discarded"),
];

/// The same, of what anybody may call: a link from a mail, an account elsewhere or a factor is what says who they are.
const AUDITED_PUBLIC: &[(&str, &str)] = &[
    ("POST /admin/v1/enrolment-proofs", "operator.enrolled"),
    ("POST /admin/v1/sessions", "operator.signed_in"),
    ("POST /v1/approval-links/{token}", "approval.approved"),
    ("POST /v1/email-change-reversals/{token}", "email_change.undone"),
    ("POST /v1/email-changes/{token}", "email.changed"),
    ("POST /v1/email-verifications/{token}", "user.registered"),
    ("POST /v1/invitation-links/{token}", "invitation.accepted"),
    ("POST /v1/password-resets/{token}", "password.reset"),
    ("POST /v1/sessions/passkey", "passkey.copied"),
    ("POST /v1/social-logins/callback", "identity.linked"),
    ("POST /v1/tokens", "session.refresh_token_reused"),
];

/// What anybody may ask for, and what leads to a session, which its owner sees among theirs.
const ORDINARY_PUBLIC: &[&str] = &[
    "POST /admin/v1/enrolments",
    "POST /v1/client-errors",
    "POST /v1/email-unsubscribes/{token}",
    "POST /v1/email-verifications",
    "POST /v1/magic-links",
    "POST /v1/magic-links/{code}",
    "POST /v1/passkey-ceremonies",
    "POST /v1/password-resets",
    "POST /v1/sessions",
    "POST /v1/sessions/magic-link",
    "POST /v1/sessions/second-factor",
    "POST /v1/social-logins",
    "POST /v1/users",
    "POST /v1/waitlist-entries",
    "POST /v1/webhooks/resend",
    "POST /v1/webhooks/sendgrid",
    "POST /v1/webhooks/stripe",
    "PUT /v1/upload-links/{id}/parts/{number}",
];

/// Changes that are ordinary use: they are found where their results are.
const ORDINARY: &[&str] = &[
    "DELETE /v1/assets/{id}",
    "DELETE /v1/conversations/{id}",
    "DELETE /v1/creations/{id}",
    "DELETE /v1/personas/{id}",
    "DELETE /v1/templates/{id}",
    "DELETE /v1/files/{id}",
    "DELETE /v1/generations/{id}",
    "DELETE /v1/projects/{id}",
    "DELETE /v1/sessions/current",
    "PATCH /v1/me",
    "PATCH /v1/projects",
    "PATCH /v1/me/passkeys/{id}",
    "PATCH /v1/projects/{id}",
    "POST /admin/v1/replays",
    "PATCH /v1/me/email-preferences",
    "DELETE /v1/uploads/{id}",
    "POST /v1/assets/{id}/links",
    "POST /v1/batches",
    "POST /v1/batches/{id}/cancel",
    "POST /v1/billing/checkout-sessions",
    "POST /v1/billing/coupon-redemptions",
    "POST /v1/billing/portal-sessions",
    "POST /v1/billing/subscription/previews",
    "POST /v1/chat/completions",
    "POST /v1/conversations",
    "POST /v1/conversations/{id}/messages",
    "POST /v1/creations",
    "POST /v1/creations/{id}/steps/{step}/retries",
    "POST /v1/embeddings",
    "POST /v1/experiments/{key}/conversions",
    "POST /v1/experiments/{key}/exposures",
    "POST /v1/files",
    "POST /v1/images/generations",
    "POST /v1/me/identities",
    "POST /v1/me/passkey-ceremonies",
    "POST /v1/me/passkey-registrations",
    "POST /v1/me/second-factor",
    "POST /v1/messages",
    "POST /v1/messages/count_tokens",
    "POST /v1/personas",
    "POST /v1/projects",
    "POST /v1/projects/{id}/copies",
    "POST /v1/projects/{id}/drafts",
    "POST /v1/projects/{id}/exports",
    "POST /v1/projects/{id}/versions/{version}/restoration",
    "POST /v1/quotes",
    "POST /v1/reauthentications",
    "POST /v1/templates",
    "POST /v1/templates/{id}/previews",
    "POST /v1/webhook-endpoints/{id}/test-events",
    "POST /v1/uploads",
    "POST /v1/uploads/{id}/completion",
    "POST /v1/uploads/{id}/links",
    "PATCH /v1/me/notifications/{number}",
    "PATCH /v1/tickets/{id}",
    "POST /v1/feedback",
    "POST /v1/tickets",
    "POST /v1/tickets/{id}/messages",
    "PUT /v1/jobs/{id}/cancellation",
    "PUT /v1/me/notifications/read-mark",
    "PUT /v1/me/onboarding/{step}",
    "PUT /v1/creations/{id}/rating",
    "PUT /v1/me/preferences",
    "PUT /v1/personas/{id}",
    "PUT /v1/sessions/current/org",
    "PUT /v1/templates/{id}",
    "PUT /v1/uploads/{id}/parts/{number}",
];

#[tokio::test]
async fn every_change_is_audited_or_known_to_be_ordinary() {
    let mut unknown = Vec::new();
    for operation in operations() {
        let name = format!("{} {}", operation.method, operation.path);
        let changes = operation.method != reqwest::Method::GET;
        let is_public = operation.access.audience == Audience::Anyone;
        let (audited, ordinary) = if is_public {
            (named(AUDITED_PUBLIC, &name), ORDINARY_PUBLIC.contains(&name.as_str()))
        } else {
            let audited = named(AUDITED, &name) || named(AUDITED_ELSEWHERE, &name);
            (audited, ORDINARY.contains(&name.as_str()))
        };
        assert!(!(audited && ordinary), "{name} is in both lists");
        let of_operators = operation.access.audience == Audience::Operators;
        // A replay asks the model again what somebody asked it, and keeps nothing of it.
        let known = name == "POST /admin/v1/replays";
        assert!(!(of_operators && ordinary) || known, "{name}: what operators change is audited");
        if changes && !audited && !ordinary {
            unknown.push(name);
        }
    }
    assert_eq!(unknown, [""; 0], "changes in neither list");
    let exists =
        |name: &str| operations().iter().any(|it| format!("{} {}", it.method, it.path) == name);
    let audited = AUDITED.iter().chain(AUDITED_ELSEWHERE).chain(AUDITED_PUBLIC);
    for name in audited.map(|(name, _)| name).chain(ORDINARY).chain(ORDINARY_PUBLIC) {
        assert!(exists(name), "{name} is no operation");
    }
}

fn named(list: &[(&str, &str)], name: &str) -> bool {
    list.iter().any(|(it, _)| *it == name)
}

#[test]
fn what_is_audited_elsewhere_is_looked_for_by_a_test_there() {
    let mut sources = String::new();
    for feature in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).unwrap() {
        let feature = feature.unwrap();
        let tests = feature.path().join("tests");
        // The list above is no test.
        if feature.file_name() != "server" && tests.is_dir() {
            read_all(&tests, &mut sources);
        }
    }
    for (operation, action) in AUDITED_ELSEWHERE.iter().chain(AUDITED_PUBLIC) {
        let quoted = [format!("'{action}'"), format!("\"{action}\""), format!("={action}\"")];
        assert!(quoted.iter().any(|it| sources.contains(it)), "{operation}: {action}");
    }
}

fn read_all(directory: &Path, text: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, text);
        } else if path.extension().is_some_and(|it| it == "rs") {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_sensitive_operation_is_written_down_and_the_log_stays_whole() {
    let cast = Cast::gather().await;
    for (operation, action) in AUDITED {
        let before = cast.events(action).await;
        let reply = cast.perform(operation).await;
        assert!(reply.status.is_success(), "{operation}: {reply:?}");
        assert!(cast.events(action).await > before, "{operation} does not write {action}");
    }
    cast.app.audit.seal().await.unwrap();
    let found = cast.operator.get("/admin/v1/audit-log/verification").await.ok();
    assert_eq!(found["breaks"], json!([]));
    assert!(found["seals"].as_u64().unwrap() >= AUDITED.len() as u64, "{found}");
}
