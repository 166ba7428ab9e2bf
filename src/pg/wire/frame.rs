//! Where messages begin and end.
//! Source: <https://www.postgresql.org/docs/current/protocol-message-formats.html>

use crate::pg::Error;
use postgres_protocol::message::backend;

/// Longest single message: PostgreSQL's own limit for a row (`MaxAllocSize`, memutils.h).
const MESSAGE_LIMIT_BYTES: usize = 0x3fff_ffff + 1024;

/// Length of the message at the start of `bytes`, tag included, once its header is there.
pub(super) fn message_length(bytes: &[u8]) -> Result<Option<usize>, Error> {
    let Some((header, _)) = bytes.split_first_chunk::<5>() else { return Ok(None) };
    let [_, length @ ..] = *header;
    let length = u32::from_be_bytes(length) as usize;
    if !(4..=MESSAGE_LIMIT_BYTES).contains(&length) {
        return Err(Error::Protocol("a message longer than PostgreSQL allows"));
    }
    Ok(Some(length + 1))
}

/// Bytes and number of whole `CopyData` frames at the start, and whether another message stands
/// behind them.
///
/// # Errors
/// [`Error::Protocol`] for a length that no message can have.
pub fn whole_frames(bytes: &[u8]) -> Result<(usize, u64, bool), Error> {
    let (mut at, mut count) = (0, 0);
    while let Some(rest) = bytes.get(at..)
        && let Some(length) = message_length(rest)?
    {
        if rest.first() != Some(&backend::COPY_DATA_TAG) {
            return Ok((at, count, true));
        }
        if rest.len() < length {
            break;
        }
        at += length;
        count += 1;
    }
    Ok((at, count, false))
}

#[cfg(test)]
mod tests {
    use super::whole_frames;

    #[test]
    fn only_whole_frames_are_handed_on() {
        let frame = [b'd', 0, 0, 0, 6, 1, 2];
        let mut bytes = frame.repeat(2);
        assert_eq!(whole_frames(&bytes).unwrap(), (14, 2, false));
        bytes.extend_from_slice(&frame[..6]);
        assert_eq!(whole_frames(&bytes).unwrap(), (14, 2, false));
        bytes.truncate(14);
        bytes.extend_from_slice(&[b'c', 0, 0, 0, 4]);
        assert_eq!(whole_frames(&bytes).unwrap(), (14, 2, true));
        assert!(whole_frames(&[b'd', 0, 0, 0, 1]).is_err());
        assert!(whole_frames(&[b'd', 0xff, 0xff, 0xff, 0xff]).is_err());
    }
}
