use app::{PersonalData, Rule};

const KEPT: &str = "`SUPPORT_RETENTION_DAYS`";

pub(crate) const PERSONAL_DATA: &[PersonalData] = &[
    PersonalData::new(
        "notifications",
        "what somebody was told in the product, and whether they read it",
        "`NOTIFICATIONS_RETENTION_DAYS`",
    )
    .person(Rule::deleted("user_id = $1"))
    .org(Rule::deleted("ticket_id in (select id from tickets where org_id = $1)").not_exported()),
    PersonalData::new(
        "notification_feeds",
        "how much somebody was told in the product",
        "as long as the account",
    )
    .person(Rule::deleted("user_id = $1").not_exported()),
    PersonalData::new("announcements", "what operators told everybody", "for good"),
    PersonalData::new("ticket_messages", "what was asked and answered in tickets", KEPT)
        .person(Rule::deleted("ticket_id in (select id from tickets where user_id = $1)"))
        .org(Rule::deleted("org_id = $1").not_exported()),
    PersonalData::new(
        "tickets",
        "what somebody asked for help with, and what had failed before",
        KEPT,
    )
    .person(Rule::deleted("user_id = $1"))
    .org(Rule::deleted("org_id = $1").not_exported()),
    PersonalData::new("feedback", "what somebody thinks of the product", KEPT)
        .person(Rule::deleted("user_id = $1"))
        .org(Rule::deleted("org_id = $1").not_exported()),
    PersonalData::new(
        "onboarding_steps",
        "how far somebody has come in getting to know the product",
        "as long as the account",
    )
    .person(Rule::deleted("user_id = $1"))
    .org(Rule::deleted("org_id = $1").not_exported()),
];
