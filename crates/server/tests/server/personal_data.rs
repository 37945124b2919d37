//! Every table says what it keeps about whom.

use std::collections::BTreeSet;

use app::{Erasure, PersonalData, Rule};
use kernel::Clock;
use server::{Product, Settings};
use sqlx::AssertSqlSafe;
use testing::Database;
use uuid::Uuid;

/// The product as it is composed. Must be called within the async runtime.
pub(crate) fn composed() -> Product {
    let cli = server::cli::read(vec!["slipway".into()], &|_| None).expect("valid defaults");
    let files = tempfile::tempdir().unwrap();
    let mut settings: Settings = cli.settings.for_nobody();
    files.path().clone_into(&mut settings.storage.storage_dir);
    let pool = settings.db.pool(sqlx::postgres::PgConnectOptions::new_without_pgpass());
    Product::compose(&settings, pool, Clock::System).unwrap()
}

/// What all crates declare. Must be called within the async runtime.
pub(crate) fn declared() -> Vec<PersonalData> {
    composed().personal_data
}

/// Each table that is no partition, with the columns that say whose its rows are.
async fn tables(database: &Database) -> Vec<(String, Vec<String>)> {
    sqlx::query_as(
        "select c.relname::text, coalesce(array_agg(a.attname::text) filter (where a.attname in ('org_id', 'user_id')), '{}')
         from pg_class c
         join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'public'
         join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
         where c.relkind in ('r', 'p') and not c.relispartition and c.relname <> '_sqlx_migrations'
         group by 1 order by 1",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn every_table_says_what_it_keeps_about_whom() {
    let (database, declared) = (Database::new().await, declared());
    let declared: BTreeSet<&str> = declared.iter().map(|it| it.table).collect();
    let tables = tables(&database).await;
    let there: BTreeSet<&str> = tables.iter().map(|(name, _)| name.as_str()).collect();

    let missing: Vec<_> = there.difference(&declared).collect();
    assert!(missing.is_empty(), "add an `app::PersonalData` to the crate of {missing:?}");
    let gone: Vec<_> = declared.difference(&there).collect();
    assert!(gone.is_empty(), "there are no tables {gone:?}");
}

#[tokio::test]
async fn rows_that_name_a_person_or_an_org_belong_to_it() {
    /// Nothing of these is somebody's, whatever their columns are called.
    const NOBODYS: [&str; 4] = [
        "audit_chains.org_id",
        "audit_seals.org_id",
        "audit_unsealed.org_id",
        // Calls in flight are the org's, whoever makes them.
        "holds.user_id",
    ];
    let (database, declared) = (Database::new().await, declared());
    for (table, columns) in tables(&database).await {
        for column in columns {
            let rule = |it: &PersonalData| if column == "org_id" { it.org } else { it.person };
            let has = declared.iter().any(|it| it.table == table && rule(it).is_some());
            let known = NOBODYS.contains(&format!("{table}.{column}").as_str());
            assert!(has != known, "{table} has a {column}");
        }
    }
}

#[tokio::test]
async fn what_tables_declare_is_sql_that_postgres_understands() {
    let (database, declared) = (Database::new().await, declared());
    for it in declared {
        for Rule { rows, erasure, .. } in [it.person, it.org].into_iter().flatten() {
            let (table, withheld) = (it.table, it.withheld.join(", "));
            let columns = if withheld.is_empty() { "1".to_owned() } else { withheld };
            let read = format!("select {columns} from {table} where {rows}");
            let erase = match erasure {
                Erasure::Delete => format!("delete from {table} where {rows}"),
                Erasure::Overwrite(set) => format!("update {table} set {set} where {rows}"),
                Erasure::Keep | Erasure::ByItsCrate => read.clone(),
            };
            for statement in [read, erase] {
                let query = sqlx::query(AssertSqlSafe(statement.clone())).bind(Uuid::now_v7());
                let result = query.execute(&database.pool).await;
                assert!(result.is_ok(), "{statement}: {result:?}");
            }
        }
    }
}

/// Otherwise an erasure would stop at a foreign key, whoever's rows there are.
#[tokio::test]
async fn rows_go_before_what_they_refer_to() {
    let (database, declared) = (Database::new().await, declared());
    // Of those that neither take their rows along nor let go by themselves.
    let keys: Vec<(String, String, String)> = sqlx::query_as(
        "select distinct k.conrelid::regclass::text, a.attname::text, k.confrelid::regclass::text
         from pg_constraint k
         join pg_class c on c.oid = k.conrelid and not c.relispartition
         join pg_attribute a on a.attrelid = k.conrelid and a.attnum = any(k.conkey) and a.attname <> 'org_id'
         where k.contype = 'f' and k.confdeltype in ('a', 'r') and k.conrelid <> k.confrelid
         order by 1, 2",
    )
    .fetch_all(&database.pool)
    .await
    .unwrap();
    assert!(keys.len() > 20, "{keys:?}");
    let person = |it: &PersonalData| it.person;
    let org = |it: &PersonalData| it.org;
    let mut wrong = vec![];
    for (whose, rule) in [("person", person as fn(&PersonalData) -> Option<Rule>), ("org", org)] {
        let erased = |table: &str| {
            let mut rules = declared.iter().enumerate().filter(|(_, it)| it.table == table);
            rules.find_map(|(at, it)| rule(it).map(|rule| (at, rule.erasure)))
        };
        for (child, column, parent) in &keys {
            let Some((goes, Erasure::Delete)) = erased(parent) else { continue };
            let is_before = match erased(child) {
                Some((at, Erasure::Delete)) => at < goes,
                Some((at, Erasure::Overwrite(set))) => {
                    at < goes && set.contains(&format!("{column} = null"))
                }
                _ => false,
            };
            if !is_before {
                wrong.push(format!("of a {whose}: {child}.{column} -> {parent}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
