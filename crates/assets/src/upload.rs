use chrono::{DateTime, TimeDelta, Utc};
use kernel::{Id, Org, User};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor};
use storage::Key;
use utoipa::ToSchema;

use crate::{Asset, Error, Result, usage};

/// The size of every part but the last: little enough to send again, and for a proxy to let through.
pub(crate) const PART_BYTES: i64 = 8 * 1024 * 1024;
/// How long an upload may take.
const LIFE: TimeDelta = TimeDelta::days(1);

/// A file on its way.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Upload {
    /// Identifies it.
    #[schema(value_type = String, format = Uuid)]
    pub id: Id<Upload>,
    /// What the file will be called.
    pub name: String,
    /// What it will be.
    pub content_type: String,
    /// How long it is. So much is reserved of what the organization may store.
    pub bytes: i64,
    /// How long each part is, but for the last, which has the rest.
    pub part_bytes: i64,
    /// How it stands.
    pub status: Status,
    /// The file that it has become.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub asset_id: Option<Id<Asset>>,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
    /// The SHA-256 that the file must have.
    #[serde(skip)]
    pub(crate) sha256: Option<Vec<u8>>,
}

/// How an upload stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
#[schema(as = UploadStatus)]
pub enum Status {
    /// Parts may come.
    Open,
    /// It has become a file.
    Completed,
    /// What came was not what was announced.
    Refused,
    /// Whoever began it has thought better of it.
    Aborted,
    /// It was not completed in time.
    Expired,
}

/// A file that somebody wants to upload; checked.
pub(crate) struct NewUpload<'a> {
    pub(crate) org: Id<Org>,
    pub(crate) by: Id<User>,
    pub(crate) name: &'a str,
    pub(crate) content_type: &'a str,
    pub(crate) bytes: i64,
    pub(crate) sha256: Option<Vec<u8>>,
}

impl NewUpload<'_> {
    /// Begins it, with its bytes reserved, in a transaction of its org.
    pub(crate) async fn begin(self, db: &mut PgConnection, now: DateTime<Utc>) -> Result<Upload> {
        usage::reserve(db, self.org, self.bytes).await?;
        let upload = Upload {
            id: Id::new(),
            name: self.name.to_owned(),
            content_type: self.content_type.to_owned(),
            bytes: self.bytes,
            part_bytes: PART_BYTES,
            status: Status::Open,
            asset_id: None,
            created_at: now,
            expires_at: now + LIFE,
            sha256: self.sha256,
        };
        sqlx::query!(
            "insert into uploads (id, org_id, created_by, name, content_type, bytes, part_bytes, sha256,
                                  status, created_at, expires_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, 'open', $9, $10)",
            upload.id as _,
            self.org as _,
            self.by as _,
            upload.name,
            upload.content_type,
            upload.bytes,
            upload.part_bytes,
            upload.sha256,
            now,
            upload.expires_at,
        )
        .execute(db)
        .await?;
        Ok(upload)
    }
}

impl Upload {
    /// Those of the org whose transaction this is, the newest first.
    pub(crate) async fn list(
        db: impl PgExecutor<'_>,
        before: Option<Id<Self>>,
        rows: i64,
    ) -> sqlx::Result<Vec<Self>> {
        sqlx::query_as!(
            Self,
            r#"select id as "id: _", name, content_type, bytes, part_bytes, status as "status: _",
                      asset_id as "asset_id: _", created_at, expires_at, sha256
               from uploads where ($1::uuid is null or id < $1) order by id desc limit $2"#,
            before as _,
            rows,
        )
        .fetch_all(db)
        .await
    }

    /// One of the org whose transaction this is.
    pub(crate) async fn get(db: impl PgExecutor<'_>, id: Id<Self>) -> Result<Self> {
        let found = sqlx::query_as!(
            Self,
            r#"select id as "id: _", name, content_type, bytes, part_bytes, status as "status: _",
                      asset_id as "asset_id: _", created_at, expires_at, sha256
               from uploads where id = $1"#,
            id as _,
        )
        .fetch_optional(db)
        .await?;
        found.ok_or(Error::NoSuchUpload)
    }

    /// Ends it, if it is open: of several who want that one does. Gives its bytes back but for those of the
    /// file that it becomes.
    pub(crate) async fn end(
        db: &mut PgConnection,
        (org, id): (Id<Org>, Id<Self>),
        status: Status,
        becomes: Option<(Id<Asset>, i64)>,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let reserved = sqlx::query_scalar!(
            "update uploads set status = $3, asset_id = $4, ended_at = $5
             where id = $1 and org_id = $2 and status = 'open' returning bytes",
            id as _,
            org as _,
            status as _,
            becomes.map(|it| it.0) as _,
            now,
        );
        let Some(reserved) = reserved.fetch_optional(&mut *db).await? else { return Ok(false) };
        usage::release(db, org, reserved - becomes.map_or(0, |it| it.1)).await?;
        Ok(true)
    }

    /// Refuses what no part may be added to any more.
    pub(crate) fn check_open(&self, now: DateTime<Utc>) -> Result<()> {
        let open = self.status == Status::Open && now < self.expires_at;
        if open { Ok(()) } else { Err(Error::UploadEnded) }
    }

    /// How many parts it has.
    pub(crate) fn parts(&self) -> u32 {
        u32::try_from((self.bytes - 1) / self.part_bytes + 1).unwrap_or(u32::MAX)
    }

    /// The length of part `number`.
    pub(crate) fn length_of(&self, number: u32) -> Result<u64> {
        let before = (i64::from(number) - 1) * self.part_bytes;
        if number == 0 || before >= self.bytes {
            return Err(Error::NoSuchPart);
        }
        Ok((self.bytes - before).min(self.part_bytes).unsigned_abs())
    }

    /// Where its parts are.
    pub(crate) fn key(org: Id<Org>, id: Id<Self>) -> Key {
        Key::new(org, "uploads", id)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use kernel::Id;

    use super::{PART_BYTES, Status, Upload};

    fn upload(bytes: i64) -> Upload {
        Upload {
            id: Id::new(),
            name: "a".to_owned(),
            content_type: "text/plain".to_owned(),
            bytes,
            part_bytes: PART_BYTES,
            status: Status::Open,
            asset_id: None,
            created_at: DateTime::UNIX_EPOCH,
            expires_at: DateTime::UNIX_EPOCH,
            sha256: None,
        }
    }

    #[test]
    fn the_parts_make_up_the_file() {
        for bytes in [1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 200_000_000] {
            let upload = upload(bytes);
            let lengths = (1..=upload.parts()).map(|number| upload.length_of(number).unwrap());
            assert_eq!(lengths.sum::<u64>(), bytes.unsigned_abs());
            assert!(upload.length_of(0).is_err());
            assert!(upload.length_of(upload.parts() + 1).is_err());
            assert!(upload.length_of(u32::MAX).is_err());
        }
    }
}
