//! `backlot branch tree`

use super::condition;
use crate::branch::{Branch, Home};
use crate::cli::failure::Failure;
use crate::cli::{Global, output, project};
use serde_json::{Value, json};

pub(super) async fn run(global: &Global) -> Result<(), Failure> {
    let (_, home) = project::opened(global).await?;
    let rows = home.catalog().read()?.branches;
    // Whose parent is gone begins a tree of its own.
    let is_root = |branch: &&Branch| parent_of(&rows, branch).is_none();
    let roots = rows.iter().filter(is_root);
    if global.json {
        let trees = roots.map(|root| tree(&home, &rows, root)).collect::<Vec<_>>();
        return output::json(&json!({"roots": trees}));
    }
    for root in roots {
        print(&home, &rows, root, 0)?;
    }
    Ok(())
}

fn parent_of<'a>(rows: &'a [Branch], branch: &Branch) -> Option<&'a Branch> {
    let parent = branch.parent.as_ref()?;
    rows.iter().find(|row| row.id == parent.id)
}

fn children<'a>(rows: &'a [Branch], of: &'a Branch) -> impl Iterator<Item = &'a Branch> {
    rows.iter().filter(|row| row.parent.as_ref().is_some_and(|parent| parent.id == of.id))
}

// A branch is made after its parent, so that there are no circles.
fn tree(home: &Home, rows: &[Branch], branch: &Branch) -> Value {
    let below = children(rows, branch).map(|child| tree(home, rows, child)).collect::<Vec<_>>();
    json!({
        "id": branch.id, "name": branch.name, "condition": condition(home, branch),
        "parent": branch.parent, "children": below,
    })
}

fn print(home: &Home, rows: &[Branch], branch: &Branch, depth: usize) -> Result<(), Failure> {
    let gone = match &branch.parent {
        Some(parent) if depth == 0 => format!(", of {} (deleted)", parent.name),
        Some(_) | None => String::new(),
    };
    let indent = "  ".repeat(depth);
    output::line(&format!("{indent}{} ({}{gone})", branch.name, condition(home, branch)))?;
    children(rows, branch).try_for_each(|child| print(home, rows, child, depth + 1))
}
