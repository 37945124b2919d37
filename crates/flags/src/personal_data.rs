use app::{PersonalData, Rule};

pub(crate) const PERSONAL_DATA: &[PersonalData] = &[
    PersonalData::new("flags", "which features are on for which orgs", "until they are removed")
        .org(Rule::kept("$1 = any (orgs)").not_exported()),
    PersonalData::new(
        "experiment_exposures",
        "which variant of an experiment somebody met, and whether they did what was hoped for",
        "as long as the account",
    )
    .person(Rule::deleted("user_id = $1")),
    PersonalData::new("experiments", "questions to those who use the product", "for good"),
];
