use sqlx::{
    ConnectOptions, Connection, Executor,
    postgres::{PgConnectOptions, PgSslMode},
};

use crate::{Result, dirs::Dirs};

pub(crate) const SUPERUSER: &str = "postgres";
/// The application's role and database.
const APPLICATION: &str = "slipway";

pub(crate) fn administrator(dirs: &Dirs) -> PgConnectOptions {
    options(dirs, SUPERUSER, "postgres")
}

pub(crate) fn application(dirs: &Dirs) -> PgConnectOptions {
    options(dirs, APPLICATION, APPLICATION)
}

/// Says everything that could otherwise come from the environment.
fn options(dirs: &Dirs, role: &str, database: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(&dirs.sockets)
        .port(5432)
        .username(role)
        .database(database)
        .ssl_mode(PgSslMode::Disable)
}

/// The application gets the rights it has in production and no more: row-level security must apply
/// to it, and it makes the role that tenants work under.
pub(crate) async fn create(dirs: &Dirs) -> Result<()> {
    let mut connection = administrator(dirs).connect().await?;
    let (role, database): (bool, bool) = sqlx::query_as(
        "select exists(select from pg_roles where rolname = $1),
                exists(select from pg_database where datname = $1)",
    )
    .bind(APPLICATION)
    .fetch_one(&mut connection)
    .await?;
    if !role {
        connection.execute("create role slipway login createrole createdb").await?;
    }
    if !database {
        connection.execute("create database slipway owner slipway").await?;
    }
    Ok(connection.close().await?)
}
