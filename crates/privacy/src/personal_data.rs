use app::{PersonalData, Rule};

/// What privacy itself keeps about whom.
pub const PERSONAL_DATA: &[PersonalData] = &[
    PersonalData::new(
        "data_exports",
        "copies that somebody asked for; the archives go after `PRIVACY_EXPORT_DAYS`",
        "90 days",
    )
    .person(Rule::deleted("user_id = $1"))
    .org(Rule::deleted("org_id = $1")),
    PersonalData::new("deletion_steps", "how far erasures are", "for good: figures"),
    PersonalData::new(
        "deletions",
        "who was to be erased, by ids",
        "for good: proof that it was done",
    )
    .withholding(&["certificate", "code"])
    .person(Rule::kept("user_id = $1"))
    .org(Rule::kept("org_id = $1")),
];
