//! How handlers speak HTTP: who calls, what they send, how failure reads.

mod access;
mod browser;
mod caller;
mod client_ip;
mod cookies;
mod csrf;
mod etag;
mod extract;
mod headers;
mod page;
mod permissions;
mod problem;
mod problem_layer;
mod request_id;
mod routes;

pub use access::{Access, Audience, Permission, RateClass, StandIns};
pub use browser::{JsonOrForm, WantsPage};
pub use caller::{Caller, Credential, Identity, Operator, RecentSignIn, Role, Scopes, Tier};
pub use client_ip::{ClientIp, TrustedProxies};
pub use cookies::{ACCESS_COOKIE, COOKIES, REFRESH_COOKIE, SIGN_IN_COOKIE, cookie, has_cookies};
pub use csrf::{SameSite, same_site};
pub use etag::{Etag, IfMatch};
pub use extract::{Html, Json, Path, Query, RawJson};
pub use headers::{CONTENT_SECURITY_POLICY, security_headers};
pub use page::{Page, PageQuery};
pub use permissions::{Permissions, permissions_markdown};
pub use problem::{FieldError, Problem};
pub use problem_layer::{fallback, method_not_allowed, panicked, render_problems, timed_out};
pub use request_id::{MakeRequestId, RequestId};
pub use routes::{Operation, Routes};

/// What handlers return.
pub type Result<T, E = Problem> = std::result::Result<T, E>;
