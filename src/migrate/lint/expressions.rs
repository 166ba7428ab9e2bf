//! Values that `up` and `down` give.

use super::rule::{self, Found};
use crate::migrate::expression;
use crate::migrate::operation::Operation;

/// Give another value each time.
const VOLATILE: [&str; 8] = [
    "random",
    "clock_timestamp",
    "timeofday",
    "gen_random_uuid",
    "uuid_generate_v4",
    "uuid_generate_v1",
    "nextval",
    "gen_random_bytes",
];

pub(super) fn judge(operation: &Operation, found: &mut Found<'_>) {
    match operation {
        Operation::AddColumn(body) => {
            // A default that is another value in each row must be `up` as well.
            let is_default = body.up.is_some() && body.up == body.column.default;
            if let Some(up) = body.up.as_ref().filter(|_| !is_default) {
                value("up", up, found);
            }
        }
        Operation::DropColumn(body) => optional("down", body.down.as_ref(), found),
        Operation::AlterColumn(body) => {
            optional("up", body.up.as_ref(), found);
            optional("down", body.down.as_ref(), found);
        }
        Operation::CreateConstraint(body) => {
            body.up.iter().for_each(|(column, up)| value(&format!("up.{column}"), up, found));
            body.down
                .iter()
                .for_each(|(column, down)| value(&format!("down.{column}"), down, found));
        }
        Operation::DropConstraint(body) => {
            optional("up", body.up.as_ref(), found);
            optional("down", body.down.as_ref(), found);
        }
        Operation::DropMultiColumnConstraint(body) => {
            body.up.iter().for_each(|(column, up)| value(&format!("up.{column}"), up, found));
            body.down
                .iter()
                .for_each(|(column, down)| value(&format!("down.{column}"), down, found));
        }
        Operation::CreateTable(_)
        | Operation::DropTable(_)
        | Operation::RenameTable(_)
        | Operation::RenameColumn(_)
        | Operation::RenameConstraint(_)
        | Operation::CreateIndex(_)
        | Operation::DropIndex(_)
        | Operation::SetReplicaIdentity(_)
        | Operation::Sql(_) => {}
    }
}

fn optional(field: &str, expression: Option<&String>, found: &mut Found<'_>) {
    if let Some(expression) = expression {
        value(field, expression, found);
    }
}

/// What does not parse is the validation's to say.
fn value(field: &str, text: &str, found: &mut Found<'_>) {
    let Ok(facts) = expression::facts(text) else { return };
    if let Some(name) = facts.functions.iter().find(|name| VOLATILE.contains(&name.as_str())) {
        found.push(rule::VOLATILE_VALUE, field, format!("`{field}` calls {name}()"));
    }
    // `SELECT CASE …` of pgroll's own examples reads no table.
    if !facts.tables.is_empty() {
        let tables: Vec<_> = facts.tables.iter().map(String::as_str).collect();
        let message = format!("`{field}` reads {}", tables.join(", "));
        found.push(rule::QUERY_VALUE, field, message);
    }
}
