//! COPY into one relation, committed together with the journal's note of it.

use crate::catalog::RelationName;
use crate::pg::{ConnInfo, Error, Format, Ident, Wire};
use crate::transform::Frames;

/// A data-path connection to the target.
pub struct CopyIn {
    wire: Wire,
}

impl CopyIn {
    pub fn connect(info: &ConnInfo) -> Result<Self, Error> {
        let mut wire = Wire::connect(info, "backlot copy in")?;
        // Safe: a range that is lost with the server's buffers is lost with its journal entry.
        wire.simple("set synchronous_commit = off; set lock_timeout = '60s'")?;
        Ok(Self { wire })
    }

    pub fn wire(&self) -> &Wire {
        &self.wire
    }

    /// Opens a transaction and starts the COPY.
    pub fn start(
        &mut self,
        relation: &RelationName,
        columns: &[String],
        format: Format,
    ) -> Result<(), Error> {
        self.wire.simple("begin")?;
        self.wire.start_copy_in(&statement(relation, columns, format))
    }

    pub fn write(&mut self, frames: Frames<'_>) -> Result<(), Error> {
        self.wire.write_frames(frames.bytes())
    }

    /// Ends the COPY; returns the server's row count. The transaction is still open.
    pub fn finish(&mut self) -> Result<u64, Error> {
        self.wire.finish_copy_in()
    }

    /// The rows of a query, as text. Not between [`CopyIn::start`] and [`CopyIn::commit`].
    pub fn query(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
        self.wire.simple(sql)
    }

    /// Runs what belongs into the same transaction, commit included.
    pub fn commit(&mut self, statement: &str) -> Result<(), Error> {
        self.wire.simple(statement).map(drop)
    }
}

fn statement(relation: &RelationName, columns: &[String], format: Format) -> String {
    let list = columns.iter().map(|name| Ident(name).to_string()).collect::<Vec<_>>().join(", ");
    let list = if list.is_empty() { list } else { format!(" ({list})") };
    format!("copy {}{list} from stdin (format {format})", relation.sql())
}
