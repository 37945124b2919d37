use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use http::{StatusCode, header};
use multer::{Constraints, Multipart, SizeLimit};
use web::Problem;

/// The largest file.
pub(super) const LARGEST: u64 = 20 * 1024 * 1024;
/// The longest other field.
const LONGEST: u64 = 1024;

/// A file that was uploaded as a form, as `OpenAI`'s SDKs do.
pub(super) struct Form {
    pub(super) purpose: String,
    pub(super) name: String,
    pub(super) content: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let boundary = kind.and_then(|kind| multer::parse_boundary(kind.to_str().ok()?).ok());
        let boundary = boundary.ok_or_else(|| {
            let detail = "the file must be sent as multipart/form-data";
            Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail)
        })?;
        let sizes = SizeLimit::new()
            .for_field("file", LARGEST)
            .for_field("purpose", LONGEST)
            .per_field(LONGEST)
            .whole_stream(LARGEST + 16 * LONGEST);
        let body = request.into_body().into_data_stream();
        let form =
            Multipart::with_constraints(body, boundary, Constraints::new().size_limit(sizes));
        read(form).await
    }
}

async fn read(mut form: Multipart<'_>) -> Result<Form, Problem> {
    let (mut purpose, mut file) = (None, None);
    while let Some(mut field) = form.next_field().await.map_err(refused)? {
        let name = field.file_name().unwrap_or("batch.jsonl").to_owned();
        let mut content = BytesMut::new();
        let is = field.name().unwrap_or_default().to_owned();
        while let Some(chunk) = field.chunk().await.map_err(refused)? {
            content.extend_from_slice(&chunk);
        }
        match is.as_str() {
            "purpose" => purpose = Some(String::from_utf8_lossy(&content).into_owned()),
            "file" => file = Some((name, content.freeze())),
            unknown => {
                return Err(Problem::invalid_field(&format!("/{unknown}"), "is not known"));
            }
        }
    }
    let missing = |name: &str| Problem::invalid_field(&format!("/{name}"), "is missing");
    let (name, content) = file.ok_or_else(|| missing("file"))?;
    Ok(Form { purpose: purpose.ok_or_else(|| missing("purpose"))?, name, content })
}

fn refused(error: multer::Error) -> Problem {
    match error {
        multer::Error::FieldSizeExceeded { .. } | multer::Error::StreamSizeExceeded { .. } => {
            let detail = "a file has at most 20 MB";
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
                .action("Send several smaller batches.")
        }
        error => Problem::bad_request("malformed_form", format!("the form is broken: {error}")),
    }
}
