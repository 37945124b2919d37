use app::{PersonalData, Rule};

const ACCOUNT: &str = "as long as the account";
const MONTH_AFTER: &str = "30 days after they end";
const OPERATORS: &str = "until another operator removes them";

const SAME_ADDRESS: &str = "lower(email) = (select lower(email) from users where id = $1)";

/// Children first.
pub(crate) const PERSONAL_DATA: &[PersonalData] = &[
    PersonalData::new("api_keys", "keys of programs", "until their maker or org is erased")
        .withholding(&["hash", "previous_hash"])
        .person(Rule::deleted("user_id = $1"))
        .org(Rule::deleted("org_id = $1")),
    PersonalData::new("email_tokens", "links in mails", MONTH_AFTER)
        .withholding(&["hash"])
        .person(Rule::deleted("user_id = $1")),
    PersonalData::new("guesses", "how often passwords were guessed, by hashes", "a day"),
    PersonalData::new("identities", "accounts elsewhere that somebody signs in with", ACCOUNT)
        .person(Rule::deleted("user_id = $1")),
    PersonalData::new(
        "impersonations",
        "when an operator stood in for somebody, and why",
        "for good; without the reason after an erasure",
    )
    .withholding(&["hash"])
    .person(Rule::overwritten("user_id = $1", "reason = ''"))
    .org(Rule::overwritten("org_id = $1", "reason = ''").not_exported()),
    PersonalData::new(
        "emails",
        "mails that invite outsiders",
        "until the org that invites is erased; `EMAIL_RETENTION_DAYS` if others invited the same address",
    )
    .org(
        Rule::deleted(
            "template = 'invitation'
             and lower(recipient) in (select lower(email) from invitations where org_id = $1)
             and lower(recipient) not in (select lower(email) from invitations where org_id <> $1)",
        )
        .not_exported(),
    ),
    PersonalData::new("invitations", "who was invited", "until the invited or the org is erased")
        .withholding(&["hash"])
        .person(Rule::deleted(SAME_ADDRESS))
        .org(Rule::deleted("org_id = $1")),
    PersonalData::new("invite_codes", "codes to sign up with", "until an operator removes them")
        .withholding(&["hash", "note"])
        .person(Rule::overwritten(SAME_ADDRESS, "email = null, note = ''")),
    PersonalData::new("ip_blocks", "addresses that are kept out, and why", "until they lapse"),
    PersonalData::new("magic_links", "links to sign in with", MONTH_AFTER)
        .withholding(&["challenge_hash", "code_hash"])
        .person(Rule::deleted(SAME_ADDRESS)),
    PersonalData::new("operator_enrolments", "operators who are being taken on", OPERATORS),
    PersonalData::new("operator_recovery_codes", "codes of operators, as hashes", OPERATORS),
    PersonalData::new("operator_sessions", "where operators signed in", OPERATORS),
    PersonalData::new("operators", "the people who run the product", OPERATORS),
    PersonalData::new("ownership_transfers", "offers of ownership", "until they are answered")
        .person(Rule::deleted("$1 in (from_user, to_user)"))
        .org(Rule::deleted("org_id = $1")),
    PersonalData::new(
        "passkey_ceremonies",
        "sign-ins and additions of passkeys that are under way",
        "until they end",
    )
    .withholding(&["hash", "state"])
    .person(Rule::deleted("user_id = $1")),
    PersonalData::new("passkeys", "devices that somebody signs in with, by public keys", ACCOUNT)
        .withholding(&["credential_id", "credential"])
        .person(Rule::deleted("user_id = $1")),
    PersonalData::new("recovery_codes", "codes to sign in with, as hashes", ACCOUNT)
        .withholding(&["hash"])
        .person(Rule::deleted("user_id = $1")),
    PersonalData::new("refresh_tokens", "how sessions go on, as hashes", MONTH_AFTER).person(
        Rule::deleted("session_id in (select id from sessions where user_id = $1)").not_exported(),
    ),
    PersonalData::new("registrations", "sign-ups that are not confirmed", MONTH_AFTER)
        .withholding(&["hash", "password_hash"])
        .person(Rule::deleted(SAME_ADDRESS)),
    PersonalData::new("second_factors", "that somebody has an authenticator", ACCOUNT)
        .withholding(&["totp_secret"])
        .person(Rule::deleted("user_id = $1")),
    PersonalData::new("sessions", "where and with what somebody signed in", MONTH_AFTER)
        .person(Rule::deleted("user_id = $1"))
        .org(Rule::deleted("org_id = $1").not_exported()),
    PersonalData::new("sign_in_challenges", "sign-ins that wait for a second factor", MONTH_AFTER)
        .withholding(&["hash"])
        .person(Rule::deleted("user_id = $1")),
    PersonalData::new("social_logins", "sign-ins that are under way elsewhere", "until they end")
        .withholding(&["hash", "binding_hash", "invite_code_hash"])
        .person(Rule::deleted("user_id = $1")),
    PersonalData::new("waitlist_entries", "who waits to be let in", "until the account is erased")
        .person(Rule::deleted(SAME_ADDRESS)),
    PersonalData::new("memberships", "who is what in which org", ACCOUNT)
        .person(Rule::deleted("user_id = $1"))
        .org(Rule::deleted("org_id = $1")),
    PersonalData::new(
        "users",
        "accounts",
        "as long as the account; an empty row by its id for the books",
    )
    .withholding(&["password_hash"])
    .person(Rule::overwritten(
        "id = $1",
        "email = 'erased-' || id || '@erased.invalid', name = '', password_hash = null,
             email_verified_at = null, suspension_reason = null",
    )),
    PersonalData::new(
        "orgs",
        "organizations",
        "as long as the org; an empty row by its id for the books",
    )
    .org(Rule::overwritten(
        "id = $1",
        "name = '', suspension_reason = case when suspended_at is null then null else '' end",
    )),
];
