use std::{convert::Infallible, fmt::Write, sync::Arc};

use axum::{extract::FromRequestParts, http::request::Parts};

use crate::{Audience, Operation, Permission, Role, StandIns};

/// Every permission that some operation asks for, by name. Kept in the request's extensions.
#[derive(Clone, Debug, Default)]
pub struct Permissions(Arc<[Permission]>);

impl Permissions {
    /// Those of `operations`.
    pub fn of(operations: &[Operation]) -> Self {
        let mut all: Vec<Permission> =
            operations.iter().filter_map(|it| it.access.permission().copied()).collect();
        all.sort_by_key(|permission| permission.name);
        all.dedup_by_key(|permission| permission.name);
        Self(all.into())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Permission> {
        self.0.iter()
    }

    /// Whether an API key may have `scope`: the name of a permission that keys may have, or one of
    /// the two that stand for many.
    pub fn is_scope(&self, scope: &str) -> bool {
        ["*", "*:read"].contains(&scope) || self.0.iter().any(|it| it.keys && it.name == scope)
    }
}

impl<S: Sync> FromRequestParts<S> for Permissions {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_default())
    }
}

/// Who may do what, as two tables for people: by permission, and by operation.
pub fn permissions_markdown(operations: &[Operation]) -> String {
    let mut text = String::from(
        "## By permission\n\n| permission | owner | admin | member | billing | viewer | API keys |\n|---|---|---|---|---|---|---|\n",
    );
    for permission in Permissions::of(operations).iter() {
        let mark = |it: bool| if it { "yes" } else { "" };
        let roles = Role::ALL.map(|role| mark(permission.roles.contains(&role)));
        let (roles, keys) = (roles.join(" | "), mark(permission.keys));
        let _ = writeln!(text, "| `{}` | {roles} | {keys} |", permission.name);
    }
    text.push_str("\n## By operation\n\n| operation | who |\n|---|---|\n");
    let mut lines: Vec<String> = operations
        .iter()
        .map(|Operation { method, path, access }| {
            let who = match access.audience {
                Audience::Anyone => "anybody".to_owned(),
                Audience::Callers(permission) => {
                    let refused = access.stand_ins == StandIns::Refused;
                    let but = if refused { ", nobody standing in" } else { "" };
                    format!("`{}`{but}", permission.name)
                }
                Audience::Operators => "operators".to_owned(),
            };
            format!("| `{path}` {method} | {who} |\n")
        })
        .collect();
    lines.sort();
    text + &lines.concat()
}
