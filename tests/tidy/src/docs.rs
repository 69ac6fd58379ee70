//! Checks of pages: links lead somewhere, quotes are what they quote, decisions are numbered without holes and have their three parts.

use std::path::Path;

use crate::{File, Finding, Tree};

/// Every relative link of a page leads to a file or folder, and its `#part` to a heading.
pub fn links(tree: &Tree) -> Vec<Finding> {
    tree.pages().flat_map(|page| broken_links(tree, page)).collect()
}

fn broken_links(tree: &Tree, page: &File) -> Vec<Finding> {
    let prose = prose(&page.text);
    let targets =
        prose.iter().flat_map(|(number, line)| targets(line).into_iter().map(move |target| (*number, target)));
    let local = targets.filter(|(_, target)| !target.contains("://") && !target.starts_with("mailto:"));
    local
        .filter(|(_, target)| !resolves(tree, page, target))
        .map(|(number, target)| page.finding(number, format!("the link `{target}` leads nowhere")))
        .collect()
}

/// Lines outside of fenced blocks, numbered from 1.
fn prose(text: &str) -> Vec<(usize, &str)> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for (i, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            lines.push((i + 1, line));
        }
    }
    lines
}

/// What stands in `](...)`.
fn targets(line: &str) -> Vec<&str> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target).collect()
}

fn resolves(tree: &Tree, page: &File, target: &str) -> bool {
    let (path, part) = target.split_once('#').map_or((target, None), |(path, part)| (path, Some(part)));
    let folder = Path::new(&page.path).parent().unwrap_or(Path::new(""));
    let file = if path.is_empty() { tree.root.join(&page.path) } else { tree.root.join(folder).join(path) };
    match part {
        None => file.exists(),
        Some(part) => std::fs::read_to_string(file).is_ok_and(|text| has_heading(&text, part)),
    }
}

fn has_heading(text: &str, part: &str) -> bool {
    prose(text).iter().any(|(_, line)| line.starts_with('#') && anchor(line.trim_start_matches('#')) == part)
}

/// A heading's anchor, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// A fenced block that names a file, "```yaml path/from/the/root.yaml", is that file, word by word.
pub fn quotes(tree: &Tree) -> Vec<Finding> {
    tree.pages().flat_map(|page| misquotes(tree, page)).collect()
}

fn misquotes(tree: &Tree, page: &File) -> Vec<Finding> {
    let lines: Vec<&str> = page.text.lines().collect();
    let openings = lines.iter().enumerate().filter_map(|(i, line)| {
        let (_, path) = line.strip_prefix("```")?.split_once(' ')?;
        Some((i + 1, path))
    });
    let quoted = |from: usize| lines[from..].iter().take_while(|line| **line != "```").copied();
    let wrong = openings.filter(|(from, path)| {
        let file = std::fs::read_to_string(tree.root.join(path));
        !file.is_ok_and(|text| text.lines().eq(quoted(*from)))
    });
    wrong.map(|(from, path)| page.finding(from, format!("the block is not what `{path}` says"))).collect()
}

/// `docs/adr/NNNN-words.md`, from 0001 without holes, each headed `# NNNN. ...` with context, decision and consequences.
pub fn decisions(tree: &Tree) -> Vec<Finding> {
    let pages: Vec<&File> = tree.pages().filter(|page| page.path.starts_with("docs/adr/")).collect();
    pages.iter().enumerate().flat_map(|(i, page)| decision(page, i + 1)).collect()
}

fn decision(page: &File, number: usize) -> Vec<Finding> {
    let name = page.path.rsplit('/').next().unwrap_or_default();
    let mut wrong = Vec::new();
    if !name.starts_with(&format!("{number:04}-")) {
        wrong.push(format!("should be named {number:04}-..., its number in order"));
    }
    if !page.text.starts_with(&format!("# {number:04}. ")) {
        wrong.push(format!("should open with `# {number:04}. ` and its title"));
    }
    let missing = ["## Context", "## Decision", "## Consequences"]
        .into_iter()
        .filter(|part| !page.text.lines().any(|line| line == *part));
    wrong.extend(missing.map(|part| format!("lacks `{part}`")));
    wrong.into_iter().map(|what| page.finding(1, what)).collect()
}
