//! Pipelining: statements and COPY data are queued and sent without waiting for answers, which
//! come back in the same order.
//!
//! The server answers while it is still sent to, so whoever queues must read replies before they
//! fill both sockets: every few thousand statements (`replies` are some 20 bytes each).
//! After an error the server skips everything up to the next Sync; a simple query and its COPY
//! data stand between two Syncs for that reason.
//! Source: <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING>

use super::copy::copied_rows;
use super::{Wire, message_length, server_error, text_row};
use crate::pg::{Error, Format, Oid, ServerError};
use bytes::{Buf, BufMut, BytesMut};
use postgres_protocol::message::backend::Message;
use postgres_protocol::message::frontend;
use std::collections::VecDeque;

/// What is queued is sent as soon as it has this size.
const SEND_BYTES: usize = 128 * 1024;

/// An answer of the server.
#[derive(Debug)]
pub enum Reply {
    /// A statement has ended; the count of its command tag, 0 if it has none.
    Complete(u64),
    /// A row, as text.
    Row(Vec<Option<String>>),
    /// A statement failed; what follows up to the next `Ready` was skipped.
    Failed(Box<ServerError>),
    /// The answer to a Sync, or the end of a simple query.
    Ready,
}

/// The parameters of one Bind, each in a format of its own. Reused.
#[derive(Debug, Default)]
pub struct Parameters {
    formats: Vec<u8>,
    values: Vec<u8>,
    count: u16,
}

impl Parameters {
    pub fn clear(&mut self) {
        self.formats.clear();
        self.values.clear();
        self.count = 0;
    }

    pub fn push_null(&mut self) {
        self.describe(Format::Text);
        self.values.put_i32(-1);
    }

    pub fn push(&mut self, format: Format, value: &[u8]) {
        self.push_with(format, |bytes| bytes.extend_from_slice(value));
    }

    pub fn push_i64(&mut self, value: i64) {
        self.push(Format::Binary, &value.to_be_bytes());
    }

    /// Appends a value that `write` writes.
    pub fn push_with(&mut self, format: Format, write: impl FnOnce(&mut Vec<u8>)) {
        self.describe(format);
        let start = self.values.len();
        self.values.put_i32(0);
        write(&mut self.values);
        let length = self.values.len() - start - size_of::<i32>();
        // A value that is too long makes a Bind that is too long: `queue_execute` refuses it.
        let length = i32::try_from(length).unwrap_or(i32::MAX);
        if let Some(place) = self.values.get_mut(start..start + size_of::<i32>()) {
            place.copy_from_slice(&length.to_be_bytes());
        }
    }

    fn describe(&mut self, format: Format) {
        self.formats.put_i16(i16::from(format == Format::Binary));
        self.count += 1;
    }
}

impl Wire {
    /// Parse: the statement is known by `name` from here on. A type of 0 is left to the server.
    pub fn queue_parse(&mut self, name: &str, sql: &str, types: &[Oid]) -> Result<(), Error> {
        frontend::parse(name, sql, types.iter().map(|oid| oid.0), &mut self.outbox)
            .map_err(|source| Error::io("encode a Parse message", source))
    }

    /// Bind and Execute of a prepared statement, all rows as text.
    pub fn queue_execute(&mut self, name: &str, parameters: &Parameters) -> Result<(), Error> {
        let out = &mut self.outbox;
        // Length, portal, name, three counts.
        let length =
            4 + 1 + name.len() + 1 + 6 + parameters.formats.len() + parameters.values.len();
        let length = i32::try_from(length)
            .map_err(|_| Error::Protocol("the values of one statement exceed 2 GiB"))?;
        out.reserve(parameters.formats.len() + parameters.values.len() + name.len() + 32);
        out.put_u8(b'B');
        out.put_i32(length);
        out.put_u8(0);
        out.put_slice(name.as_bytes());
        out.put_u8(0);
        out.put_u16(parameters.count);
        out.put_slice(&parameters.formats);
        out.put_u16(parameters.count);
        out.put_slice(&parameters.values);
        out.put_u16(0);
        // Execute of the unnamed portal without a limit.
        out.put_slice(&[b'E', 0, 0, 0, 9, 0, 0, 0, 0, 0]);
        self.send_if_large()
    }

    /// A simple query: its last answer is a `Ready` of its own.
    pub fn queue_query(&mut self, sql: &str) -> Result<(), Error> {
        frontend::query(sql, &mut self.outbox).map_err(|source| Error::io("encode a query", source))
    }

    /// One CopyData message.
    pub fn queue_copy_data(&mut self, data: &[u8]) -> Result<(), Error> {
        let length = i32::try_from(data.len() + 4)
            .map_err(|_| Error::Protocol("a COPY message exceeds 2 GiB"))?;
        self.outbox.put_u8(b'd');
        self.outbox.put_i32(length);
        self.outbox.put_slice(data);
        self.send_if_large()
    }

    pub fn queue_copy_done(&mut self) {
        frontend::copy_done(&mut self.outbox);
    }

    pub fn queue_sync(&mut self) {
        frontend::sync(&mut self.outbox);
    }

    fn send_if_large(&mut self) -> Result<(), Error> {
        if self.outbox.len() >= SEND_BYTES { self.flush() } else { Ok(()) }
    }

    /// Sends what is queued.
    pub fn send_queued(&mut self) -> Result<(), Error> {
        if self.outbox.is_empty() { Ok(()) } else { self.flush() }
    }

    /// Waits for the next answers and appends all that have come. Notices are dropped.
    pub fn read_replies(&mut self, replies: &mut VecDeque<Reply>) -> Result<(), Error> {
        loop {
            let before = replies.len();
            let mut at = 0;
            while let Some(rest) = self.inbox.as_slice().get(at..)
                && let Some(length) = message_length(rest)?
                && let Some(message) = rest.get(..length)
            {
                at += length;
                replies.extend(reply(message)?);
            }
            self.inbox.consume(at);
            if replies.len() > before {
                return Ok(());
            }
            self.read_more()?;
        }
    }
}

fn reply(message: &[u8]) -> Result<Option<Reply>, Error> {
    let body = message.get(5..).unwrap_or_default();
    Ok(match message.first() {
        // ParseComplete, BindComplete, CloseComplete, NoData, RowDescription, Notice,
        // ParameterStatus, Notification, CopyInResponse.
        Some(b'1' | b'2' | b'3' | b'n' | b'T' | b'N' | b'S' | b'A' | b'G') => None,
        Some(b'C') => {
            let tag = body.strip_suffix(&[0]).unwrap_or_default();
            Some(Reply::Complete(copied_rows(std::str::from_utf8(tag).unwrap_or_default())))
        }
        Some(b'I') => Some(Reply::Complete(0)),
        Some(b'Z') => Some(Reply::Ready),
        Some(b'D' | b'E') => Some(parsed(message)?),
        _ => return Err(Error::Protocol("a message out of turn")),
    })
}

fn parsed(message: &[u8]) -> Result<Reply, Error> {
    let mut bytes = BytesMut::from(message);
    let parsed = Message::parse(&mut bytes);
    debug_assert!(!bytes.has_remaining(), "the message was cut at its length");
    match parsed {
        Ok(Some(Message::DataRow(body))) => Ok(Reply::Row(text_row(&body)?)),
        Ok(Some(Message::ErrorResponse(body))) => match server_error(&body) {
            Error::Server(error) => Ok(Reply::Failed(error)),
            other => Err(other),
        },
        _ => Err(Error::Protocol("a message that cannot be read")),
    }
}
