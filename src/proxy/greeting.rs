//! The start of a connection: who the client is, and the proof of it.

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::ProxyError;
use super::message::{
    AUTH_LIMIT, First, Refusal, authentication, decline, read_first, read_message,
};
use super::scram::{Exchange, MECHANISM, ScramError};
use crate::branch::Branch;

/// SSL, GSS, and then the client must begin.
const ATTEMPTS: usize = 3;

/// Why a connection ended before it began.
#[derive(Debug)]
pub(super) enum Ending {
    /// To be told to the client.
    Refused(Refusal),
    /// There is nobody to tell.
    Lost(ProxyError),
}

impl From<ProxyError> for Ending {
    fn from(error: ProxyError) -> Self {
        Self::Lost(error)
    }
}

/// Reads what the client wants. Encryption is declined: nothing leaves this machine.
pub(super) async fn greet(client: &mut TcpStream) -> Result<Option<First>, ProxyError> {
    for _ in 0..ATTEMPTS {
        match read_first(client).await? {
            Some(First::Encryption) => client.write_all(b"N").await.map_err(ProxyError::Client)?,
            other => return Ok(other),
        }
    }
    Err(ProxyError::Protocol("nothing but requests for encryption"))
}

/// Has the client prove the branch's password. `AuthenticationOk` is left to the server: from
/// then on the client is told what the server says.
pub(super) async fn authenticate(
    client: &mut TcpStream,
    branch: &Branch,
    user: &str,
    declined: Option<&[String]>,
) -> Result<(), Ending> {
    if let Some(options) = declined {
        send(client, &decline(options)).await?;
    }
    send(client, &authentication(10, format!("{MECHANISM}\0\0").as_bytes())).await?;
    let initial = read_answer(client).await?;
    let first = initial_response(&initial).map_err(|error| refusal(error, user))?;
    let exchange = Exchange::begin(&branch.scram_verifier, user, user == branch.user, first)
        .map_err(|error| refusal(error, user))?;
    send(client, &authentication(11, exchange.server_first().as_bytes())).await?;
    let last = read_answer(client).await?;
    let server_final = exchange.finish(&last).map_err(|error| refusal(error, user))?;
    send(client, &authentication(12, server_final.as_bytes())).await?;
    Ok(())
}

async fn send(client: &mut TcpStream, packet: &[u8]) -> Result<(), ProxyError> {
    client.write_all(packet).await.map_err(ProxyError::Client)
}

async fn read_answer(client: &mut TcpStream) -> Result<bytes::Bytes, ProxyError> {
    match read_message(client, AUTH_LIMIT).await.map_err(ProxyError::Client)? {
        (b'p', body) => Ok(body),
        _ => Err(ProxyError::Protocol("something else than its proof")),
    }
}

/// `SASLInitialResponse`: mechanism, length, data.
fn initial_response(body: &[u8]) -> Result<&[u8], ScramError> {
    let broken = ScramError::Malformed("no initial response");
    let end = body.iter().position(|byte| *byte == 0).ok_or(broken)?;
    let (mechanism, rest) = body.split_at(end);
    if mechanism != MECHANISM.as_bytes() {
        return Err(ScramError::Malformed("another mechanism"));
    }
    let (length, data) = rest.get(1..).and_then(<[u8]>::split_first_chunk::<4>).ok_or(broken)?;
    if u32::from_be_bytes(*length) as usize != data.len() {
        return Err(broken);
    }
    Ok(data)
}

fn refusal(error: ScramError, user: &str) -> Ending {
    let (sqlstate, message, hint) = match error {
        ScramError::Denied => (
            "28P01",
            format!("password authentication failed for user \"{user}\""),
            Some("`backlot branch url` prints the URL with the password".to_owned()),
        ),
        ScramError::Malformed(what) => ("08P01", format!("malformed SCRAM message: {what}"), None),
        ScramError::Internal(what) => ("XX000", format!("the proxy could not {what}"), None),
    };
    Ending::Refused(Refusal { sqlstate, message, hint })
}

#[cfg(test)]
mod tests {
    use super::{ScramError, initial_response};

    #[test]
    fn the_initial_response_is_taken_apart_or_refused() {
        assert_eq!(initial_response(b"SCRAM-SHA-256\0\0\0\0\x02ab"), Ok(&b"ab"[..]));
        for body in [
            &b""[..],
            b"SCRAM-SHA-256",
            b"SCRAM-SHA-256\0",
            b"SCRAM-SHA-256\0\0\0\0\x03ab",
            b"SCRAM-SHA-256\0\xff\xff\xff\xff",
            b"SCRAM-SHA-256-PLUS\0\0\0\0\x02ab",
        ] {
            assert!(matches!(initial_response(body), Err(ScramError::Malformed(_))), "{body:?}");
        }
    }
}
