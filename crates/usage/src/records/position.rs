use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{Error, Result};

/// A place in the list of calls, which is ordered by when they ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(super) ended_at: DateTime<Utc>,
    pub(super) id: Uuid,
}

impl Position {
    /// Behind everything that ended before `to`.
    pub(super) fn before(to: DateTime<Utc>) -> Self {
        Self { ended_at: to, id: Uuid::nil() }
    }

    /// As an opaque cursor.
    pub(super) fn encode(&self) -> String {
        let mut bytes = self.ended_at.timestamp_micros().to_be_bytes().to_vec();
        bytes.extend(self.id.as_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    pub(super) fn decode(cursor: &str) -> Result<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).map_err(|_| Error::InvalidCursor)?;
        let (micros, id) = bytes.split_first_chunk().ok_or(Error::InvalidCursor)?;
        let micros = i64::from_be_bytes(*micros);
        Ok(Self {
            ended_at: DateTime::from_timestamp_micros(micros).ok_or(Error::InvalidCursor)?,
            id: Uuid::from_slice(id).map_err(|_| Error::InvalidCursor)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::Position;

    proptest! {
        #[test]
        fn a_cursor_names_its_place_and_nothing_else_is_one(
            micros in 0_i64..4_000_000_000_000_000, id: u128, other in "[A-Za-z0-9_-]{0,31}",
        ) {
            let ended_at = DateTime::from_timestamp_micros(micros).unwrap();
            let position = Position { ended_at, id: Uuid::from_u128(id) };
            prop_assert_eq!(Position::decode(&position.encode()).unwrap(), position);
            prop_assert!(Position::decode(&other).is_err());
        }
    }
}
