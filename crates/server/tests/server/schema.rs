//! The page that describes the schema, read from a database that was just migrated.

use std::{collections::BTreeMap, fmt::Write};

use sqlx::{FromRow, PgPool};
use testing::Database;

#[derive(FromRow)]
struct Column {
    table: String,
    /// Whether each org sees its own rows only.
    isolated: bool,
    name: String,
    kind: String,
    required: bool,
    primary: bool,
    /// The table that it points to.
    references: Option<String>,
}

async fn columns(pool: &PgPool) -> Vec<Column> {
    sqlx::query_as(
        r#"select c.relname::text as "table", c.relrowsecurity as isolated, a.attname::text as name,
                  format_type(a.atttypid, a.atttypmod) as kind, a.attnotnull as required,
                  coalesce(a.attnum = any (p.conkey), false) as primary,
                  (select f.confrelid::regclass::text from pg_constraint f
                   where f.conrelid = c.oid and f.contype = 'f' and f.conkey = array[a.attnum]
                   limit 1) as "references"
           from pg_class c
           join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
           left join pg_constraint p on p.conrelid = c.oid and p.contype = 'p'
           where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
             and not c.relispartition and c.relname <> '_sqlx_migrations'
           order by c.relname, a.attnum"#,
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

/// What else may be there once only, by table: `(org_id, lower(name)) WHERE (deleted_at IS NULL)`.
async fn unique(pool: &PgPool) -> BTreeMap<String, Vec<String>> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "select c.relname::text, regexp_replace(pg_get_indexdef(i.indexrelid), '^.* USING btree ', '')
         from pg_index i join pg_class c on c.oid = i.indrelid
         where c.relnamespace = 'public'::regnamespace and not c.relispartition
           and i.indisunique and not i.indisprimary
         order by 1, 2",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let mut unique = BTreeMap::<String, Vec<String>>::new();
    for (table, definition) in rows {
        unique.entry(table).or_default().push(format!("`{definition}`"));
    }
    unique
}

/// The page: a section for each table, with what it is for in the words of its crate.
pub(crate) async fn markdown() -> String {
    let database = Database::new().await;
    let (columns, unique) = (columns(&database.pool).await, unique(&database.pool).await);
    let purposes = crate::personal_data::declared();
    let mut page = String::new();
    for table in columns.chunk_by(|one, next| one.table == next.table) {
        let name = &table[0].table;
        let tells = purposes.iter().filter(|it| it.table == name).map(|it| it.tells);
        let tells = tells.collect::<Vec<_>>().join("; ");
        let of_org = if table[0].isolated { " Each org sees its own rows only." } else { "" };
        writeln!(page, "## {name}\n\nHere: {tells}.{of_org}\n").unwrap();
        writeln!(page, "| column | type | |\n|---|---|---|").unwrap();
        for column in table {
            let Column { name, kind, required, primary, references, .. } = column;
            let null = if *required { "" } else { ", or null" };
            let key = if *primary { "key " } else { "" };
            let to = references.as_ref().map_or(String::new(), |to| format!("→ [{to}](#{to})"));
            writeln!(page, "| `{name}` | {kind}{null} | {key}{to} |").unwrap();
        }
        if let Some(unique) = unique.get(name) {
            writeln!(page, "\nUnique: {}.", unique.join(", ")).unwrap();
        }
        page.push('\n');
    }
    page
}
