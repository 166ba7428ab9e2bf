//! The few messages that the proxy reads and writes itself: the start of a connection.
//!
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html>. Nothing here indexes
//! or panics on what a peer sends; a length is checked before memory is taken for it.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::ProxyError;

/// `MAX_STARTUP_PACKET_LENGTH` (pqcomm.h).
const STARTUP_LIMIT: usize = 10_000;
/// While a client says who it is. `PG_MAX_AUTH_TOKEN_LENGTH` (auth.h) is this large for GSS
/// tokens; SCRAM's messages are short.
pub(super) const AUTH_LIMIT: usize = 4_096;
/// From a server of ours, before its first `ReadyForQuery`: parameters and notices.
pub(super) const SERVER_LIMIT: usize = 1 << 20;
/// Parameters of one startup packet: its length bounds them too.
const PARAMETER_LIMIT: usize = 256;

const SSL_REQUEST: u32 = 80_877_103;
const GSSENC_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;
const PROTOCOL_3_0: u32 = 3 << 16;

/// What a client begins with.
#[derive(Debug, PartialEq)]
pub(super) enum First {
    /// Answered with one byte; the client then begins again.
    Encryption,
    /// The packet as it came: it is for the server, which compares the key.
    Cancel(Bytes),
    Startup(Startup),
}

/// Who a client is and what it wants.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Startup {
    /// In the order in which they came, `user` among them.
    parameters: Vec<(String, String)>,
    /// What the client asked for beyond protocol 3.0, to be declined.
    pub(super) declined: Option<Vec<String>>,
}

impl Startup {
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        // The last one counts, as in `ProcessStartupPacket`.
        self.parameters.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn user(&self) -> &str {
        self.parameter("user").unwrap_or_default()
    }

    /// The packet for the server: protocol 3.0, every parameter.
    pub(super) fn packet(&self) -> Bytes {
        let mut body = BytesMut::new();
        body.put_u32(PROTOCOL_3_0);
        for (name, value) in &self.parameters {
            for text in [name, value] {
                body.put_slice(text.as_bytes());
                body.put_u8(0);
            }
        }
        body.put_u8(0);
        let mut packet = BytesMut::new();
        put_length(&mut packet, body.len());
        packet.put(body);
        packet.freeze()
    }
}

/// Reads the first packet of a connection. None: the client left without a word, as a port
/// scanner or a health check does.
pub(super) async fn read_first(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<Option<First>, ProxyError> {
    let length = match stream.read_u32().await {
        Ok(length) => length as usize,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(ProxyError::Client(error)),
    };
    if !(8..=STARTUP_LIMIT).contains(&length) {
        return Err(ProxyError::Protocol("a startup packet of an invalid length"));
    }
    let mut body = vec![0; length - 4];
    stream.read_exact(&mut body).await.map_err(ProxyError::Client)?;
    let mut rest = Bytes::from(body);
    let code = rest.get_u32();
    match code {
        SSL_REQUEST | GSSENC_REQUEST => Ok(Some(First::Encryption)),
        CANCEL_REQUEST => {
            let mut packet = BytesMut::new();
            put_length(&mut packet, rest.len() + 4);
            packet.put_u32(code);
            packet.put(rest);
            Ok(Some(First::Cancel(packet.freeze())))
        }
        _ if code >> 16 == 3 => startup(code, &rest).map(First::Startup).map(Some),
        _ => Err(ProxyError::Protocol("a version of the protocol other than 3")),
    }
}

fn startup(version: u32, body: &[u8]) -> Result<Startup, ProxyError> {
    let broken = || ProxyError::Protocol("a startup packet that is not understood");
    let mut texts = body.split(|byte| *byte == 0);
    let (mut parameters, mut options) = (Vec::new(), Vec::new());
    loop {
        let name = texts.next().ok_or_else(broken)?;
        if name.is_empty() {
            break;
        }
        let value = texts.next().ok_or_else(broken)?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_owned()).map_err(|_| broken());
        let (name, value) = (text(name)?, text(value)?);
        // Names of protocol extensions: the server would be asked for them by us.
        if name.starts_with("_pq_.") {
            options.push(name);
        } else {
            parameters.push((name, value));
        }
        if parameters.len() + options.len() > PARAMETER_LIMIT {
            return Err(broken());
        }
    }
    if !parameters.iter().any(|(name, value)| name == "user" && !value.is_empty()) {
        return Err(ProxyError::Protocol("a startup packet without a user"));
    }
    let declined = (version != PROTOCOL_3_0 || !options.is_empty()).then_some(options);
    Ok(Startup { parameters, declined })
}

/// Reads one message with a type byte. Gives the type and the body.
pub(super) async fn read_message(
    stream: &mut (impl AsyncRead + Unpin),
    limit: usize,
) -> Result<(u8, Bytes), io::Error> {
    let kind = stream.read_u8().await?;
    let length = stream.read_u32().await? as usize;
    if !(4..=limit).contains(&length) {
        let text = "a message of an invalid length";
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    let mut body = vec![0; length - 4];
    stream.read_exact(&mut body).await?;
    Ok((kind, Bytes::from(body)))
}

pub(super) fn message(kind: u8, body: &[u8]) -> Bytes {
    let mut packet = BytesMut::new();
    packet.put_u8(kind);
    put_length(&mut packet, body.len());
    packet.put_slice(body);
    packet.freeze()
}

/// `AuthenticationSASL`, `…Continue`, `…Final`: 10, 11, 12.
pub(super) fn authentication(step: u32, data: &[u8]) -> Bytes {
    let mut body = BytesMut::new();
    body.put_u32(step);
    body.put_slice(data);
    message(b'R', &body)
}

/// `NegotiateProtocolVersion`: 3.0, and none of the options.
pub(super) fn decline(options: &[String]) -> Bytes {
    let mut body = BytesMut::new();
    body.put_u32(PROTOCOL_3_0);
    body.put_u32(u32::try_from(options.len()).expect("PARAMETER_LIMIT at most"));
    for option in options {
        body.put_slice(option.as_bytes());
        body.put_u8(0);
    }
    message(b'v', &body)
}

/// What a client is told when it cannot be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) sqlstate: &'static str,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

impl Refusal {
    /// `ErrorResponse`, FATAL: the connection ends.
    pub(super) fn packet(&self) -> Bytes {
        let fields =
            [(b'S', "FATAL"), (b'V', "FATAL"), (b'C', self.sqlstate), (b'M', &self.message)];
        let hint = self.hint.as_deref().map(|hint| (b'H', hint));
        let mut body = BytesMut::new();
        for (field, text) in fields.into_iter().chain(hint) {
            body.put_u8(field);
            // A field ends at the first zero byte.
            body.extend(text.bytes().filter(|byte| *byte != 0));
            body.put_u8(0);
        }
        body.put_u8(0);
        message(b'E', &body)
    }
}

/// The SQLSTATE of an `ErrorResponse`.
pub(super) fn sqlstate(body: &[u8]) -> Option<&[u8]> {
    body.split(|byte| *byte == 0).find_map(|field| field.strip_prefix(b"C"))
}

/// Of everything after the type byte: the length counts itself.
fn put_length(packet: &mut BytesMut, body: usize) {
    packet.put_u32(u32::try_from(body + 4).expect("messages of ours are short"));
}

#[cfg(test)]
mod tests {
    use super::{First, ProxyError, Refusal, read_first, read_message, sqlstate};

    fn first(bytes: &[u8]) -> Result<Option<First>, ProxyError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async { read_first(&mut &bytes[..]).await })
    }

    fn packet(code: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(body.len() + 8).unwrap().to_be_bytes().to_vec();
        bytes.extend(code.to_be_bytes());
        bytes.extend(body);
        bytes
    }

    #[test]
    fn a_startup_packet_goes_on_as_it_came_but_for_extensions() {
        let plain = packet(3 << 16, b"user\0ann\0database\0shop\0options\0-c a=b\0\0");
        let Ok(Some(First::Startup(startup))) = first(&plain) else { panic!("no startup") };
        assert_eq!((startup.user(), startup.parameter("options")), ("ann", Some("-c a=b")));
        assert_eq!(startup.declined, None);
        assert_eq!(&startup.packet()[..], &plain[..]);

        let newer = packet(3 << 16 | 2, b"user\0ann\0_pq_.later\0on\0\0");
        let Ok(Some(First::Startup(startup))) = first(&newer) else { panic!("no startup") };
        assert_eq!(startup.declined, Some(vec!["_pq_.later".to_owned()]));
        assert_eq!(&startup.packet()[..], &packet(3 << 16, b"user\0ann\0\0")[..]);
    }

    #[test]
    fn what_is_no_startup_packet_is_refused_before_it_costs_anything() {
        assert!(matches!(first(b""), Ok(None)));
        let long = [0xff_u8; 8];
        for bytes in [
            &long[..],
            b"GET / HTTP/1.1\r\n\r\n",
            &packet(2 << 16, b"user\0ann\0\0"),
            &packet(3 << 16, b"user\0ann"),
            &packet(3 << 16, b"user"),
            &packet(3 << 16, b"database\0shop\0\0"),
            &packet(3 << 16, b"\0"),
        ] {
            assert!(first(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_cancel_request_keeps_its_key_of_whatever_length() {
        let request = packet(80_877_102, b"\0\0\0\x07a key of many bytes");
        let Ok(Some(First::Cancel(packet))) = first(&request) else { panic!("no cancel") };
        assert_eq!(&packet[..], &request[..]);
        assert_eq!(first(&packet_of_ssl()).unwrap(), Some(First::Encryption));
    }

    fn packet_of_ssl() -> Vec<u8> {
        packet(80_877_103, b"")
    }

    #[test]
    fn an_error_has_its_state_and_no_zero_bytes_inside() {
        let refusal =
            Refusal { sqlstate: "57P03", message: "a\0b".into(), hint: Some("wait".into()) };
        let packet = refusal.packet();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (kind, body) = runtime.block_on(read_message(&mut &packet[..], 1000)).unwrap();
        assert_eq!(kind, b'E');
        assert_eq!(sqlstate(&body), Some(&b"57P03"[..]));
        assert_eq!(&body[..], b"SFATAL\0VFATAL\0C57P03\0Mab\0Hwait\0\0");
    }
}
