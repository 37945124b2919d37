use app::PersonalData;

pub(crate) const PERSONAL_DATA: &[PersonalData] = &[
    PersonalData::new("backups", "when backups were made, and what went wrong", "400 days"),
    PersonalData::new("restore_drills", "when backups were restored for trial", "400 days"),
];
