//! `ALTER TABLE … RENAME …`.

use super::script::{Kept, Script};
use crate::migrate::operation::{RenameColumn, RenameConstraint, RenameTable};
use pg_query::protobuf::{ObjectType, RenameStmt};

pub(super) fn convert(script: &mut Script<'_>, renamed: &RenameStmt) -> Result<(), Kept> {
    let is_table = renamed.relation_type == ObjectType::ObjectTable as i32;
    let kind = ObjectType::try_from(renamed.rename_type).unwrap_or(ObjectType::Undefined);
    let table = script.table_name(renamed.relation.as_ref())?;
    let (from, to) = (renamed.subname.clone(), renamed.newname.clone());
    if kind == ObjectType::ObjectTable {
        script.push(RenameTable { from: table, to });
    } else if kind == ObjectType::ObjectColumn && is_table {
        script.push(RenameColumn { from, table, to });
    } else if kind == ObjectType::ObjectTabconstraint {
        script.push(RenameConstraint { from, table, to });
    } else {
        return Err(Kept::because("only tables, columns and constraints can be renamed"));
    }
    if renamed.missing_ok {
        script.remark("`IF EXISTS` is left out", "the migration is refused if it does not exist");
    }
    // The names of what was made before are not those of the table any more.
    script.close();
    Ok(())
}
