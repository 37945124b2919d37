use app::{PersonalData, Rule};

/// Mails to one address, also from before it had an account.
const THEIRS: &str =
    "(user_id = $1 or lower(recipient) = (select lower(email) from users where id = $1))";

const OF_THEIRS: &str = "email_id in (select id from emails where user_id = $1
    or lower(recipient) = (select lower(email) from users where id = $1))";

/// Mails to others that name a person, or an org, in the subject or in what is kept of the body. Those that are still
/// to be sent stay: a name may be any word, and would stop the mails of others. So erasures wait for them.
/// Names of one or two letters are in every mail.
const NAMES_PERSON: &str = "status <> 'queued' and exists (select from users u where u.id = $1
    and (length(u.name) > 2 and position(lower(u.name) in lower(concat_ws(' ', subject, html, text, error))) > 0
         or position(lower(u.email) in lower(concat_ws(' ', subject, html, text, error))) > 0))";
const NAMES_ORG: &str = "status <> 'queued' and exists (select from orgs o where o.id = $1
    and length(o.name) > 2 and position(lower(o.name) in lower(concat_ws(' ', subject, html, text, error))) > 0)";
const KEPT: &str = "`EMAIL_RETENTION_DAYS` (90 days)";
const WITHOUT_TEXT: &str = "subject = '', html = null, text = null, error = null";

pub(crate) const PERSONAL_DATA: &[PersonalData] = &[
    PersonalData::new("email_days", "how many mails were sent on a day", "30 days"),
    PersonalData::new("email_events", "what became of mails", KEPT)
        .person(Rule::deleted(OF_THEIRS)),
    PersonalData::new("email_person_days", "how many mails somebody got on a day", "30 days")
        .person(Rule::deleted("user_id = $1")),
    PersonalData::new(
        "email_preferences",
        "which mails somebody wants, and in which language",
        "as long as the account",
    )
    .person(Rule::deleted("user_id = $1")),
    PersonalData::new(
        "email_suppressions",
        "addresses that get no mail",
        "until an operator removes them or their account is erased",
    )
    .withholding(&["note"])
    .person(Rule::deleted("lower(address) = (select lower(email) from users where id = $1)")),
    PersonalData::new(
        "emails",
        "mails to somebody; bodies until they are sent, or 7 days if that failed",
        KEPT,
    )
    .withholding(&["html", "text"])
    .person(Rule::deleted(THEIRS)),
    PersonalData::new(
        "emails",
        "mails to others that name somebody",
        "`EMAIL_RETENTION_DAYS` (90 days); without text after an erasure",
    )
    .person(Rule::overwritten(NAMES_PERSON, WITHOUT_TEXT).not_exported())
    .org(Rule::overwritten(NAMES_ORG, WITHOUT_TEXT).not_exported()),
];
