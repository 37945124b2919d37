use axum::http::Method;
use utoipa::openapi::{
    ContentBuilder, ObjectBuilder, Ref, RefOr, Required, ResponseBuilder, SecurityRequirement,
    Type,
    extensions::ExtensionsBuilder,
    path::{Operation as Documented, Parameter, ParameterBuilder, ParameterIn, Paths},
};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use crate::{Access, Audience, StandIns};

/// Routes together with their documentation and who may use them.
///
/// There is no way to add a route without saying who may call it, so nothing is open by omission.
pub struct Routes<S = ()> {
    router: OpenApiRouter<S>,
    operations: Vec<Operation>,
}

/// One method of one address.
#[derive(Clone, Debug)]
pub struct Operation {
    /// `GET`, `POST`, …
    pub method: Method,
    /// The address with its parameters, as in the OpenAPI document: `/v1/projects/{id}`.
    pub path: String,
    /// Who may call it, and how often.
    pub access: Access,
}

impl<S: Send + Sync + Clone + 'static> Default for Routes<S> {
    fn default() -> Self {
        Self { router: OpenApiRouter::new(), operations: Vec::new() }
    }
}

impl<S: Send + Sync + Clone + 'static> Routes<S> {
    /// No routes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the operations of `utoipa_axum::routes!(…)`, all with the same `access`.
    #[must_use]
    pub fn route(mut self, access: Access, routes: UtoipaMethodRouter<S>) -> Self {
        let (schemas, mut paths, methods) = routes;
        self.operations.extend(declare(access, &mut paths));
        self.router = self.router.routes((schemas, paths, methods));
        self
    }

    /// Both.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.operations.extend(other.operations);
        self
    }

    /// Gives the handlers what they need.
    #[must_use]
    pub fn with_state<S2: Send + Sync + Clone + 'static>(self, state: S) -> Routes<S2> {
        Routes { router: self.router.with_state(state), operations: self.operations }
    }

    /// The router with its document, and every operation.
    pub fn into_parts(self) -> (OpenApiRouter<S>, Vec<Operation>) {
        (self.router, self.operations)
    }
}

/// Writes `access` into the documentation of every operation of `paths`.
fn declare(access: Access, paths: &mut Paths) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, item) in &mut paths.paths {
        let others = [&item.head, &item.options, &item.trace];
        assert!(others.iter().all(|it| it.is_none()), "{path}: nothing would guard this method");
        let methods = [
            (Method::GET, &mut item.get),
            (Method::PUT, &mut item.put),
            (Method::POST, &mut item.post),
            (Method::DELETE, &mut item.delete),
            (Method::PATCH, &mut item.patch),
        ];
        for (method, documented) in methods {
            let Some(documented) = documented else { continue };
            document(access, documented);
            if access.permission().is_some() {
                documented.parameters.get_or_insert_default().push(acting_org().into());
            }
            if method == Method::POST && access.permission().is_some() {
                documented.parameters.get_or_insert_default().push(idempotency_key().into());
            }
            operations.push(Operation { method, path: path.clone(), access });
        }
    }
    operations
}

/// The header that every operation of callers understands.
fn acting_org() -> Parameter {
    let schema = ObjectBuilder::new().schema_type(Type::String).build();
    ParameterBuilder::new()
        .name("X-Slipway-Org")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "In which of their organizations a person acts; the session's own unless given.",
        ))
        .schema(Some(schema))
        .build()
}

/// The header that every `POST` of a caller understands.
fn idempotency_key() -> Parameter {
    let schema = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(255))
        .build();
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("The same key and body within a day: done once, answered again."))
        .schema(Some(schema))
        .build()
}

fn document(access: Access, operation: &mut Documented) {
    let mut extensions = ExtensionsBuilder::new()
        .add("x-rate-limit", serde_json::to_value(access.class).unwrap_or_default());
    operation.security = Some(match access.audience {
        Audience::Anyone => Vec::new(),
        Audience::Callers(_) => vec![SecurityRequirement::new("bearer", [""; 0])],
        Audience::Operators => vec![SecurityRequirement::new("operator", [""; 0])],
    });
    if let Some(permission) = access.permission() {
        extensions = extensions.add("x-permission", permission.name);
    }
    if access.recent {
        extensions = extensions.add("x-recent-sign-in", true);
    }
    if access.stand_ins == StandIns::Refused {
        extensions = extensions.add("x-not-for-stand-ins", true);
    }
    operation.extensions.get_or_insert_default().merge(extensions.build());
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let problem = ResponseBuilder::new()
        .description("The request failed")
        .content("application/problem+json", problem)
        .build();
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response
            && response.description.is_empty()
        {
            "The request succeeded".clone_into(&mut response.description);
        }
    }
    operation.responses.responses.entry("default".to_owned()).or_insert(problem.into());
}
