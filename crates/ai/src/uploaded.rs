use base64::{Engine, prelude::BASE64_STANDARD};
use db::Db;
use kernel::{Id, Org};
use memchr::memmem;
use serde_json::Value;
use uuid::Uuid;
use web::{Problem, RawJson};

use crate::{Ai, batches::File};

/// How many images of a request may be uploads.
const MOST: usize = 10;
/// What they may have together: providers take no more.
const LARGEST: usize = 50 * 1024 * 1024;

/// The body of a chat request with the images in it that were uploaded before:
/// `{"type": "image_url", "image_url": {"file_id": "…"}}` becomes the image itself.
pub(crate) async fn with_uploads(ai: &Ai, org: Id<Org>, body: RawJson) -> Result<RawJson, Problem> {
    if memmem::find(&body.0, b"\"file_id\"").is_none() {
        return Ok(body);
    }
    let mut request: Value = body.parse()?;
    let (mut count, mut bytes) = (0, 0);
    for image in images(&mut request) {
        let Some(named) = image.remove("file_id") else { continue };
        count += 1;
        let url = load(&ai.db, org, &named, ai.clock.now()).await?;
        bytes += url.len();
        if count > MOST || bytes > LARGEST || image.contains_key("url") {
            let detail =
                "must have one of url and file_id, for at most ten uploads of 50 MB in all";
            return Err(Problem::invalid_field("/messages", detail));
        }
        image.insert("url".to_owned(), url.into());
    }
    serde_json::to_vec(&request).map(|json| RawJson(json.into())).map_err(Problem::internal)
}

/// Every image of a conversation.
fn images(request: &mut Value) -> impl Iterator<Item = &mut serde_json::Map<String, Value>> {
    let turns = request.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten();
    let contents = turns.filter_map(|turn| turn.get_mut("content")?.as_array_mut());
    contents.flatten().filter_map(|part| part.get_mut("image_url")?.as_object_mut())
}

/// An upload as a data URL.
async fn load(
    db: &Db,
    org: Id<Org>,
    named: &Value,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<String, Problem> {
    let id: Option<Uuid> = named.as_str().and_then(|id| id.parse().ok());
    let mut tx = db.tenant(org).await?;
    let content = match id {
        Some(id) => File::content(&mut *tx, id.into(), now).await?,
        None => None,
    };
    let image = content.as_deref().and_then(|content| Some((kind(content)?, content)));
    let Some((kind, content)) = image else {
        let detail = format!("there is no uploaded image {named}, or no longer");
        return Err(Problem::invalid_field("/messages", detail));
    };
    Ok(format!("data:image/{kind};base64,{}", BASE64_STANDARD.encode(content)))
}

/// What kind of image it is by what is in it, whatever it is called; `None`: none that models take.
pub(crate) fn kind(content: &[u8]) -> Option<&'static str> {
    match content {
        [0x89, b'P', b'N', b'G', ..] => Some("png"),
        [0xff, 0xd8, 0xff, ..] => Some("jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("webp"),
        _ => None,
    }
}
