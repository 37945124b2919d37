/// What one table keeps about people and orgs, who gets it, and what becomes of it when they leave.
///
/// A table with rows of different kinds has an entry for each. The inventory, exports and erasures
/// are made from these and from nothing else; a test fails for a table without an entry.
#[derive(Clone, Copy, Debug)]
pub struct PersonalData {
    /// The table.
    pub table: &'static str,
    /// What it tells, for people who read the inventory.
    pub tells: &'static str,
    /// For how long; where something stays after an erasure, also why.
    pub kept: &'static str,
    /// Columns that no export has: secrets, hashes, and what is of no use to anybody else.
    pub withheld: &'static [&'static str],
    /// What of it is a person's; `$1` is their id.
    pub person: Option<Rule>,
    /// What of it is an org's; `$1` is its id.
    pub org: Option<Rule>,
}

/// Which rows belong to somebody, and what happens with them.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// A condition in SQL on one row, with `$1`.
    pub rows: &'static str,
    /// Whether their export has them.
    pub exported: bool,
    /// What their erasure does.
    pub erasure: Erasure,
}

/// What an erasure does with rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Erasure {
    /// They go.
    Delete,
    /// They stay without what is personal: assignments in SQL.
    Overwrite(&'static str),
    /// They stay: ids and figures that name nobody once the account behind the id is gone.
    Keep,
    /// Its crate has its own way, as the log does whose events are chained.
    ByItsCrate,
}

impl PersonalData {
    /// A table in which nothing is anybody's, until a rule says so.
    pub const fn new(table: &'static str, tells: &'static str, kept: &'static str) -> Self {
        Self { table, tells, kept, withheld: &[], person: None, org: None }
    }

    /// What of it is a person's.
    #[must_use]
    pub const fn person(mut self, rule: Rule) -> Self {
        self.person = Some(rule);
        self
    }

    /// What of it is an org's.
    #[must_use]
    pub const fn org(mut self, rule: Rule) -> Self {
        self.org = Some(rule);
        self
    }

    /// Columns that no export has.
    #[must_use]
    pub const fn withholding(mut self, columns: &'static [&'static str]) -> Self {
        self.withheld = columns;
        self
    }
}

impl Rule {
    /// `rows` are exported, and deleted by an erasure.
    pub const fn deleted(rows: &'static str) -> Self {
        Self { rows, exported: true, erasure: Erasure::Delete }
    }

    /// `rows` are exported, and an erasure assigns `set`.
    pub const fn overwritten(rows: &'static str, set: &'static str) -> Self {
        Self { rows, exported: true, erasure: Erasure::Overwrite(set) }
    }

    /// `rows` are exported, and stay.
    pub const fn kept(rows: &'static str) -> Self {
        Self { rows, exported: true, erasure: Erasure::Keep }
    }

    /// `rows` are exported; their crate erases what is personal.
    pub const fn erased_by_its_crate(rows: &'static str) -> Self {
        Self { rows, exported: true, erasure: Erasure::ByItsCrate }
    }

    /// No export has them.
    #[must_use]
    pub const fn not_exported(mut self) -> Self {
        self.exported = false;
        self
    }
}

/// The inventory of what is kept about whom, as a page.
pub fn inventory(tables: &[PersonalData]) -> String {
    let head =
        "| table | what it tells | of a person | of an org | kept |\n|---|---|---|---|---|\n";
    let mut tables = tables.to_vec();
    tables.sort_by_key(|it| it.table);
    let lines = tables.iter().map(|it| {
        let (person, org) = (describe(it.person), describe(it.org));
        format!("| `{}` | {} | {person} | {org} | {} |\n", it.table, it.tells, it.kept)
    });
    format!("{head}{}", lines.collect::<String>())
}

fn describe(rule: Option<Rule>) -> String {
    let Some(rule) = rule else { return "–".to_owned() };
    let export = if rule.exported { "exported, " } else { "" };
    let erasure = match rule.erasure {
        Erasure::Delete => "deleted",
        Erasure::Overwrite(_) => "overwritten",
        Erasure::Keep => "kept",
        Erasure::ByItsCrate => "erased by its crate",
    };
    format!("{export}{erasure}")
}
