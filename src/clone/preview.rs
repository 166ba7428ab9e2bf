//! What a clone would make of a few rows, by the same path that a clone takes.

use super::error::CloneError;
use crate::catalog::Catalog;
use crate::pg::{Buffer, Chunk, ConnInfo, Error, Format, Ident, Wire};
use crate::table_sync::{TableJob, bind_masks};
use crate::transform::key::RootKey;
use crate::transform::plan::Plan;
use crate::transform::{Stage, TableMask};
use serde::Serialize;

/// One masked column of a sampled table. `None` is NULL.
#[derive(Clone, Debug, Serialize)]
pub struct PreviewColumn {
    pub table: String,
    pub column: String,
    pub transform: &'static str,
    /// The shapes of the source's values; the values themselves only if they were asked for.
    pub before: Vec<Option<String>>,
    pub after: Vec<Option<String>>,
}

/// Masks up to `rows` rows of every table that has a rule. Blocking.
///
/// # Errors
/// [`CloneError::Config`] for rules that do not fit, [`CloneError::Query`] if a table cannot be
/// read.
pub fn preview(
    source: &ConnInfo,
    catalog: &Catalog,
    plan: &Plan,
    key: &RootKey,
    rows: u32,
    show_source: bool,
) -> Result<Vec<PreviewColumn>, CloneError> {
    let jobs = bind_masks(plan, catalog, key, Some(Format::Text)).map_err(CloneError::Config)?;
    let failed = CloneError::query("read rows for the preview");
    let mut wire = Wire::connect(source, "backlot preview").map_err(failed)?;
    let begin = "begin isolation level repeatable read, read only";
    wire.simple(begin).map_err(CloneError::query("read rows for the preview"))?;
    let mut columns = Vec::new();
    for job in &jobs {
        let TableMask::Rules(masks) = &job.mask else { continue };
        let raw =
            sample(&mut wire, job, rows).map_err(CloneError::query("read rows for the preview"))?;
        let mut stage = Stage::new(masks, Format::Text, job.columns.len());
        let masked = stage.run(&raw).map_err(|source| CloneError::Range {
            relation: job.source.to_string(),
            source: crate::table_sync::RangeError::Mask(source),
        })?;
        let (before, after) = (fields(&raw), fields(masked.bytes()));
        for mask in masks {
            let pick = |rows: &[Vec<Option<String>>]| {
                rows.iter().map(|row| row.get(mask.position).cloned().flatten()).collect::<Vec<_>>()
            };
            let mut shown = pick(&before);
            if !show_source {
                shown = shown.into_iter().map(|value| value.map(|value| shape(&value))).collect();
            }
            columns.push(PreviewColumn {
                table: job.source.to_string(),
                column: mask.name.clone(),
                transform: transform_name(plan, job, &mask.name, catalog),
                before: shown,
                after: pick(&after),
            });
        }
    }
    Ok(columns)
}

fn transform_name(plan: &Plan, job: &TableJob, column: &str, catalog: &Catalog) -> &'static str {
    let at = catalog.table(job.table).column(column).map(|(at, _)| at);
    let column = at.and_then(|at| plan.table(job.table)?.columns.get(at));
    column.map_or("", |column| column.rule.transform.name())
}

fn sample(wire: &mut Wire, job: &TableJob, rows: u32) -> Result<Vec<u8>, Error> {
    let list =
        job.columns.iter().map(|name| Ident(name).to_string()).collect::<Vec<_>>().join(", ");
    let filter = job.filter.as_ref().map_or_else(String::new, |filter| format!(" where {filter}"));
    let sql = format!(
        "copy (select {list} from only {}{filter} limit {rows}) to stdout (format text)",
        job.source.sql()
    );
    wire.start_copy_out(&sql)?;
    let mut raw = Vec::new();
    let mut buffer = Buffer::default();
    loop {
        let chunk = wire.copy_chunk(&mut buffer)?;
        raw.extend_from_slice(buffer.as_slice());
        if chunk == Chunk::End {
            return Ok(raw);
        }
    }
}

/// The fields of whole CopyData frames of text rows, still escaped.
fn fields(frames: &[u8]) -> Vec<Vec<Option<String>>> {
    let mut text = Vec::new();
    let mut rest = frames;
    while let Some((header, after)) = rest.split_first_chunk::<5>() {
        let [_, length @ ..] = *header;
        let length = (u32::from_be_bytes(length) as usize).saturating_sub(4).min(after.len());
        let (payload, after) = after.split_at(length);
        text.extend_from_slice(payload);
        rest = after;
    }
    let text = String::from_utf8_lossy(&text);
    let field = |field: &str| (field != "\\N").then(|| field.to_owned());
    text.lines().map(|line| line.split('\t').map(field).collect()).collect()
}

/// Letters become `x` or `X`, digits `9`; everything else, and the length, stays.
fn shape(value: &str) -> String {
    value
        .chars()
        .map(|c| match c {
            c if c.is_numeric() => '9',
            c if c.is_uppercase() => 'X',
            c if c.is_alphabetic() => 'x',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{fields, shape};

    #[test]
    fn a_shape_shows_no_letter_and_no_digit_of_a_value() {
        assert_eq!(shape("Ada.L@x.org 42 Ω"), "Xxx.X@x.xxx 99 X");
    }

    #[test]
    fn frames_are_taken_apart_into_rows_and_fields() {
        let mut frame = vec![b'd', 0, 0, 0, 4 + 7];
        frame.extend_from_slice(b"a\t\\N\nb\t");
        frame.extend_from_slice(&[b'd', 0, 0, 0, 4 + 2, b'c', b'\n']);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(fields(&frame), [[some("a"), None], [some("b"), some("c")]]);
    }
}
