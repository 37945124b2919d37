use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{Method, request::Parts};
use web::{
    Access, Audience, Caller, Operation, Operator, Permissions, Problem, RateClass, RecentSignIn,
};

/// Finds out what a request is for, from the same list that documents the API.
#[derive(Clone)]
pub(crate) struct Operations {
    access: Arc<HashMap<(Method, String), Access>>,
    permissions: Permissions,
}

impl Operations {
    pub(crate) fn new(operations: Vec<Operation>) -> Self {
        let permissions = Permissions::of(&operations);
        let access = |it: Operation| ((it.method, it.path), it.access);
        Self { access: Arc::new(operations.into_iter().map(access).collect()), permissions }
    }

    /// Leaves the operation's [`Access`] in the extensions, for all that decides by it, and every
    /// [`Permission`](web::Permission) there is.
    pub(crate) fn name(&self, mut request: Request) -> Request {
        if let Some(access) = self.find(&request) {
            request.extensions_mut().insert(access);
            request.extensions_mut().insert(self.permissions.clone());
        }
        request
    }

    fn find(&self, request: &Request) -> Option<Access> {
        let path = request.extensions().get::<MatchedPath>()?.as_str().to_owned();
        let method = match request.method() {
            &Method::HEAD => Method::GET,
            method => method.clone(),
        };
        self.access.get(&(method, path)).copied()
    }
}

/// Middleware, after signing in and limits: only callers with the permission pass.
///
/// A request without an operation reaches no handler: there is only the answer "no such address".
pub(crate) async fn authorize(request: Request, next: Next) -> Response {
    let access = request.extensions().get::<Access>().copied();
    let (mut parts, body) = request.into_parts();
    let allowed = match access {
        None | Some(Access { audience: Audience::Anyone, .. }) => Ok(()),
        Some(access @ Access { audience: Audience::Callers(_), .. }) => {
            let caller = Caller::from_request_parts(&mut parts, &()).await;
            caller.and_then(|caller| caller.require(&access))
        }
        Some(Access { audience: Audience::Operators, .. }) => {
            Operator::from_request_parts(&mut parts, &()).await.map(|_| ())
        }
    };
    match allowed {
        Ok(()) if access.is_some_and(|access| access.recent) && !is_recent(&parts) => {
            Problem::sign_in_again().into_response()
        }
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => problem.into_response(),
    }
}

fn is_recent(parts: &Parts) -> bool {
    matches!(parts.extensions.get(), Some(RecentSignIn(true)))
}

/// Middleware that gives up on a handler after `limit`. AI calls and uploads keep their own time.
pub(crate) async fn time_out(
    State(limit): State<Duration>,
    request: Request,
    next: Next,
) -> Response {
    let class = request.extensions().get::<Access>().map(|access| access.class);
    if class.is_some_and(RateClass::keeps_its_own_time) {
        return next.run(request).await;
    }
    let answer = tokio::time::timeout(limit, next.run(request)).await;
    answer.unwrap_or_else(|_| web::timed_out().into_response())
}
