//! Whether the database is one to launch on.

use sqlx::PgPool;

use super::{Context, Group::Environment as Here, Line};

/// Connections of a process beside its pool: two that listen, two of the worker, and the one that books calls.
const BESIDE: i64 = 5;
/// Connections that the database keeps for itself and for people.
const SPARE: i64 = 10;

#[derive(sqlx::FromRow)]
struct Server {
    version: i32,
    superuser: bool,
    unconfined: bool,
    encrypted: bool,
    connections: i64,
}

pub(super) async fn check(context: &Context<'_>) -> Vec<Line> {
    let pool = context.product.db.pool();
    match server(pool).await {
        Ok(server) => {
            let (size, live) = (context.settings.db.database_pool_size, context.settings.app_env);
            let mut lines = judge(&server, size, live.is_production());
            lines.push(migrations(pool).await);
            lines
        }
        Err(error) => vec![Here.fail(
            "database",
            error.to_string(),
            "See whether DATABASE_URL is right, the server runs and `slipway migrate up` was run.",
        )],
    }
}

fn judge(server: &Server, pool_size: u32, production: bool) -> Vec<Line> {
    let major = server.version / 10_000;
    let needs = i64::from(pool_size) + BESIDE;
    let room = server.connections - SPARE;
    vec![
        match major {
            15.. => Here.pass("postgres version", format!("PostgreSQL {major}")),
            _ => Here.fail(
                "postgres version",
                format!("PostgreSQL {major}"),
                "Upgrade to 15 or newer.",
            ),
        },
        match (server.superuser, server.unconfined) {
            (false, false) => Here.pass("database roles", "no superuser; customers are held apart"),
            (true, _) => Here.fail(
                "database roles",
                "DATABASE_URL names a superuser, to whom no rule applies",
                "Make a role that owns the database and is no superuser.",
            ),
            (_, true) => Here.fail(
                "database roles",
                "app_tenant is missing, or gets around row-level security",
                "Run `slipway migrate up`, then: alter role app_tenant nosuperuser nobypassrls.",
            ),
        },
        match (server.encrypted, production) {
            (true, _) => Here.pass("database TLS", "the connection is encrypted"),
            (false, false) => {
                Here.skip("database TLS", "not encrypted, which only production needs")
            }
            (false, true) => Here.warn(
                "database TLS",
                "the connection is not encrypted",
                "Add ?sslmode=require to DATABASE_URL, unless it is a private network.",
            ),
        },
        if needs <= room {
            let most = room / needs;
            Here.pass("connections", format!("enough for {most} processes of {needs}"))
        } else {
            Here.fail(
                "connections",
                format!("a process may hold {needs}, the server has {room} to give"),
                "Lower DATABASE_POOL_SIZE, or take a larger plan.",
            )
        },
    ]
}

async fn server(pool: &PgPool) -> sqlx::Result<Server> {
    sqlx::query_as(
        "select current_setting('server_version_num')::int as version,
                (select rolsuper from pg_roles where rolname = current_user) as superuser,
                not exists (select from pg_roles r
                            where rolname = 'app_tenant' and not rolsuper and not rolbypassrls
                              and not exists (select from pg_class
                                              where relowner = r.oid and relkind in ('r', 'p'))) as unconfined,
                coalesce((select ssl from pg_stat_ssl where pid = pg_backend_pid()), false) as encrypted,
                current_setting('max_connections')::bigint as connections",
    )
    .fetch_one(pool)
    .await
}

async fn migrations(pool: &PgPool) -> Line {
    let status = async {
        let mut db = pool.acquire().await?;
        anyhow::Ok(db::migration_status(&mut db).await?)
    };
    match status.await {
        Err(error) => Here.fail("migrations", format!("{error:#}"), "Run `slipway migrate up`."),
        Ok(all) => {
            let pending: Vec<_> = all.iter().filter(|it| it.applied_at.is_none()).collect();
            match pending.first() {
                None => Here.pass("migrations", format!("all {} are applied", all.len())),
                Some(first) => Here.fail(
                    "migrations",
                    format!("{} are pending, the first is {:04}", pending.len(), first.version),
                    "Run `slipway migrate up` before the program starts.",
                ),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Server, judge};
    use crate::commands::preflight::State;

    fn failing(change: impl FnOnce(&mut Server)) -> Vec<String> {
        let mut server = Server {
            version: 150_018,
            superuser: false,
            unconfined: false,
            encrypted: true,
            connections: 100,
        };
        change(&mut server);
        let lines = judge(&server, 20, true).into_iter();
        lines.filter(|line| line.state != State::Pass).map(|line| line.name).collect()
    }

    #[test]
    fn each_thing_that_is_wrong_with_a_server_is_named() {
        assert!(failing(|_| {}).is_empty());
        assert_eq!(failing(|it| it.version = 140_009), ["postgres version"]);
        assert_eq!(failing(|it| it.superuser = true), ["database roles"]);
        assert_eq!(failing(|it| it.unconfined = true), ["database roles"]);
        assert_eq!(failing(|it| it.encrypted = false), ["database TLS"]);
        assert_eq!(failing(|it| it.connections = 25), ["connections"]);
    }
}
