use utoipa::{
    PartialSchema,
    openapi::{
        ComponentsBuilder, Info, License, OpenApi,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

/// Adds to the routes' document what all of them share.
pub(crate) fn finish(mut document: OpenApi) -> OpenApi {
    let mut info = Info::new("Slipway", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "The backend of an AI product. Failures are `application/problem+json` with a stable `code`."
            .to_owned(),
    );
    let mut license = License::new("MIT OR Apache-2.0");
    license.identifier = Some("MIT OR Apache-2.0".to_owned());
    info.license = Some(license);
    document.info = info;
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An access token from `POST /v1/sessions`, or an API key."))
        .build();
    let operator = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token from `POST /admin/v1/sessions`."))
        .build();
    let shared = ComponentsBuilder::new()
        .schema("Problem", ProblemBody::schema())
        .schema("FieldError", web::FieldError::schema())
        .security_scheme("bearer", SecurityScheme::Http(bearer))
        .security_scheme("operator", SecurityScheme::Http(operator))
        .build();
    let mut components = document.components.take().unwrap_or_default();
    components.schemas.extend(shared.schemas);
    components.security_schemes.extend(shared.security_schemes);
    document.components = Some(components);
    document
}

/// The body of every failure (RFC 9457).
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "only describes what web::Problem writes")]
struct ProblemBody {
    /// Names the kind of problem.
    #[schema(example = "/problems/not_found", format = "uri-reference")]
    r#type: String,
    /// The kind of problem, for people.
    title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// Stable; programs decide by it.
    #[schema(example = "quota_exhausted")]
    code: String,
    /// What went wrong this time.
    detail: String,
    /// What can be done about it.
    action: String,
    /// Whether the same request may succeed later.
    retryable: bool,
    /// Tell it to support.
    request_id: Option<String>,
    /// What is wrong with which field.
    errors: Option<Vec<web::FieldError>>,
}
