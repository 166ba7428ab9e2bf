//! transforms.yaml, written from a plan.
//!
//! The file decides every column that can hold text, with the evidence beside it, and parses and
//! binds back to the same plan. It never holds a sampled value.

use crate::catalog::{Catalog, Column, ColumnRef, RelationName, Table};
use crate::transform::plan::{
    ColumnPlan, Decisions, DefaultOrigin, Origin, Plan, TableAction, TablePlan, carries_text,
};
use crate::transform::spec::{
    DetectedPolicy, FreeTextPolicy, NewColumnPolicy, Pattern, Profile, UnclassifiedPolicy,
    write_relation_name,
};
use crate::transform::{DateUnit, Rule, Transform, UnknownPath};
use std::fmt::Write as _;

/// Where evidence starts, in characters, if the rule is shorter.
const COMMENT_COLUMN: usize = 40;

/// Writes the file.
pub fn render_yaml(plan: &Plan, catalog: &Catalog, decisions: &Decisions) -> String {
    let mut out = String::from(
        "# Written by `backlot clone config`. One rule per column; what no rule names is kept if it\n\
         # cannot hold text. Columns that follow another by foreign key are listed as comments.\n\
         version: 1\n",
    );
    header(&mut out, plan);
    let mut body = String::new();
    for (table, bound) in catalog.tables.iter().zip(&plan.tables) {
        if bound.action == TableAction::Copy {
            table_block(&mut body, plan, catalog, table, bound, decisions);
        }
    }
    if body.is_empty() {
        out.push_str("tables: {}\n");
    } else {
        out.push_str("tables:\n");
        out.push_str(&body);
    }
    references(&mut out, plan, catalog);
    out
}

fn header(out: &mut String, plan: &Plan) {
    let profile = match plan.profile {
        Profile::Realistic => "realistic",
        Profile::SafeHarbor => "safe_harbor",
    };
    let _ = writeln!(out, "profile: {profile}");
    for (key, patterns) in ["include", "exclude", "schema_only"].iter().zip(&plan.patterns) {
        let pattern = |one: &Pattern| {
            quoted(&write_relation_name(&RelationName::new(&one.schema, &one.name)))
        };
        let names = patterns.iter().map(pattern).collect::<Vec<_>>();
        if !names.is_empty() {
            let _ = writeln!(out, "{key}: [{}]", names.join(", "));
        }
    }
    let detected = match plan.defaults.detected {
        DetectedPolicy::Transform => "transform",
        DetectedPolicy::Keep => "keep",
        DetectedPolicy::Error => "error",
    };
    let free_text = match plan.defaults.free_text {
        FreeTextPolicy::Fill => "fill",
        FreeTextPolicy::Null => "\"null\"",
        FreeTextPolicy::Keep => "keep",
        FreeTextPolicy::Error => "error",
    };
    let unclassified = match plan.defaults.unclassified {
        UnclassifiedPolicy::Keep => "keep",
        UnclassifiedPolicy::Fill => "fill",
        UnclassifiedPolicy::Null => "\"null\"",
        UnclassifiedPolicy::Error => "error",
    };
    let new_column = match plan.defaults.new_column {
        NewColumnPolicy::Detect => "detect",
        NewColumnPolicy::Null => "\"null\"",
        NewColumnPolicy::StopTable => "stop_table",
    };
    let _ = writeln!(
        out,
        "defaults: {{detected: {detected}, free_text: {free_text}, unclassified: {unclassified}, \
         new_column: {new_column}}}"
    );
}

fn table_block(
    out: &mut String,
    plan: &Plan,
    catalog: &Catalog,
    table: &Table,
    bound: &TablePlan,
    decisions: &Decisions,
) {
    let (mut rules, mut keeps, mut followers) = (String::new(), String::new(), String::new());
    for (column, bound) in table.columns.iter().zip(&bound.columns) {
        let evidence = evidence(table, column, bound, decisions);
        match followed(bound) {
            Some(source) => {
                let _ = writeln!(followers, "      # {} follows {source}", comment(&column.name));
            }
            None if is_written(column, bound, plan) => {
                let block = if bound.rule.is_keep() { &mut keeps } else { &mut rules };
                line(block, &column.name, &bound.rule, &evidence);
            }
            None => {}
        }
    }
    let root = catalog.find(&table.name).map(|id| catalog.partition_root(id));
    let inherited = root.and_then(|id| plan.table(id)).filter(|root| root.name != table.name);
    let own_filter = inherited.is_none_or(|root| root.filter != bound.filter);
    let filter = bound.filter.as_ref().filter(|_| own_filter);
    if rules.is_empty() && keeps.is_empty() && filter.is_none() {
        return;
    }
    let _ = writeln!(out, "  {}:", quoted(&write_relation_name(&table.name)));
    if let Some(filter) = filter {
        let _ = writeln!(out, "    where: {}", quoted_always(filter));
    }
    if rules.is_empty() && keeps.is_empty() {
        return;
    }
    out.push_str("    columns:\n");
    out.push_str(&rules);
    if !keeps.is_empty() {
        out.push_str("      # kept\n");
        out.push_str(&keeps);
    }
    out.push_str(&followers);
}

/// The column whose rule this one takes, for the comment.
fn followed(bound: &ColumnPlan) -> Option<&str> {
    match &bound.origin {
        Origin::ForeignKey { from } => Some(from),
        Origin::PartitionRoot => Some("its parent table"),
        Origin::Reference => Some("its reference"),
        Origin::Config { .. } | Origin::Detected { .. } | Origin::Default(_) => None,
    }
}

/// Everything that is changed and everything that can hold text is written out.
fn is_written(column: &Column, bound: &ColumnPlan, plan: &Plan) -> bool {
    match bound.origin {
        Origin::Default(DefaultOrigin::Kept | DefaultOrigin::SurrogateKey) => {
            plan.defaults.unclassified != UnclassifiedPolicy::Keep && !carries_text(column)
        }
        Origin::Default(DefaultOrigin::Generated | DefaultOrigin::NotCopied)
        | Origin::ForeignKey { .. }
        | Origin::PartitionRoot
        | Origin::Reference => false,
        Origin::Config { .. }
        | Origin::Detected { .. }
        | Origin::Default(DefaultOrigin::FailClosed | DefaultOrigin::Policy(_)) => true,
    }
}

fn evidence(table: &Table, column: &Column, bound: &ColumnPlan, decisions: &Decisions) -> String {
    match &bound.origin {
        Origin::Detected { evidence, .. } => evidence.clone(),
        Origin::Config { .. } => decisions
            .get(&table.name, &column.name)
            .map_or_else(String::new, |decision| decision.evidence.clone()),
        Origin::Default(DefaultOrigin::FailClosed) => "not examined: closed".to_owned(),
        Origin::Default(DefaultOrigin::SurrogateKey) => "surrogate key".to_owned(),
        Origin::Default(
            DefaultOrigin::Kept
            | DefaultOrigin::Policy(_)
            | DefaultOrigin::Generated
            | DefaultOrigin::NotCopied,
        )
        | Origin::ForeignKey { .. }
        | Origin::PartitionRoot
        | Origin::Reference => String::new(),
    }
}

fn line(out: &mut String, name: &str, rule: &Rule, evidence: &str) {
    let text = format!("      {}: {}", quoted(name), rule_text(rule));
    if evidence.is_empty() {
        let _ = writeln!(out, "{text}");
    } else {
        let _ = writeln!(out, "{text:COMMENT_COLUMN$} # {}", comment(evidence));
    }
}

/// The rule as [`crate::transform::spec`] reads it.
#[expect(clippy::wildcard_enum_match_arm, reason = "a transform without options is its name")]
fn rule_text(rule: &Rule) -> String {
    let name = quoted(rule.transform.name());
    let mut options = match &rule.transform {
        Transform::Constant { value } => vec![format!("value: {}", quoted_always(value))],
        Transform::DateShift { max_days, subject } => {
            let subject = subject.iter().map(|name| format!("subject: {}", quoted_always(name)));
            std::iter::once(format!("max_days: {max_days}")).chain(subject).collect()
        }
        Transform::DateBucket { unit } => {
            let unit = match unit {
                DateUnit::Month => "month",
                DateUnit::Quarter => "quarter",
                DateUnit::Year => "year",
                DateUnit::Decade => "decade",
            };
            vec![format!("unit: {unit}")]
        }
        Transform::NumberBucket { width } => vec![format!("width: {width}")],
        Transform::NumberNoise { percent } => vec![format!("percent: {percent}")],
        Transform::HashToken { length } => vec![format!("length: {length}")],
        Transform::Json { paths, unknown } => {
            let entry = |(path, rule): (&String, &Rule)| {
                format!("{}: {}", quoted_always(path), rule_text(rule))
            };
            let paths: Vec<String> = paths.iter().map(entry).collect();
            let unknown = match unknown {
                UnknownPath::Fill => "fill",
                UnknownPath::Null => "\"null\"",
                UnknownPath::Keep => "keep",
            };
            vec![format!("paths: {{{}}}", paths.join(", ")), format!("unknown: {unknown}")]
        }
        _ => Vec::new(),
    };
    options.extend(rule.domain.iter().map(|domain| format!("domain: {}", quoted_always(domain))));
    if options.is_empty() { name } else { format!("{{transform: {name}, {}}}", options.join(", ")) }
}

/// References that bind columns without a foreign key.
fn references(out: &mut String, plan: &Plan, catalog: &Catalog) {
    if plan.references.is_empty() {
        return;
    }
    out.push_str("references:\n");
    let name = |at: &ColumnRef| {
        let table = catalog.table(at.table);
        let column = table.columns.get(at.column).map_or("", |column| &column.name);
        quoted_always(&format!("{}.{}", write_relation_name(&table.name), part(column)))
    };
    for (from, to) in &plan.references {
        let _ = writeln!(out, "  - {{from: {}, to: {}}}", name(from), name(to));
    }
}

fn part(name: &str) -> String {
    if name.contains(['.', '"']) {
        format!("\"{}\"", name.replace('"', "\"\""))
    } else {
        name.into()
    }
}

/// A YAML scalar: bare where that is safe.
fn quoted(text: &str) -> String {
    let plain = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'));
    let word = matches!(
        text.to_ascii_lowercase().as_str(),
        "null" | "true" | "false" | "yes" | "no" | "on" | "off" | "y" | "n"
    );
    if plain && !word { text.to_owned() } else { quoted_always(text) }
}

/// A double-quoted YAML scalar: JSON strings are a subset.
fn quoted_always(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Keeps a comment on its line.
fn comment(text: &str) -> String {
    text.replace(|letter: char| letter.is_control(), " ")
}
