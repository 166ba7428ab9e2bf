//! The closing summary of a clone.

use crate::cli::failure::Failure;
use crate::cli::{Global, output};
use crate::clone::{Summary, TableSummary};
use comfy_table::{Cell, CellAlignment, Table, presets};
use serde_json::json;

/// Literals listed one by one on a terminal; all of them are in the JSON document.
const LITERAL_LIMIT: usize = 40;

pub(in crate::cli) fn print_summary(
    summary: &Summary,
    global: &Global,
    is_plan: bool,
) -> Result<(), Failure> {
    if global.json {
        let event = if is_plan { "plan" } else { "summary" };
        let mut document = serde_json::to_value(summary)
            .map_err(|error| Failure::internal(format!("write the summary: {error}")))?;
        if let Some(fields) = document.as_object_mut() {
            fields.insert("event".into(), json!(event));
        }
        return output::json(&document);
    }
    output::line(&tables(&summary.tables, is_plan).to_string())?;
    rules(summary, is_plan)?;
    literals(summary)?;
    for name in &summary.not_copied {
        output::line(&format!("not copied: {name}"))?;
    }
    for warning in &summary.warnings {
        output::line(&format!("warning: {warning}"))?;
    }
    closing(summary, is_plan)
}

/// Tables and totals only.
pub(in crate::cli) fn print_brief(summary: &Summary) -> Result<(), Failure> {
    output::line(&tables(&summary.tables, false).to_string())?;
    closing(summary, false)
}

fn tables(tables: &[TableSummary], is_plan: bool) -> Table {
    let mut shown = Table::new();
    shown.load_style(presets::NOTHING);
    let mut header = vec!["table", "action", "masked", "kept", "format"];
    if !is_plan {
        header.extend(["rows", "bytes", "changed"]);
    }
    shown.set_header(header);
    for table in tables {
        let changed = table.rules.iter().map(|rule| rule.values_changed).sum();
        let mut row = vec![
            Cell::new(&table.table),
            Cell::new(table.action),
            right(table.rules.len().to_string()),
            right(table.kept.len().to_string()),
            Cell::new(&table.format),
        ];
        if !is_plan {
            row.extend([
                right(output::count(table.rows)),
                right(output::bytes(table.bytes)),
                right(output::count(changed)),
            ]);
        }
        shown.add_row(row);
    }
    shown
}

fn right(text: String) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

fn rules(summary: &Summary, is_plan: bool) -> Result<(), Failure> {
    let mut shown = Table::new();
    shown.load_style(presets::NOTHING);
    shown.set_header(["column", "rule", if is_plan { "" } else { "changed" }, "because"]);
    let mut count = 0;
    for table in &summary.tables {
        for rule in &table.rules {
            count += 1;
            let changed = if is_plan { String::new() } else { output::count(rule.values_changed) };
            shown.add_row([
                Cell::new(format!("{}.{}", table.table, rule.column)),
                Cell::new(rule.transform),
                right(changed),
                Cell::new(&rule.origin),
            ]);
        }
    }
    if count == 0 { Ok(()) } else { output::line(&format!("\n{shown}\n")) }
}

fn literals(summary: &Summary) -> Result<(), Failure> {
    if summary.schema_literals.is_empty() {
        return Ok(());
    }
    let flagged =
        summary.schema_literals.iter().filter(|literal| literal.looks_like.is_some()).count();
    output::line(&format!(
        "text in the schema itself, left in place: {} objects, {flagged} look like personal data",
        summary.schema_literals.len()
    ))?;
    let mut order = summary.schema_literals.iter().collect::<Vec<_>>();
    order.sort_by_key(|literal| literal.looks_like.is_none());
    for literal in order.iter().take(LITERAL_LIMIT) {
        let mark = literal
            .looks_like
            .as_ref()
            .map_or_else(String::new, |class| format!(" (looks like: {class})"));
        output::line(&format!("  {} {}{mark}", literal.kind, literal.object))?;
    }
    let more = order.len().saturating_sub(LITERAL_LIMIT);
    if more > 0 {
        output::line(&format!("  and {more} more: see --json"))?;
    }
    Ok(())
}

fn closing(summary: &Summary, is_plan: bool) -> Result<(), Failure> {
    if is_plan {
        return output::line(&format!(
            "plan: {} ranges, {} columns masked, {} kept; nothing was written",
            summary.ranges_total, summary.columns_masked, summary.columns_kept
        ));
    }
    let phases = summary
        .seconds
        .iter()
        .filter(|(phase, _)| **phase != "total")
        .map(|(phase, seconds)| format!("{phase} {seconds:.1}"))
        .collect::<Vec<_>>()
        .join(", ");
    output::line(&format!(
        "{}: {} rows, {}, {} values changed, {} columns masked, {} kept, in {:.1} s ({phases})",
        if summary.resumed { "resumed and done" } else { "done" },
        output::count(summary.rows),
        output::bytes(summary.bytes),
        output::count(summary.values_changed),
        summary.columns_masked,
        summary.columns_kept,
        summary.seconds.get("total").copied().unwrap_or_default(),
    ))
}
