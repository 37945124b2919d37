use chrono::{DateTime, Utc};
use kernel::{Id, User};
use sqlx::{PgConnection, PgExecutor};

use super::Category;
use crate::Locale;

/// A person's preferences; without a row everything is on, in English.
#[derive(Clone, Debug, Default)]
pub(crate) struct Preferences {
    pub(crate) locale: Locale,
    pub(crate) turned_off: Vec<Category>,
}

impl Preferences {
    pub(crate) async fn of(db: impl PgExecutor<'_>, user: Id<User>) -> sqlx::Result<Self> {
        let row = sqlx::query!(
            r#"select locale as "locale: Locale", turned_off from email_preferences
               where user_id = $1"#,
            user as _,
        )
        .fetch_optional(db)
        .await?;
        let Some(row) = row else { return Ok(Self::default()) };
        let off = |category: &Category| row.turned_off.iter().any(|it| it == category.tag());
        let turned_off = Category::OPTIONAL.into_iter().filter(off).collect();
        Ok(Self { locale: row.locale, turned_off })
    }

    /// Whether somebody has turned a category off.
    pub(crate) async fn refuse(
        db: impl PgExecutor<'_>,
        user: Option<Id<User>>,
        category: Category,
    ) -> sqlx::Result<bool> {
        sqlx::query_scalar!(
            r#"select exists (select from email_preferences
               where user_id = $1 and $2 = any (turned_off)) as "refused!""#,
            user as _,
            category.tag(),
        )
        .fetch_one(db)
        .await
    }

    /// Turns one category on or off, whatever else is changed at the same time.
    pub(crate) async fn turn(
        db: &mut PgConnection,
        user: Id<User>,
        category: Category,
        on: bool,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "insert into email_preferences (user_id, turned_off, updated_at)
             values ($1, case when $3 then '{}'::text[] else array[$2::text] end, $4)
             on conflict (user_id) do update
             set turned_off = array_remove(email_preferences.turned_off, $2)
                              || case when $3 then '{}'::text[] else array[$2::text] end,
                 updated_at = $4",
            user as _,
            category.tag(),
            on,
            now,
        )
        .execute(db)
        .await?;
        Ok(())
    }

    pub(crate) async fn set_locale(
        db: &mut PgConnection,
        user: Id<User>,
        locale: Locale,
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        sqlx::query!(
            "insert into email_preferences (user_id, locale, updated_at) values ($1, $2, $3)
             on conflict (user_id) do update set locale = $2, updated_at = $3",
            user as _,
            locale as _,
            now,
        )
        .execute(db)
        .await?;
        Ok(())
    }
}
