//! SQL that is run as it is written.

use super::rule::{self, Found};
use crate::migrate::convert::convert;
use crate::migrate::expression;
use crate::migrate::operation::Operation;
use pg_query::NodeEnum;
use pg_query::protobuf::{
    AlterTableCmd, AlterTableStmt, AlterTableType, ConstrType, DropBehavior, RawStmt,
};

pub(super) fn judge(operation: &Operation, found: &mut Found<'_>) {
    let Operation::Sql(body) = operation else { return };
    let Some(up) = &body.up else { return };
    if body.down.is_none() && !body.is_on_complete {
        found.push(rule::SQL_WITHOUT_DOWN, "down", "what `up` does stays after a rollback");
    }
    let Ok(parsed) = expression::parse_script(up) else {
        found.push(rule::SQL_UNREAD, "up", "`up` does not parse as PostgreSQL 18's SQL");
        return;
    };
    for statement in &parsed.stmts {
        self::statement(statement, found);
    }
    // Statements between which nothing is left as SQL are operations altogether.
    let is_sql = |operation: &Operation| matches!(operation, Operation::Sql(_));
    if let Ok(conversion) = convert(up, "up", "public")
        && !conversion.operations.is_empty()
        && !conversion.operations.iter().any(is_sql)
    {
        let kinds: Vec<_> = conversion.operations.iter().map(Operation::kind).collect();
        found.push(rule::SQL_CONVERTIBLE, "up", format!("this is {}", kinds.join(", ")));
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "over two hundred kinds of node")]
fn statement(raw: &RawStmt, found: &mut Found<'_>) {
    let Some(statement) = raw.stmt.as_ref().and_then(|node| node.node.as_ref()) else { return };
    match statement {
        NodeEnum::TransactionStmt(_) => {
            found.push(rule::SQL_TRANSACTION, "up", "`up` begins or ends a transaction");
        }
        NodeEnum::LockStmt(_) => found.push(rule::SQL_LOCK, "up", "`up` locks a table"),
        NodeEnum::TruncateStmt(_) => {
            found.push(rule::SQL_TRUNCATE, "up", "`up` truncates a table");
        }
        NodeEnum::UpdateStmt(update) if update.where_clause.is_none() => {
            found.push(rule::SQL_ALL_ROWS, "up", "`up` updates all rows of a table");
        }
        NodeEnum::DeleteStmt(delete) if delete.where_clause.is_none() => {
            found.push(rule::SQL_ALL_ROWS, "up", "`up` deletes all rows of a table");
        }
        NodeEnum::IndexStmt(index) if !index.concurrent => {
            found.push(rule::SQL_INDEX, "up", "`up` builds an index under a lock");
        }
        NodeEnum::DropStmt(drop) if is_cascade(drop.behavior) => {
            found.push(rule::SQL_CASCADE, "up", "`up` drops by CASCADE");
        }
        NodeEnum::AlterTableStmt(alter) => alter_table(alter, found),
        _ => {}
    }
}

fn is_cascade(behavior: i32) -> bool {
    behavior == DropBehavior::DropCascade as i32
}

fn alter_table(alter: &AlterTableStmt, found: &mut Found<'_>) {
    for command in &alter.cmds {
        let Some(NodeEnum::AlterTableCmd(command)) = &command.node else { continue };
        if is_cascade(command.behavior) {
            found.push(rule::SQL_CASCADE, "up", "`up` drops by CASCADE");
        }
        let kind = AlterTableType::try_from(command.subtype);
        if kind == Ok(AlterTableType::AtAlterColumnType) {
            let message = format!("`up` changes the type of `{}`", command.name);
            found.push(rule::SQL_REWRITE, "up", message);
        }
        if kind == Ok(AlterTableType::AtSetNotNull) {
            let message = format!("`up` sets `{}` NOT NULL, which reads all rows", command.name);
            found.push(rule::SQL_CONSTRAINT, "up", message);
        }
        if kind == Ok(AlterTableType::AtAddConstraint) && scans(command) {
            found.push(rule::SQL_CONSTRAINT, "up", "`up` adds a constraint that reads all rows");
        }
    }
}

fn scans(command: &AlterTableCmd) -> bool {
    let Some(NodeEnum::Constraint(of)) = command.def.as_ref().and_then(|def| def.node.as_ref())
    else {
        return false;
    };
    let is_key = of.contype == ConstrType::ConstrUnique as i32
        || of.contype == ConstrType::ConstrPrimary as i32;
    let is_checked = of.contype == ConstrType::ConstrCheck as i32
        || of.contype == ConstrType::ConstrForeign as i32;
    (is_key && of.indexname.is_empty())
        || (is_checked && !of.skip_validation)
        || of.contype == ConstrType::ConstrExclusion as i32
}
