use std::sync::Arc;

use axum::{Json, Router, extract::State, http::StatusCode, routing::post};

use super::{Fault, Person, state::Provider};

/// The simulator's own endpoints, for scripts and other processes.
pub(super) fn routes() -> Router<Arc<Provider>> {
    Router::new()
        .route("/_simulator/person", post(set_person))
        .route("/_simulator/fault", post(misbehave).delete(recover))
}

async fn set_person(State(provider): State<Arc<Provider>>, Json(who): Json<Person>) -> StatusCode {
    provider.set_person(who);
    StatusCode::NO_CONTENT
}

async fn misbehave(State(provider): State<Arc<Provider>>, Json(fault): Json<Fault>) -> StatusCode {
    provider.set_fault(Some(fault));
    StatusCode::NO_CONTENT
}

async fn recover(State(provider): State<Arc<Provider>>) -> StatusCode {
    provider.set_fault(None);
    StatusCode::NO_CONTENT
}
