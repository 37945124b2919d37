//! Who calls: orgs, people and API keys, written past the API, since signing up a thousand people
//! takes a thousand password hashes.

use sha2::{Digest, Sha256};
use sqlx::PgPool;

/// The secrets of the API keys of both sides.
pub(crate) struct Callers {
    pub(crate) hot_org: Vec<String>,
    pub(crate) many_orgs: Vec<String>,
}

/// Fills in `count` people of one org, and as many orgs with one each. Everybody's plan and budgets suffice for the
/// run, and nothing is lifted: each call is decided by the platform's budgets, its org's plan, its
/// org's own limit and its credits.
pub(crate) async fn seed(database: &PgPool, count: u32) -> anyhow::Result<Callers> {
    let callers = Callers {
        hot_org: (0..count).map(|number| secret("hot", number)).collect(),
        many_orgs: (0..count).map(|number| secret("many", number)).collect(),
    };
    // The first org is the hot one, and every caller of the first half is in it.
    let orgs: Vec<i64> = (0..count).map(|_| 0).chain(1..=i64::from(count)).collect();
    let hashes: Vec<Vec<u8>> = callers
        .hot_org
        .iter()
        .chain(&callers.many_orgs)
        .map(|secret| Sha256::digest(secret).to_vec())
        .collect();
    let mut tx = database.begin().await?;
    for statement in ORGS {
        sqlx::query(statement).bind(i64::from(count)).execute(&mut *tx).await?;
    }
    for statement in PEOPLE {
        sqlx::query(statement).bind(&orgs).bind(&hashes).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    sqlx::raw_sql("vacuum analyze").execute(database).await?;
    Ok(callers)
}

/// For each org from 0 to $1.
const ORGS: [&str; 5] = [
    "insert into orgs (id, name, created_at)
     select md5('org ' || n)::uuid, 'Org ' || n, now() from generate_series(0, $1) n",
    "insert into entitlements (org_id, plan, tier, seats, storage_bytes, updated_at)
     select md5('org ' || n)::uuid, 'agency', 'agency', 1000, 1000000, now()
     from generate_series(0, $1) n",
    "insert into budgets (id, scope, org_id, kind, period, unit, amount, highest_amount, period_start)
     select gen_random_uuid(), 'org', md5('org ' || n)::uuid, b.kind, b.period, b.unit,
            1000000000000, 1000000000000, date_trunc(b.period, now(), 'UTC')
     from generate_series(0, $1) n,
          (values ('included', 'day', 'requests'), ('included', 'month', 'requests'),
                  ('included', 'month', 'nano_usd'), ('limit', 'month', 'nano_usd'))
              b (kind, period, unit)",
    "insert into grants (id, org_id, source, priority, amount, external_id, created_at)
     select md5('grant ' || n)::uuid, md5('org ' || n)::uuid, 'pack', 1, 500, 'load test ' || n, now()
     from generate_series(0, $1) n",
    "insert into ledger_entries
         (id, org_id, unit, from_account, to_account, amount, grant_id, external_id, created_at)
     select gen_random_uuid(), md5('org ' || n)::uuid, 'credits', 'issued', 'available', 500,
            md5('grant ' || n)::uuid, 'load test ' || n, now()
     from generate_series(0, $1) n",
];

/// For each caller: its org in $1, its key's hash in $2.
const PEOPLE: [&str; 3] = [
    "insert into users (id, email, name, password_hash, created_at, email_verified_at)
     select md5('user ' || n)::uuid, n || '@example.com', 'User ' || n, '', now(), now()
     from unnest($1::bigint[], $2::bytea[]) with ordinality caller (org, hash, n)",
    "insert into memberships (org_id, user_id, role, created_at)
     select md5('org ' || org)::uuid, md5('user ' || n)::uuid, 'owner', now()
     from unnest($1::bigint[], $2::bytea[]) with ordinality caller (org, hash, n)",
    "insert into api_keys (id, org_id, user_id, name, prefix, hash, scopes, created_at)
     select gen_random_uuid(), md5('org ' || org)::uuid, md5('user ' || n)::uuid, 'load test',
            'slip_bench', hash, '{*}', now()
     from unnest($1::bigint[], $2::bytea[]) with ordinality caller (org, hash, n)",
];

/// A key as the product makes them: thirty characters and their checksum. Nothing about it is secret.
fn secret(side: &str, number: u32) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let key = format!("slip_{side:0>20}{number:010}");
    let mut rest = crc32fast::hash(key.as_bytes());
    let mut checksum = ['0'; 6];
    for digit in checksum.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize].into();
        rest /= 62;
    }
    key + &String::from_iter(checksum)
}
