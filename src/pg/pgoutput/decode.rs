//! From the bytes of a message to a [`Message`].

use super::cursor::Cursor;
use super::{
    Begin, Commit, DecodeError, Logical, Message, OldTuple, Relation, RelationColumn,
    ReplicaIdentity, StreamedXid, Truncate, Tuple,
};
use crate::pg::Oid;

/// Reads the messages of one replication session in order: inside the blocks of a streamed
/// transaction, changes have a transaction id in front (proto.c, `TransactionIdIsValid(xid)`).
#[derive(Debug, Default)]
pub struct Decoder {
    in_block: bool,
}

impl Decoder {
    /// One message: the payload of an `XLogData`.
    ///
    /// # Errors
    /// [`DecodeError`]; the session cannot be read on then.
    pub fn decode<'a>(&mut self, payload: &'a [u8]) -> Result<Message<'a>, DecodeError> {
        let (&kind, body) = payload.split_first().ok_or(DecodeError::Short("empty"))?;
        let what = name(kind).ok_or(DecodeError::UnknownKind)?;
        let mut cursor = Cursor::new(body, what);
        let message = match kind {
            b'B' => begin(&mut cursor)?,
            b'C' => {
                cursor.u8()?;
                Message::Commit(commit(&mut cursor)?)
            }
            b'O' => Message::Origin { origin_lsn: cursor.lsn()?, name: cursor.text()? },
            b'S' => {
                self.in_block = true;
                Message::StreamStart { xid: cursor.u32()?, is_first: cursor.u8()? == 1 }
            }
            b'E' => {
                self.in_block = false;
                Message::StreamStop
            }
            b'c' => {
                let xid = cursor.u32()?;
                cursor.u8()?;
                Message::StreamCommit { xid, commit: commit(&mut cursor)? }
            }
            // Version 4 appends position and time of the abort, for parallel apply.
            b'A' => Message::StreamAbort { xid: cursor.u32()?, subxid: cursor.u32()? },
            _ => self.change(kind, &mut cursor)?,
        };
        Ok(message)
    }

    /// What may stand inside a streamed transaction's block.
    fn change<'a>(&self, kind: u8, cursor: &mut Cursor<'a>) -> Result<Message<'a>, DecodeError> {
        let xid: StreamedXid = if self.in_block { Some(cursor.u32()?) } else { None };
        Ok(match kind {
            b'R' => Message::Relation { xid, relation: relation(cursor)? },
            b'Y' => Message::Type { xid },
            b'I' => {
                let relation = cursor.oid()?;
                Message::Insert { xid, relation, new: marked_tuple(cursor, b'N')? }
            }
            b'U' => update(xid, cursor)?,
            b'D' => {
                let relation = cursor.oid()?;
                let old = old_tuple(cursor)?.ok_or(cursor.malformed())?;
                Message::Delete { xid, relation, old }
            }
            b'T' => Message::Truncate { xid, truncate: truncate(cursor)? },
            _ => Message::Logical(logical(xid, cursor)?),
        })
    }
}

fn name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        b'B' => "Begin",
        b'C' => "Commit",
        b'O' => "Origin",
        b'R' => "Relation",
        b'Y' => "Type",
        b'I' => "Insert",
        b'U' => "Update",
        b'D' => "Delete",
        b'T' => "Truncate",
        b'M' => "Message",
        b'S' => "Stream Start",
        b'E' => "Stream Stop",
        b'c' => "Stream Commit",
        b'A' => "Stream Abort",
        _ => return None,
    })
}

fn begin<'a>(cursor: &mut Cursor<'a>) -> Result<Message<'a>, DecodeError> {
    let (commit_lsn, commit_time, xid) = (cursor.lsn()?, cursor.i64()?, cursor.u32()?);
    Ok(Message::Begin(Begin { commit_lsn, commit_time, xid }))
}

fn commit(cursor: &mut Cursor<'_>) -> Result<Commit, DecodeError> {
    let (commit_lsn, end_lsn, commit_time) = (cursor.lsn()?, cursor.lsn()?, cursor.i64()?);
    Ok(Commit { commit_lsn, end_lsn, commit_time })
}

fn update<'a>(xid: StreamedXid, cursor: &mut Cursor<'a>) -> Result<Message<'a>, DecodeError> {
    let relation = cursor.oid()?;
    let old = old_tuple(cursor)?;
    Ok(Message::Update { xid, relation, old, new: marked_tuple(cursor, b'N')? })
}

fn marked_tuple<'a>(cursor: &mut Cursor<'a>, mark: u8) -> Result<Tuple<'a>, DecodeError> {
    if cursor.u8()? != mark {
        return Err(cursor.malformed());
    }
    tuple(cursor)
}

/// `K` or `O` in front of a tuple; anything else is left for the reader of the new one.
fn old_tuple<'a>(cursor: &mut Cursor<'a>) -> Result<Option<OldTuple<'a>>, DecodeError> {
    match cursor.rest().first() {
        Some(b'K') => marked_tuple(cursor, b'K').map(|tuple| Some(OldTuple::Key(tuple))),
        Some(b'O') => marked_tuple(cursor, b'O').map(|tuple| Some(OldTuple::Full(tuple))),
        Some(_) | None => Ok(None),
    }
}

fn tuple<'a>(cursor: &mut Cursor<'a>) -> Result<Tuple<'a>, DecodeError> {
    let count = cursor.u16()?;
    let (tuple, rest) = Tuple::split(count, cursor.rest()).ok_or(cursor.malformed())?;
    cursor.take(cursor.rest().len() - rest.len())?;
    Ok(tuple)
}

fn relation<'a>(cursor: &mut Cursor<'a>) -> Result<Relation<'a>, DecodeError> {
    let (oid, schema, name) = (cursor.oid()?, cursor.text()?, cursor.text()?);
    let replica_identity = match cursor.u8()? {
        b'd' => ReplicaIdentity::Default,
        b'n' => ReplicaIdentity::Nothing,
        b'f' => ReplicaIdentity::Full,
        b'i' => ReplicaIdentity::Index,
        _ => return Err(cursor.malformed()),
    };
    let column_count = cursor.u16()?;
    let columns = cursor.rest();
    for _ in 0..column_count {
        relation_column(cursor)?;
    }
    Ok(Relation { oid, schema, name, replica_identity, columns, column_count })
}

fn relation_column<'a>(cursor: &mut Cursor<'a>) -> Result<RelationColumn<'a>, DecodeError> {
    let is_key = cursor.u8()? & 1 == 1;
    let name = cursor.text()?;
    let (type_oid, type_modifier) = (cursor.oid()?, cursor.i32()?);
    Ok(RelationColumn { is_key, name, type_oid, type_modifier })
}

impl<'a> Relation<'a> {
    /// In the order of the relation's tuples. Generated columns are not among them, unless the
    /// publication asks for them (PostgreSQL 18).
    pub fn columns(&self) -> impl Iterator<Item = RelationColumn<'a>> + use<'a> {
        let mut cursor = Cursor::new(self.columns, "Relation");
        (0..self.column_count).map_while(move |_| relation_column(&mut cursor).ok())
    }
}

fn truncate<'a>(cursor: &mut Cursor<'a>) -> Result<Truncate<'a>, DecodeError> {
    let count = cursor.u32()? as usize;
    let options = cursor.u8()?;
    let relations = cursor.take(count.checked_mul(4).ok_or(cursor.malformed())?)?;
    Ok(Truncate { cascade: options & 1 == 1, restart_identity: options & 2 == 2, relations })
}

impl<'a> Truncate<'a> {
    pub fn relations(&self) -> impl Iterator<Item = Oid> + use<'a> {
        let (ids, _) = self.relations.as_chunks::<4>();
        ids.iter().map(|id| Oid(u32::from_be_bytes(*id)))
    }
}

fn logical<'a>(xid: StreamedXid, cursor: &mut Cursor<'a>) -> Result<Logical<'a>, DecodeError> {
    let is_transactional = cursor.u8()? & 1 == 1;
    let (lsn, prefix) = (cursor.lsn()?, cursor.text()?);
    let length = cursor.u32()? as usize;
    Ok(Logical { xid, is_transactional, lsn, prefix, content: cursor.take(length)? })
}
