//! The corpus covers what the reference lists, and is as large as it is said to be.

use std::collections::BTreeSet;

use backlot::migrate::{
    file,
    operation::{AlterColumn, Change, Operation},
    plan::FindingKind,
};

use super::{
    FILES,
    case::{Case, load},
};

const LEAST_CASES: usize = 150;

/// Every kind of finding; the match makes a new one fail to compile until it is listed.
macro_rules! kinds {
    ($($kind:ident),* $(,)?) => {
        const KINDS: &[FindingKind] = &[$(FindingKind::$kind),*];

        fn name(kind: FindingKind) -> &'static str {
            match kind {
                $(FindingKind::$kind => stringify!($kind),)*
            }
        }
    };
}

kinds! {
    TableDoesNotExist,
    TableAlreadyExists,
    ColumnDoesNotExist,
    ColumnAlreadyExists,
    ColumnIsInvalid,
    ConstraintDoesNotExist,
    ConstraintAlreadyExists,
    IndexDoesNotExist,
    IndexAlreadyExists,
    FieldRequired,
    InvalidIdentifierLength,
    ColumnReferenceError,
    CheckConstraintError,
    ColumnMigrationMissing,
    ColumnMigrationRedundant,
    ColumnIsNullable,
    ColumnIsNotNullable,
    MultiColumnConstraintsNotSupported,
    PrimaryKeysAreAlreadySet,
    InvalidGeneratedColumn,
    UpSqlMustBeColumnDefault,
    InvalidReplicaIdentity,
    InvalidOnDeleteSetting,
    UnexpectedOnDeleteSetColumn,
    InvalidOnDeleteSetColumn,
    AlterColumnNoChanges,
    InvalidMigration,
    EmptyMigration,
    InvalidExpression,
    DependentObject,
    NameCollision,
}

/// The changes of `alter_column`.
const CHANGES: [&str; 8] =
    ["type", "check", "references", "not null", "nullable", "unique", "default", "comment"];

fn cases() -> Vec<Case> {
    FILES.iter().flat_map(|name| load(name).cases).collect()
}

/// The operations of the migrations under test, which run to their end.
fn operations() -> Vec<Operation> {
    let runs = |case: &Case| case.error.is_none() && case.start_fails.is_none();
    let last = |case: Case| {
        let text = case.migrations.last().unwrap().clone();
        file::read(&text, "01.yaml")
            .unwrap_or_else(|mistakes| panic!("{}: {mistakes:?}", case.name))
    };
    cases().into_iter().filter(runs).flat_map(|case| last(case).migration.operations).collect()
}

fn changes(body: &AlterColumn) -> Vec<&'static str> {
    let is_kept = |change: &Change| matches!(change, Change::Keep);
    let made = [
        body.type_name.is_some(),
        body.check.is_some(),
        body.references.is_some(),
        body.is_nullable == Some(false),
        body.is_nullable == Some(true),
        body.unique.is_some(),
        !is_kept(&body.default),
        !is_kept(&body.comment),
    ];
    CHANGES.into_iter().zip(made).filter(|(_, made)| *made).map(|(name, _)| name).collect()
}

#[test]
fn there_are_so_many_cases() {
    let count = cases().len();
    assert!(count >= LEAST_CASES, "{count} cases");
}

#[test]
fn every_operation_runs_to_its_end() {
    let covered: BTreeSet<&str> = operations().iter().map(Operation::kind).collect();
    assert_eq!(covered, Operation::KINDS.iter().copied().collect::<BTreeSet<_>>());
}

#[test]
fn every_change_of_a_column_runs_alone_and_with_others() {
    let mut changed: Vec<Vec<&str>> = Vec::new();
    for operation in operations() {
        if let Operation::AlterColumn(body) = operation {
            changed.push(changes(&body));
        }
    }
    for change in CHANGES {
        assert!(changed.iter().any(|made| *made == [change]), "{change} alone");
        assert!(
            changed.iter().any(|made| made.len() > 1 && made.contains(&change)),
            "{change} with others"
        );
    }
}

#[test]
fn every_kind_of_finding_is_raised() {
    let raised: BTreeSet<&str> = cases()
        .iter()
        .filter_map(|case| case.error.as_ref())
        .map(|error| name(error.kind))
        .collect();
    let missing: Vec<&str> =
        KINDS.iter().map(|kind| name(*kind)).filter(|kind| !raised.contains(kind)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
