use app::{PersonalData, Rule};

const BOOKS: &str = "ten years: books are kept by law; they name nobody";

pub(crate) const PERSONAL_DATA: &[PersonalData] = &[
    PersonalData::new("books", "which state of the books is current", "for good"),
    PersonalData::new(
        "budget_alerts",
        "which budgets were nearly used up",
        "as long as the budget",
    )
    .org(Rule::kept("budget_id in (select id from budgets where org_id = $1)").not_exported()),
    PersonalData::new("budgets", "who may spend how much", "for good: figures by ids")
        .withholding(&["version", "carried"])
        .person(Rule::kept("scope = 'user' and subject_id = $1"))
        .org(Rule::kept("org_id = $1")),
    PersonalData::new(
        "credit_alerts",
        "whether credits were nearly used up",
        "for good: figures by ids",
    )
    .org(Rule::kept("org_id = $1").not_exported()),
    PersonalData::new("entitlements", "what an org's plan gives it", "for good: figures by ids")
        .org(Rule::kept("org_id = $1")),
    PersonalData::new("first_entitlement", "what new orgs get", "for good"),
    PersonalData::new("grant_covers", "which credits paid for which", BOOKS)
        .org(Rule::kept("org_id = $1").not_exported()),
    PersonalData::new("grants", "credits of an org", BOOKS).org(Rule::kept("org_id = $1")),
    PersonalData::new("holds", "calls in flight", "minutes")
        .org(Rule::kept("org_id = $1").not_exported()),
    PersonalData::new("ledger_close_lines", "sums of the books by month", BOOKS)
        .org(Rule::kept("org_id = $1")),
    PersonalData::new("ledger_closes", "which months are closed", BOOKS),
    PersonalData::new("ledger_entries", "every movement of credits and money", BOOKS)
        .org(Rule::kept("org_id = $1")),
];
