use app::{PersonalData, Rule};

/// Whoever is asked has no account, or perhaps one with the same address.
pub(crate) const PERSONAL_DATA: &[PersonalData] = &[
    PersonalData::new("emails", "mails that ask outsiders", "until the org that asks is erased; `EMAIL_RETENTION_DAYS` if others asked the same address")
        .org(
            Rule::deleted(
                "template = 'client_approval'
             and lower(recipient) in (select lower(email) from approvals where org_id = $1)
             and lower(recipient) not in (select lower(email) from approvals where org_id <> $1)",
            )
            .not_exported(),
        ),
    PersonalData::new(
        "approvals",
        "what outsiders were asked to approve, and what they answered",
        "until its org is erased",
    )
    .withholding(&["hash"])
    .person(Rule::overwritten(
        "lower(email) = (select lower(email) from users where id = $1)",
        "email = 'erased-' || id || '@erased.invalid', name = '', comment = null",
    ))
    .org(Rule::deleted("org_id = $1")),
];
