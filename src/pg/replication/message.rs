//! The messages inside a walsender's CopyData frames.
//! Source: <https://www.postgresql.org/docs/current/protocol-replication.html>
//! (`XLogData`, `Primary keepalive message`)

use crate::pg::{Error, Lsn};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum WalMessage<'a> {
    /// A message of the output plugin. Both positions are those of the change, which are not
    /// monotonic across transactions: never acknowledge them.
    Data {
        start: Lsn,
        end: Lsn,
        /// Microseconds since 2000-01-01 UTC, by the source's clock.
        sent_at: i64,
        payload: &'a [u8],
    },
    /// Everything that committed below `end` and concerns this stream has been sent before it.
    Keepalive {
        end: Lsn,
        /// As above.
        sent_at: i64,
        /// The reader has answered already. A source that shuts down asks so until everything
        /// sent is acknowledged as flushed.
        reply_requested: bool,
    },
}

/// Positions and lengths: a payload holds row values.
impl std::fmt::Debug for WalMessage<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Data { start, payload, .. } => {
                write!(f, "data at {start}, {} bytes", payload.len())
            }
            Self::Keepalive { end, reply_requested, .. } => {
                write!(f, "keepalive at {end}, reply {reply_requested}")
            }
        }
    }
}

/// The messages of a buffer of whole CopyData frames, in order. Ends after the first error.
#[derive(Clone)]
pub struct WalMessages<'a> {
    rest: &'a [u8],
}

impl<'a> WalMessages<'a> {
    pub fn new(frames: &'a [u8]) -> Self {
        Self { rest: frames }
    }

    fn read(&mut self) -> Option<WalMessage<'a>> {
        let (header, rest) = self.rest.split_first_chunk::<5>()?;
        let [b'd', length @ ..] = *header else { return None };
        let length = (u32::from_be_bytes(length) as usize).checked_sub(4)?;
        let (body, rest) = rest.split_at_checked(length)?;
        let (kind, body) = body.split_first()?;
        let message = match kind {
            b'w' => {
                let (start, body) = take::<8>(body)?;
                let (end, body) = take::<8>(body)?;
                let (sent_at, payload) = take::<8>(body)?;
                WalMessage::Data {
                    start: Lsn(u64::from_be_bytes(start)),
                    end: Lsn(u64::from_be_bytes(end)),
                    sent_at: i64::from_be_bytes(sent_at),
                    payload,
                }
            }
            b'k' => {
                let (end, body) = take::<8>(body)?;
                let (sent_at, body) = take::<8>(body)?;
                WalMessage::Keepalive {
                    end: Lsn(u64::from_be_bytes(end)),
                    sent_at: i64::from_be_bytes(sent_at),
                    reply_requested: *body.first()? == 1,
                }
            }
            _ => return None,
        };
        self.rest = rest;
        Some(message)
    }
}

fn take<const N: usize>(bytes: &[u8]) -> Option<([u8; N], &[u8])> {
    bytes.split_first_chunk::<N>().map(|(taken, rest)| (*taken, rest))
}

impl<'a> Iterator for WalMessages<'a> {
    type Item = Result<WalMessage<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let message = self.read();
        if message.is_none() {
            self.rest = &[];
        }
        Some(message.ok_or(Error::Protocol("a replication message that cannot be read")))
    }
}

#[cfg(test)]
mod tests {
    use super::{WalMessage, WalMessages};
    use crate::pg::Lsn;

    fn frame(body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap();
        [b"d".as_slice(), &length.to_be_bytes(), body].concat()
    }

    #[test]
    fn data_and_keepalives_are_read_in_order() {
        let data =
            [b"w".as_slice(), &1_u64.to_be_bytes(), &2_u64.to_be_bytes(), &3_i64.to_be_bytes()];
        let keepalive = [b"k".as_slice(), &7_u64.to_be_bytes(), &8_i64.to_be_bytes(), &[1]];
        let bytes = [
            frame(&[&data.concat(), b"payload".as_slice()].concat()),
            frame(&data.concat()),
            frame(&keepalive.concat()),
        ]
        .concat();
        let read = |payload| WalMessage::Data { start: Lsn(1), end: Lsn(2), sent_at: 3, payload };
        let keepalive = WalMessage::Keepalive { end: Lsn(7), sent_at: 8, reply_requested: true };
        let messages: Vec<_> = WalMessages::new(&bytes).map(Result::unwrap).collect();
        assert_eq!(messages, [read(b"payload"), read(b""), keepalive]);
        assert!(!format!("{:?}", messages[0]).contains("payload"));
    }

    #[test]
    fn a_frame_that_is_cut_anywhere_is_an_error_and_the_last_item() {
        let whole = frame(&[b"k".as_slice(), &[0; 17]].concat());
        for cut in 1..whole.len() {
            let read: Vec<_> = WalMessages::new(&whole[..cut]).collect();
            assert!(matches!(read.as_slice(), [Err(_)]), "cut at {cut}");
        }
        for bad in [frame(b""), frame(b"x"), frame(b"k"), vec![b'd', 0, 0, 0, 3]] {
            assert!(matches!(WalMessages::new(&bad).collect::<Vec<_>>().as_slice(), [Err(_)]));
        }
    }
}
