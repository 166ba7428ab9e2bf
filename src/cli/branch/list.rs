//! `backlot branch list`

use super::{condition, document};
use crate::branch::{BranchError, Moment};
use crate::cli::failure::Failure;
use crate::cli::{Global, output, project};
use crate::project::checked_out;
use comfy_table::{Cell, Table, presets};
use serde_json::json;

pub(super) async fn run(global: &Global) -> Result<(), Failure> {
    let (project, home) = project::opened(global).await?;
    let rows = home.catalog().read()?;
    let checked_out = checked_out(&project).map_err(BranchError::from)?;
    let checked_out = checked_out.unwrap_or_else(|| project.file.default_branch.clone());
    if global.json {
        let documents = rows.branches.iter();
        let documents = documents.map(|branch| document(&home, branch, Some(&checked_out)));
        return output::json(&json!({"branches": documents.collect::<Vec<_>>()}));
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["", "name", "parent", "is", "port", "created", "expires"]);
    for branch in &rows.branches {
        let is_checked_out = branch.id == checked_out || branch.name == checked_out;
        let mark = if is_checked_out { "*" } else { "" };
        let parent = branch.parent.as_ref().map_or("", |parent| parent.name.as_str());
        let expires = match branch.expires_at {
            _ if branch.protected => "protected".to_owned(),
            None => String::new(),
            Some(moment) if moment <= home.now => "expired".to_owned(),
            Some(moment) => format!("in {}", span(home.now, moment)),
        };
        let created = format!("{} ago", span(branch.created_at, home.now));
        let cells = [
            mark,
            &branch.name,
            parent,
            condition(&home, branch),
            &branch.port.to_string(),
            &created,
            &expires,
        ];
        table.add_row(cells.map(Cell::new));
    }
    output::line(&table.to_string())
}

/// `3 h`: rounded down to one unit.
fn span(from: Moment, to: Moment) -> String {
    let seconds = to.0.saturating_sub(from.0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}
