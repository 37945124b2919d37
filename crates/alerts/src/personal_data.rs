use app::PersonalData;

pub(crate) const PERSONAL_DATA: &[PersonalData] = &[
    PersonalData::new("alert_answers", "how many requests failed", "a day"),
    PersonalData::new("alert_silences", "which rules are silenced, and why", "180 days"),
    PersonalData::new("alerts", "what the people who run the product were told", "180 days"),
];
