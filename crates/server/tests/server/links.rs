//! Links of the manual lead to pages and sections that exist.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The pages below `directory`.
fn pages(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            pages(&path, found);
        } else if path.extension().is_some_and(|it| it == "md") {
            found.push(path);
        }
    }
}

/// The lines of a page that are text, not code.
fn text(page: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    page.lines().filter(move |line| {
        fenced ^= line.starts_with("```");
        !fenced && !line.starts_with("    ")
    })
}

/// What GitHub calls the section below a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|it| it.is_alphanumeric() || " -_".contains(*it));
    kept.collect::<String>().trim().to_lowercase().replace(' ', "-")
}

fn anchors(page: &Path) -> BTreeSet<String> {
    let page = fs::read_to_string(page).unwrap();
    text(&page).filter(|line| line.starts_with('#')).map(anchor).collect()
}

#[test]
fn every_link_of_the_manual_leads_somewhere() {
    let root = crate::deploys::root();
    let mut found = vec![root.join("README.md"), root.join("CONTRIBUTING.md")];
    pages(&root.join("docs"), &mut found);
    let (mut wrong, mut followed) = (Vec::new(), 0);
    for page in found {
        let content = fs::read_to_string(&page).unwrap();
        let links = text(&content).flat_map(|line| line.split("](").skip(1));
        for link in links.filter_map(|it| it.split(')').next()) {
            if link.contains("://") {
                continue; // Somebody else's.
            }
            let (path, section) = link.split_once('#').unwrap_or((link, ""));
            let target = match path {
                "" => page.clone(),
                path => page.with_file_name(path),
            };
            followed += 1;
            if !target.exists() || !section.is_empty() && !anchors(&target).contains(section) {
                wrong.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(followed > 100, "{followed}");
    assert!(wrong.is_empty(), "lead nowhere: {wrong:#?}");
}
