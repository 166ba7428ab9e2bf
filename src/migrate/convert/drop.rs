//! `DROP TABLE` and `DROP INDEX`, of several at once as well.

use super::script::{Kept, Script};
use super::text;
use crate::migrate::operation::{DropIndex, DropTable};
use pg_query::NodeEnum;
use pg_query::protobuf::{DropBehavior, DropStmt, Node, ObjectType};

pub(super) fn convert(script: &mut Script<'_>, dropped: &DropStmt) -> Result<(), Kept> {
    if dropped.behavior == DropBehavior::DropCascade as i32 {
        return Err(Kept::because("`CASCADE` drops what no operation names"));
    }
    let kind = ObjectType::try_from(dropped.remove_type).unwrap_or(ObjectType::Undefined);
    if !matches!(kind, ObjectType::ObjectTable | ObjectType::ObjectIndex) {
        return Err(Kept::because("there is no operation for it"));
    }
    for object in &dropped.objects {
        let name = script.name_of(&name_words(object))?;
        if kind == ObjectType::ObjectTable {
            script.push(DropTable { name });
        } else {
            script.push(DropIndex { name });
        }
    }
    if dropped.missing_ok {
        script.remark("`IF EXISTS` is left out", "the migration is refused if it does not exist");
    }
    script.close();
    Ok(())
}

fn name_words(object: &Node) -> Vec<String> {
    match &object.node {
        Some(NodeEnum::List(list)) => text::words(&list.items),
        _ => Vec::new(),
    }
}
