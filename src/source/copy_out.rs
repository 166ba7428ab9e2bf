//! COPY out of one relation, or of a range of its blocks.

use crate::catalog::RelationName;
use crate::pg::{Buffer, Chunk, ConnInfo, Error, Format, Ident, Literal, Oid, Wire};
use std::collections::HashSet;

/// Blocks `first..last` of a heap; `None` is the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRange {
    pub first: i64,
    pub last: Option<i64>,
}

/// A data-path connection inside the clone's snapshot.
pub struct CopyOut {
    wire: Wire,
    /// Tables whose lock it has, and whose columns are what they are until it ends.
    held: HashSet<Oid>,
}

impl CopyOut {
    pub fn connect(info: &ConnInfo, snapshot_name: &str) -> Result<Self, Error> {
        let mut wire = Wire::connect(info, "backlot copy out")?;
        wire.simple("begin isolation level repeatable read, read only")?;
        wire.simple(&format!("set transaction snapshot {}", Literal(snapshot_name)))?;
        Ok(Self { wire, held: HashSet::new() })
    }

    pub fn wire(&self) -> &Wire {
        &self.wire
    }

    /// Takes the table's lock, in ACCESS SHARE mode, which COPY takes anyway. False if it is not this
    /// table, or its columns of these numbers (`pg_attribute.attnum`) have other names by now: COPY
    /// finds columns by the catalog of the moment, whatever its snapshot shows.
    pub fn hold(
        &mut self,
        relation: &RelationName,
        (table, numbers): (Oid, &[i16]),
        columns: &[String],
    ) -> Result<bool, Error> {
        if self.held.contains(&table) || numbers.is_empty() {
            return Ok(true);
        }
        let numbers = numbers.iter().map(ToString::to_string).collect::<Vec<_>>();
        // The function reads the catalog as COPY does; a query would read it in the snapshot.
        let names = self.wire.simple(&format!(
            "lock table only {} in access share mode; \
             select found.name[1], found.name[2], found.name[3] \
             from pg_catalog.unnest('{{{}}}'::int4[]) with ordinality one (number, at) \
             cross join lateral (select (pg_catalog.pg_identify_object_as_address(\
             'pg_catalog.pg_class'::pg_catalog.regclass, {}, one.number)).object_names) found (name) order by one.at",
            relation.sql(),
            numbers.join(","),
            table
        ))?;
        let planned = |name: &String| {
            [&relation.schema, &relation.name, name].map(|part| Some(part.clone())).to_vec()
        };
        let is_as_planned = names.into_iter().eq(columns.iter().map(planned));
        if is_as_planned {
            self.held.insert(table);
        }
        Ok(is_as_planned)
    }

    /// Starts the COPY of `columns` (always named: `*` would include generated columns).
    pub fn start(
        &mut self,
        relation: &RelationName,
        columns: &[String],
        range: BlockRange,
        filter: Option<&str>,
        format: Format,
    ) -> Result<(), Error> {
        self.wire.start_copy_out(&statement(relation, columns, range, filter, format))
    }

    /// See [`Wire::copy_chunk`].
    pub fn chunk(&mut self, buffer: &mut Buffer) -> Result<Chunk, Error> {
        self.wire.copy_chunk(buffer)
    }
}

fn statement(
    relation: &RelationName,
    columns: &[String],
    range: BlockRange,
    filter: Option<&str>,
    format: Format,
) -> String {
    let list = columns.iter().map(|name| Ident(name).to_string()).collect::<Vec<_>>().join(", ");
    let mut conditions = Vec::new();
    if range.first > 0 {
        conditions.push(format!("ctid >= '({},0)'::pg_catalog.tid", range.first));
    }
    if let Some(last) = range.last {
        conditions.push(format!("ctid < '({last},0)'::pg_catalog.tid"));
    }
    if let Some(filter) = filter {
        conditions.push(format!("({filter})"));
    }
    let relation = relation.sql();
    if conditions.is_empty() && !columns.is_empty() {
        return format!("copy {relation} ({list}) to stdout (format {format})");
    }
    let filter = if conditions.is_empty() {
        String::new()
    } else {
        format!(" where {}", conditions.join(" and "))
    };
    format!("copy (select {list} from only {relation}{filter}) to stdout (format {format})")
}

#[cfg(test)]
mod tests {
    use super::{BlockRange, statement};
    use crate::catalog::RelationName;
    use crate::pg::Format;

    #[test]
    fn a_whole_table_is_copied_directly_and_a_range_by_ctid() {
        let relation = RelationName::new("s", "a\"b");
        let columns = ["x".to_owned(), "Y".to_owned()];
        let whole = BlockRange { first: 0, last: None };
        assert_eq!(
            statement(&relation, &columns, whole, None, Format::Binary),
            r#"copy "s"."a""b" ("x", "Y") to stdout (format binary)"#
        );
        let range = BlockRange { first: 8, last: Some(16) };
        assert_eq!(
            statement(&relation, &columns, range, Some("x > 1 or x < 0"), Format::Text),
            r#"copy (select "x", "Y" from only "s"."a""b" where ctid >= '(8,0)'::pg_catalog.tid and ctid < '(16,0)'::pg_catalog.tid and (x > 1 or x < 0)) to stdout (format text)"#
        );
    }
}
