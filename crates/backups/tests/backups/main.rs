//! What whoever has lost a database may rely on. These tests need `pg_dump` and `pg_restore`, and say so if there are none.

mod damage;
mod keeping;
mod round_trip;
mod support;
mod tools;
