//! From configuration file, flags and detection to the plan of a clone.

use super::SourceArgs;
use crate::catalog::{Catalog, RelationKind, RelationName, Table, TableId};
use crate::cli::failure::Failure;
use crate::clone::{CloneError, Decided};
use crate::detect::{self, SampleError};
use crate::pg::{ConnInfo, Error, Literal, Session};
use crate::transform::plan::{Decisions, Plan, bind};
use crate::transform::spec::{Diagnostic, Pattern, Place, Placed, Spec, TableSpec, parse};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

/// What the user asked for, before a catalog is known.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Selection {
    spec: Spec,
    flags: Flags,
    sample_rows: u32,
    /// Of all of the above.
    pub(in crate::cli) hash: String,
}

#[derive(Clone, Debug, Default)]
struct Flags {
    tables: Vec<Placed<Pattern>>,
    exclude: Vec<Placed<Pattern>>,
    schema_only: Vec<Placed<Pattern>>,
    filters: Vec<(RelationName, String)>,
}

impl Selection {
    pub(in crate::cli) fn read(args: &SourceArgs) -> Result<Self, Failure> {
        let (text, file) = match &args.config {
            None => (String::new(), "transforms.yaml".to_owned()),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    Failure::usage(format!("read {}: {error}", path.display()))
                        .hint("`backlot clone config --output FILE` writes one")
                })?;
                (text, path.display().to_string())
            }
        };
        let spec = if args.config.is_some() {
            parse(&text, &file).map_err(|found| Failure::config(&found))?
        } else {
            Spec { file, ..Spec::default() }
        };
        let flags = Flags {
            tables: patterns(&args.tables, "--tables")?,
            exclude: patterns(&args.exclude, "--exclude")?,
            schema_only: patterns(&args.schema_only, "--schema-only")?,
            filters: args
                .filters
                .iter()
                .map(|filter| table_filter(filter))
                .collect::<Result<_, _>>()?,
        };
        let mut hash = Sha256::new();
        for part in [&args.tables, &args.exclude, &args.schema_only, &args.filters] {
            hash.update(format!("{part:?};"));
        }
        hash.update(text);
        Ok(Self { spec, flags, sample_rows: args.sample_rows, hash: hex::encode(hash.finalize()) })
    }

    /// Everything detected, nothing configured.
    pub(in crate::cli) fn detected(sample_rows: u32) -> Self {
        let spec = Spec { file: "transforms.yaml".into(), ..Spec::default() };
        Self { spec, flags: Flags::default(), sample_rows, hash: "detected".into() }
    }

    /// Publications that an owner made beforehand.
    pub(in crate::cli) fn publications(&self) -> &[Placed<String>] {
        &self.spec.publications
    }

    /// The tables that would be copied.
    pub(in crate::cli) fn copied(&self, catalog: &Catalog) -> BTreeSet<TableId> {
        let spec = self.over(self.spec.clone());
        let is_copied = |table: &Table| {
            let empty = spec.schema_only.iter().any(|empty| empty.value.matches(&table.name));
            table.kind == RelationKind::Table && is_selected(&spec, &table.name) && !empty
        };
        catalog.iter().filter(|(_, table)| is_copied(table)).map(|(id, _)| id).collect()
    }

    /// The configuration's name, for messages.
    pub(super) fn file(&self) -> &str {
        &self.spec.file
    }

    /// The file with the flags on top of it.
    fn over(&self, mut spec: Spec) -> Spec {
        if !self.flags.tables.is_empty() {
            spec.include.clone_from(&self.flags.tables);
        }
        spec.exclude.extend(self.flags.exclude.iter().cloned());
        spec.schema_only.extend(self.flags.schema_only.iter().cloned());
        for (name, condition) in &self.flags.filters {
            let filter = Some(Placed { value: condition.clone(), place: Place::default() });
            match spec.tables.iter_mut().find(|table| table.name == *name) {
                Some(table) => table.filter = filter,
                None => spec.tables.push(TableSpec {
                    name: name.clone(),
                    place: Place::default(),
                    filter,
                    columns: Vec::new(),
                }),
            }
        }
        spec
    }

    /// A flag that names no table of the source is a mistake, not an empty selection.
    fn check(&self, catalog: &Catalog) -> Result<(), Failure> {
        let patterns =
            self.flags.tables.iter().chain(&self.flags.exclude).chain(&self.flags.schema_only);
        for Placed { value: pattern, .. } in patterns {
            if !catalog.tables.iter().any(|table| pattern.matches(&table.name)) {
                return Err(Failure::not_found(format!(
                    "the source has no table {}.{}",
                    pattern.schema, pattern.name
                ))
                .hint("name tables as schema.table; * stands for any characters"));
            }
        }
        for (name, _) in &self.flags.filters {
            if catalog.find(name).is_none() {
                return Err(Failure::not_found(format!("--where: the source has no table {name}")));
            }
        }
        Ok(())
    }
}

fn patterns(texts: &[String], flag: &str) -> Result<Vec<Placed<Pattern>>, Failure> {
    let pattern = |text: &String| {
        let (schema, name) = text.split_once('.').unwrap_or(("public", text.as_str()));
        if schema.is_empty() || name.is_empty() {
            return Err(Failure::usage(format!("{flag} {text}: write it as schema.table")));
        }
        let value = Pattern { schema: schema.to_owned(), name: name.to_owned() };
        Ok(Placed { value, place: Place::default() })
    };
    texts.iter().map(pattern).collect()
}

fn table_filter(text: &str) -> Result<(RelationName, String), Failure> {
    let (table, condition) = text.split_once('=').ok_or_else(|| {
        Failure::usage(format!("--where {text}: write it as schema.table=condition"))
    })?;
    let (schema, name) = table.trim().split_once('.').unwrap_or(("public", table.trim()));
    Ok((RelationName::new(schema, name), condition.trim().to_owned()))
}

/// What detection and the file come to, for the catalog of a snapshot.
pub(in crate::cli) struct Outcome {
    pub(in crate::cli) plan: Plan,
    pub(in crate::cli) decisions: Decisions,
    pub(in crate::cli) config: String,
}

/// Why there is no plan.
pub(in crate::cli) enum Undecided {
    Flags(Failure),
    Config(Vec<Diagnostic>),
    Sample(detect::SampleError),
    Source(Error),
}

impl From<Undecided> for Failure {
    fn from(undecided: Undecided) -> Self {
        match undecided {
            Undecided::Flags(failure) => failure,
            Undecided::Config(found) => Self::config(&found),
            Undecided::Source(error) => Self::from(error),
            Undecided::Sample(error) => Self::from(CloneError::from(Undecided::Sample(error))),
        }
    }
}

impl From<Undecided> for CloneError {
    fn from(undecided: Undecided) -> Self {
        match undecided {
            Undecided::Config(found) => Self::Config(found),
            Undecided::Source(source) => Self::Query { doing: "sample the source", source },
            Undecided::Sample(SampleError::Query { table, source }) => {
                Self::Sample { table: table.to_string(), source: source.into() }
            }
            Undecided::Sample(SampleError::Timeout { table }) => {
                let what = format!("a sample of {table}");
                let source = Error::Timeout { what, seconds: detect::QUERY_TIMEOUT.as_secs() };
                Self::Sample { table: table.to_string(), source }
            }
            Undecided::Flags(failure) => Self::NoSuchTable(failure.message().to_owned()),
        }
    }
}

/// Samples the source as the snapshot sees it and binds file, flags and detection.
pub(in crate::cli) async fn outcome(
    selection: &Selection,
    source: &ConnInfo,
    snapshot_name: Option<&str>,
    catalog: &Catalog,
) -> Result<Outcome, Undecided> {
    selection.check(catalog).map_err(Undecided::Flags)?;
    let spec = selection.over(selection.spec.clone());
    let decisions = decisions(selection, &spec, source, snapshot_name, catalog).await?;
    let plan = bind(&spec, catalog, &decisions).map_err(Undecided::Config)?;
    let config = detect::render_yaml(&plan, catalog, &decisions);
    Ok(Outcome { plan, decisions, config })
}

async fn decisions(
    selection: &Selection,
    spec: &Spec,
    source: &ConnInfo,
    snapshot_name: Option<&str>,
    catalog: &Catalog,
) -> Result<Decisions, Undecided> {
    // A session of its own: a failed sample must not take the snapshot's transaction with it.
    let session = Session::connect(source, "backlot detect").await.map_err(Undecided::Source)?;
    let begin =
        "begin isolation level repeatable read, read only; set local synchronize_seqscans = off";
    let import =
        snapshot_name.map(|name| format!("{begin}; set transaction snapshot {}", Literal(name)));
    session.execute_all(import.as_deref().unwrap_or(begin)).await.map_err(Undecided::Source)?;
    let mut readable = catalog.clone();
    let hidden = behind_policies(&session, catalog).await.map_err(Undecided::Source)?;
    readable.tables.retain(|table| {
        table.is_readable && is_selected(spec, &table.name) && !hidden.contains(&table.oid.0)
    });
    let samples = detect::sample(&session, &readable, selection.sample_rows)
        .await
        .map_err(Undecided::Sample)?;
    Ok(detect::decide(catalog, &samples))
}

/// Tables of which a policy hides rows from the role. They are not sampled: that would fail, and
/// the clone refuses them later with their names.
async fn behind_policies(session: &Session, catalog: &Catalog) -> Result<Vec<u32>, Error> {
    let guarded = catalog.tables.iter().filter(|table| table.row_security);
    let guarded = guarded.map(|table| table.oid.0).collect::<Vec<_>>();
    let sql = "select o.oid from pg_catalog.unnest($1::pg_catalog.oid[]) o(oid) \
               where pg_catalog.row_security_active(o.oid)";
    let rows = session.query(sql, &[&guarded]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

fn is_selected(spec: &Spec, name: &RelationName) -> bool {
    let any =
        |patterns: &[Placed<Pattern>]| patterns.iter().any(|pattern| pattern.value.matches(name));
    (spec.include.is_empty() || any(&spec.include)) && !any(&spec.exclude)
}

/// The planner of a clone: binds the configuration of the run that goes on, or decides anew.
pub(in crate::cli) async fn decide(
    selection: &Selection,
    source: &ConnInfo,
    snapshot_name: &str,
    catalog: &Catalog,
    stored: Option<&str>,
) -> Result<Decided, CloneError> {
    if let Some(text) = stored {
        let spec = parse(text, "the journal's transforms.yaml").map_err(CloneError::Config)?;
        let plan = bind(&spec, catalog, &Decisions::default()).map_err(CloneError::Config)?;
        return Ok(Decided { plan, config: text.to_owned() });
    }
    let Outcome { plan, config, .. } =
        outcome(selection, source, Some(snapshot_name), catalog).await?;
    Ok(Decided { plan, config })
}
