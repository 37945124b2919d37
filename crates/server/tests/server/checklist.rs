//! Each line of the launch checklist is tied to something that exists, and its head counts them.

use crate::{deploys, proofs};

const PAGE: &str = include_str!("../../../../docs/checklist.md");

/// A line of a table of the page.
struct Line<'a> {
    blocker: bool,
    capability: &'a str,
    tie: &'a str,
}

fn lines() -> Vec<Line<'static>> {
    let (_, tables) = PAGE.split_once("\n## ").expect("areas");
    let rows = tables.lines().filter(|line| line.starts_with('|') && !line.starts_with("|---"));
    let cells = rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect());
    let cells = cells.filter(|it: &Vec<&str>| it.get(1) != Some(&"what"));
    cells
        .map(|cells| {
            let [first, capability, tie] = cells[..] else { panic!("not three cells: {cells:?}") };
            assert!(["", "**B**"].contains(&first), "{first} {capability}");
            Line { blocker: first == "**B**", capability, tie }
        })
        .collect()
}

impl Line<'_> {
    /// `there`, `not yet` or `yours`.
    fn state(&self) -> &'static str {
        match self.tie {
            it if it.starts_with("**not yet:** ") => "not yet",
            it if it.starts_with("**yours:** ") => "yours",
            _ => "there",
        }
    }

    /// What it names in backticks.
    fn named(&self) -> impl Iterator<Item = &str> {
        self.tie.split('`').skip(1).step_by(2)
    }
}

/// Whether this is a command that there is.
fn is_command(command: &str) -> bool {
    let root = deploys::root();
    let words: Vec<&str> = command.split_whitespace().collect();
    match words[..] {
        ["slipway", ..] => deploys::parse(&words).is_ok(),
        ["just", recipe] => {
            let justfile = std::fs::read_to_string(root.join("justfile")).unwrap();
            let begins = |line: &str| line.split([' ', ':']).next() == Some(recipe);
            justfile.lines().any(|line| !line.starts_with(['#', ' ']) && begins(line))
        }
        ["cargo", "run" | "test"] => true,
        [script] => script.starts_with('.') && script.contains('/') && root.join(script).is_file(),
        _ => false,
    }
}

#[test]
fn every_tie_of_the_checklist_exists() {
    let tests = proofs::tests();
    let exists = |it: &str| if it.contains("::") { tests.contains(it) } else { is_command(it) };
    let mut wrong = Vec::new();
    for line in lines() {
        // What is not there may name what there is instead, such as an operation or a setting.
        let is_tied = |it: &str| line.state() == "there" || it.starts_with("slipway ");
        let missing = line.named().filter(|it| is_tied(it) && !exists(it));
        wrong.extend(missing.map(|it| format!("{it}, of: {}", line.capability)));
        if line.state() != "not yet" && !line.tie.contains(['`', '[']) {
            wrong.push(format!("nothing, of: {}", line.capability));
        }
    }
    assert!(wrong.is_empty(), "tied to what does not exist: {wrong:#?}");
}

#[test]
fn the_head_of_the_checklist_counts_its_lines() {
    let lines = lines();
    let count = |state| {
        let of = || lines.iter().filter(|it| it.state() == state);
        (of().count(), of().filter(|it| it.blocker).count())
    };
    let [there, missing, yours] = ["there", "not yet", "yours"].map(count);
    let head = format!(
        "| | lines | blockers among them |\n|---|---|---|\n| there | {} | {} |\n| not yet | {} | {} |\n| yours | {} | {} |\n",
        there.0, there.1, missing.0, missing.1, yours.0, yours.1
    );
    assert!(PAGE.contains(&head), "docs/checklist.md must begin with:\n{head}");
}
