use sqlx::{PgConnection, raw_sql};

/// The tenant role could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RoleError {
    /// The database user lacks CREATEROLE.
    #[error(
        "the database user may not create roles; run these two statements once as an administrator:\n  \
         create role app_tenant nologin;\n  \
         grant app_tenant to {user};"
    )]
    NotPermitted {
        /// Who we are connected as.
        user: String,
    },
    /// Row-level security would hold nobody back.
    #[error(
        "the role app_tenant is a superuser, bypasses row-level security or owns tables, so that customers \
         could see each other's rows; run as an administrator: alter role app_tenant nosuperuser nobypassrls"
    )]
    Unconfined,
    /// Postgres failed otherwise.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Makes the role `app_tenant` and lets the current user switch to it; running it again changes nothing.
///
/// Roles belong to the whole cluster and cannot be part of a reversible migration. Two instances,
/// or two databases of one cluster, may run this at once.
pub async fn create_tenant_role(db: &mut PgConnection) -> Result<(), RoleError> {
    let user: String = sqlx::query_scalar("select current_user::text").fetch_one(&mut *db).await?;
    match raw_sql(CREATE_TENANT_ROLE).execute(&mut *db).await {
        Ok(_) => {}
        Err(error) if has_code(&error, "42501") => return Err(RoleError::NotPermitted { user }),
        Err(error) => return Err(error.into()),
    }
    let confined: bool = sqlx::query_scalar(
        "select not rolsuper and not rolbypassrls
                and not exists (select from pg_class where relowner = r.oid and relkind in ('r', 'p'))
         from pg_roles r where rolname = 'app_tenant'",
    )
    .fetch_one(db)
    .await?;
    if confined { Ok(()) } else { Err(RoleError::Unconfined) }
}

/// From Postgres 16 on, making a role does not include the right to switch to it.
const CREATE_TENANT_ROLE: &str = "
do $$
declare
    privilege text := case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end;
begin
    if not exists (select from pg_roles where rolname = 'app_tenant') then
        begin
            create role app_tenant nologin;
        exception when duplicate_object or unique_violation then
            null; -- another instance was faster
        end;
    end if;
    if not pg_has_role(current_user, 'app_tenant', privilege) then
        begin
            execute format('grant app_tenant to %I', current_user);
        exception when unique_violation or internal_error then
            null; -- the same grant, by another instance
        end;
    end if;
end $$";

fn has_code(error: &sqlx::Error, code: &str) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|it| it == code)
}
