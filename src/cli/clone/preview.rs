//! `backlot clone preview`

use super::SourceArgs;
use super::planner::{Selection, outcome};
use crate::catalog;
use crate::cli::failure::Failure;
use crate::cli::{Global, environment, output};
use crate::clone::{self, CloneError, PreviewColumn, Side};
use crate::pg::Session;
use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::json;

#[derive(Args)]
pub(in crate::cli) struct PreviewArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Rows per table
    #[arg(long, short = 'n', value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rows: u32,
    /// Print the source's own values beside their fakes: personal data on your screen
    #[arg(long)]
    show_source_values: bool,
}

/// Characters of a value that are shown in the table; all of them are in the JSON document.
const VALUE_LIMIT: usize = 48;

pub(super) async fn run(args: PreviewArgs, global: &Global) -> Result<(), Failure> {
    let selection = Selection::read(&args.source)?;
    let key = environment::key(args.source.key_file.as_deref())?;
    let (_, source) = environment::server(
        args.source.source_url.as_deref(),
        "BACKLOT_SOURCE_URL",
        "--source-url",
    )?;
    let session = Session::connect(&source, "backlot")
        .await
        .map_err(|error| CloneError::Connect { side: Side::Source, source: error })?;
    let catalog = catalog::load(&session).await?;
    let outcome = outcome(&selection, &source, None, &catalog).await?;
    let columns = tokio::task::block_in_place(|| {
        clone::preview(&source, &catalog, &outcome.plan, &key, args.rows, args.show_source_values)
    })?;
    if global.json {
        return output::json(&json!({"columns": columns}));
    }
    output::line(&table(&columns).to_string())
}

/// Columns as `table.column | rule | before | after`, one line per value.
pub(in crate::cli) fn table(columns: &[PreviewColumn]) -> Table {
    let mut shown = Table::new();
    shown.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    shown.set_header(["column", "rule", "before (shape)", "after"]);
    let text = |value: &Option<String>| match value {
        None => "NULL".to_owned(),
        Some(value) if value.chars().count() > VALUE_LIMIT => {
            value.chars().take(VALUE_LIMIT - 1).chain(std::iter::once('…')).collect()
        }
        Some(value) => value.clone(),
    };
    for column in columns {
        let name = format!("{}.{}", column.table, column.column);
        for (at, (before, after)) in column.before.iter().zip(&column.after).enumerate() {
            let (name, rule) = if at == 0 { (name.as_str(), column.transform) } else { ("", "") };
            shown.add_row([name.to_owned(), rule.to_owned(), text(before), text(after)]);
        }
    }
    shown
}
