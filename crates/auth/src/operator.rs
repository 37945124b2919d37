use kernel::{EmailAddress, Id};
use secrecy::SecretString;
use sqlx::PgConnection;

use crate::{Auth, Result};

/// One of the people who run the product. Not a user: no token of a customer can become theirs.
#[derive(Clone, Debug)]
pub struct Operator {
    /// Identifies them.
    pub id: Id<Operator>,
    /// Where they are reached.
    pub email: EmailAddress,
}

impl Auth {
    /// Makes an operator; one who is there already stays as they are.
    pub async fn create_operator(
        &self,
        db: &mut PgConnection,
        email: &EmailAddress,
        password: &SecretString,
    ) -> Result<Operator> {
        self.check_password(password, email, "")?;
        let hash = self.passwords.hash(password).await?;
        sqlx::query!(
            "insert into operators (id, email, password_hash, created_at)
             values ($1, $2, $3, $4)
             on conflict (lower(email)) do nothing",
            Id::<Operator>::new() as _,
            email as _,
            hash,
            self.clock.now(),
        )
        .execute(&mut *db)
        .await?;
        let operator = sqlx::query_as!(
            Operator,
            r#"select id as "id: _", email as "email: _" from operators where lower(email) = $1"#,
            email as _,
        );
        Ok(operator.fetch_one(db).await?)
    }
}
