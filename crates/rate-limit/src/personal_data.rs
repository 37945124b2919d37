use app::PersonalData;

pub(crate) const PERSONAL_DATA: &[PersonalData] = &[
    PersonalData::new("instances", "which processes run", "a minute"),
    PersonalData::new(
        "rate_limits",
        "how often addresses tried secrets; those of mails and accounts as hashes",
        "until the limit is whole again, a day at most",
    ),
];
