//! `COMMENT ON`: of a table that the script makes, or of any table's column.

use super::script::{Kept, Script};
use super::text;
use crate::migrate::operation::{AlterColumn, Change};
use pg_query::NodeEnum;
use pg_query::protobuf::{CommentStmt, ObjectType};

pub(super) fn convert(script: &mut Script<'_>, commented: &CommentStmt) -> Result<(), Kept> {
    let object = commented.object.as_ref().and_then(|object| object.node.as_ref());
    let Some(NodeEnum::List(names)) = object else {
        return Err(Kept::because("there is no operation for it"));
    };
    let words = text::words(&names.items);
    let comment = Some(commented.comment.clone()).filter(|comment| !comment.is_empty());
    match ObjectType::try_from(commented.objtype) {
        Ok(ObjectType::ObjectTable) => {
            let table = script.name_of(&words)?;
            let made = script.made(&table);
            let made = made.ok_or_else(|| Kept::because("no operation sets a table's comment"))?;
            made.comment = comment;
        }
        Ok(ObjectType::ObjectColumn) => {
            let (column, table) = words.split_last().ok_or_else(|| Kept::because("no name"))?;
            let table = script.name_of(table)?;
            if let Some(made) = script.made(&table)
                && let Some(found) = made.columns.iter_mut().find(|of| of.name == *column)
            {
                found.comment = comment;
                return Ok(());
            }
            let comment = comment.map_or(Change::Remove, Change::Set);
            script.alter(AlterColumn {
                table,
                column: column.clone(),
                comment,
                ..AlterColumn::default()
            });
        }
        _ => return Err(Kept::because("there is no operation for it")),
    }
    Ok(())
}
