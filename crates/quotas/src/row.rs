//! Rows as Postgres receives them in binary: the number of fields, and each with its type, length and bytes.
//! What sqlx derives looks up the type of every field of every row, which was a tenth of a call's instructions.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Microseconds from 1970, where ours begin, to 2000, where those of Postgres do.
const EPOCH: i64 = 946_684_800_000_000;

/// What a field can be.
pub(crate) trait Field {
    /// Its type's number in `pg_type`, the same in every database.
    const TYPE: u32;
    /// That of arrays of it.
    const ARRAY: u32;

    /// Appends the value; `false`: it is null.
    fn put(&self, bytes: &mut Vec<u8>) -> bool;
}

/// Appends a field of a row.
pub(crate) fn put_field<T: Field>(bytes: &mut Vec<u8>, value: &T) {
    put_number(bytes, T::TYPE);
    put_sized(bytes, value);
}

/// Lets a struct be passed as a composite type with the same fields in the same order.
macro_rules! row {
    ($name:ident as $type:literal: $($field:ident),+) => {
        impl sqlx::Type<sqlx::Postgres> for $name {
            fn type_info() -> sqlx::postgres::PgTypeInfo {
                sqlx::postgres::PgTypeInfo::with_name($type)
            }
        }

        impl sqlx::postgres::PgHasArrayType for $name {
            fn array_type_info() -> sqlx::postgres::PgTypeInfo {
                sqlx::postgres::PgTypeInfo::array_of($type)
            }
        }

        impl sqlx::Encode<'_, sqlx::Postgres> for $name {
            fn encode_by_ref(
                &self,
                bytes: &mut sqlx::postgres::PgArgumentBuffer,
            ) -> Result<sqlx::encode::IsNull, sqlx::error::BoxDynError> {
                $crate::row::put_count(bytes, [$(stringify!($field)),+].len());
                $($crate::row::put_field(bytes, &self.$field);)+
                Ok(sqlx::encode::IsNull::No)
            }
        }
    };
}
pub(crate) use row;

/// What is too much for 32 bits is more than Postgres takes, and is refused there.
pub(crate) fn put_count(bytes: &mut Vec<u8>, count: usize) {
    put_number(bytes, u32::try_from(count).unwrap_or(u32::MAX));
}

fn put_number(bytes: &mut Vec<u8>, number: u32) {
    bytes.extend_from_slice(&number.to_be_bytes());
}

fn put_sized<T: Field>(bytes: &mut Vec<u8>, value: &T) {
    let start = bytes.len();
    put_number(bytes, u32::MAX);
    if value.put(bytes) {
        let length = bytes.len() - start - size_of::<u32>();
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        bytes[start..start + size_of::<u32>()].copy_from_slice(&length.to_be_bytes());
    }
}

impl Field for bool {
    const TYPE: u32 = 16;
    const ARRAY: u32 = 1000;

    fn put(&self, bytes: &mut Vec<u8>) -> bool {
        bytes.push(u8::from(*self));
        true
    }
}

impl Field for i64 {
    const TYPE: u32 = 20;
    const ARRAY: u32 = 1016;

    fn put(&self, bytes: &mut Vec<u8>) -> bool {
        bytes.extend_from_slice(&self.to_be_bytes());
        true
    }
}

impl Field for String {
    const TYPE: u32 = 25;
    const ARRAY: u32 = 1009;

    fn put(&self, bytes: &mut Vec<u8>) -> bool {
        bytes.extend_from_slice(self.as_bytes());
        true
    }
}

impl Field for DateTime<Utc> {
    const TYPE: u32 = 1184;
    const ARRAY: u32 = 1185;

    fn put(&self, bytes: &mut Vec<u8>) -> bool {
        (self.timestamp_micros() - EPOCH).put(bytes)
    }
}

impl Field for Uuid {
    const TYPE: u32 = 2950;
    const ARRAY: u32 = 2951;

    fn put(&self, bytes: &mut Vec<u8>) -> bool {
        bytes.extend_from_slice(self.as_bytes());
        true
    }
}

impl<T: Field> Field for Option<T> {
    const TYPE: u32 = T::TYPE;
    const ARRAY: u32 = T::ARRAY;

    fn put(&self, bytes: &mut Vec<u8>) -> bool {
        self.as_ref().is_some_and(|value| value.put(bytes))
    }
}

/// An array of one dimension. There are no arrays of arrays.
impl<T: Field> Field for Vec<T> {
    const TYPE: u32 = T::ARRAY;
    const ARRAY: u32 = T::ARRAY;

    fn put(&self, bytes: &mut Vec<u8>) -> bool {
        let [dimensions, has_nulls, first] = [1, 0, 1];
        for number in [dimensions, has_nulls, T::TYPE] {
            put_number(bytes, number);
        }
        put_count(bytes, self.len());
        put_number(bytes, first);
        for value in self {
            put_sized(bytes, value);
        }
        true
    }
}
