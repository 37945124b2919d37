use app::{PersonalData, Rule};

pub(crate) const PERSONAL_DATA: &[PersonalData] = &[
    PersonalData::new("policies", "texts that people accept, by version", "for good"),
    PersonalData::new(
        "policy_acceptances",
        "which version of which policy somebody accepted, when and from where",
        "as long as the account",
    )
    .person(Rule::deleted("user_id = $1")),
    PersonalData::new(
        "consents",
        "which uses of their data somebody allowed or refused, and when",
        "as long as the account",
    )
    .person(Rule::deleted("user_id = $1")),
];
