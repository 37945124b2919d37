use app::{PersonalData, Rule};

pub(crate) const PERSONAL_DATA: &[PersonalData] = &[
    PersonalData::new("digest_runs", "how far the weekly digest is", "for good"),
    PersonalData::new("nudges", "which reminders somebody got", "as long as the account")
        .person(Rule::deleted("user_id = $1")),
];
