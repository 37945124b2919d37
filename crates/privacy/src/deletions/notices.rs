use auth::Recipient;
use email::Notice;
use sqlx::PgConnection;

use super::Deletion;
use crate::{Privacy, subject::Subject};

/// What people are told about a deletion.
#[derive(Clone, Copy, Debug)]
pub(super) enum News {
    Asked,
    CalledOff,
    /// Somebody became the only owner of an org meanwhile.
    PutOff,
    Begun,
}

impl Privacy {
    /// Tells the person, or every owner of the org.
    pub(super) async fn tell(
        &self,
        db: &mut PgConnection,
        deletion: &Deletion,
        news: News,
    ) -> sqlx::Result<()> {
        let (what, readers) = match deletion.subject() {
            Some(Subject::Person(user)) => {
                ("account", Recipient::person(&mut *db, user).await?.into_iter().collect())
            }
            Some(Subject::Org(org)) => ("organization", Recipient::owners(&mut *db, org).await?),
            None => return Ok(()),
        };
        let (subject, text) = news.in_words(what, deletion);
        let paragraphs = &[text];
        for reader in readers {
            let notice = Notice { name: &reader.name, subject: &subject, paragraphs };
            self.mailer.queue(&mut *db, &reader.email, reader.user, &notice).await?;
        }
        Ok(())
    }
}

impl News {
    fn in_words(self, what: &str, deletion: &Deletion) -> (String, String) {
        let day = deletion.due_at.format("%-d %B %Y");
        match self {
            Self::Asked => (
                format!("Your {what} will be deleted"),
                format!(
                    "Your {what} will be deleted on {day}, with everything in it. Until then you can sign in and call \
                     it off. If you do not know of this, do so now, and change your password."
                ),
            ),
            Self::CalledOff => (
                format!("Your {what} stays"),
                format!("The deletion of your {what} was called off.{}", match deletion.user_id {
                    Some(_) => " API keys that were revoked stay so.",
                    None => "",
                }),
            ),
            Self::PutOff => (
                format!("Your {what} could not be deleted yet"),
                "You are the only owner of an organization with other members. Transfer its ownership or delete it; \
                 we try again tomorrow."
                    .to_owned(),
            ),
            Self::Begun => (
                format!("Your {what} is being deleted"),
                format!("Your {what} is being deleted now, with everything in it. This is our last mail about it."),
            ),
        }
    }
}
