//! Authentication of a [`Wire`](super::Wire): trust, password, MD5, SCRAM-SHA-256.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "`Message` is the library's: what is not named breaks the protocol"
)]

use super::{Wire, server_error};
use crate::pg::{ConnInfo, Error};
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{self, ChannelBinding, ScramSha256};
use postgres_protocol::message::backend::{AuthenticationSaslBody, Message};
use postgres_protocol::message::frontend;
use secrecy::ExposeSecret;

pub(super) fn authenticate(wire: &mut Wire, info: &ConnInfo) -> Result<(), Error> {
    loop {
        match wire.message()? {
            Message::AuthenticationOk => return Ok(()),
            Message::AuthenticationCleartextPassword => send_password(wire, password(info)?)?,
            Message::AuthenticationMd5Password(body) => {
                let hash = md5_hash(info.user.as_bytes(), password(info)?, body.salt());
                send_password(wire, hash.as_bytes())?;
            }
            Message::AuthenticationSasl(body) => scram(wire, info, &body)?,
            Message::ErrorResponse(body) => return Err(server_error(&body)),
            Message::NoticeResponse(_) => {}
            // `Message` is the library's: any other request is a method that we do not have.
            _ => {
                return Err(Error::Authentication(
                    "the server asks for a method other than password, md5 or scram-sha-256".into(),
                ));
            }
        }
    }
}

fn password(info: &ConnInfo) -> Result<&[u8], Error> {
    let password = info.password.as_ref().ok_or_else(|| {
        Error::Authentication(format!("the server asks for a password and {info} has none"))
    })?;
    Ok(password.expose_secret().as_bytes())
}

fn send_password(wire: &mut Wire, password: &[u8]) -> Result<(), Error> {
    frontend::password_message(password, &mut wire.outbox)
        .map_err(|source| Error::io("encode the password", source))?;
    wire.flush()
}

fn scram(wire: &mut Wire, info: &ConnInfo, body: &AuthenticationSaslBody) -> Result<(), Error> {
    let bad = |_| Error::Authentication("the server's SCRAM messages cannot be read".into());
    let offered = body.mechanisms().any(|name| Ok(name == sasl::SCRAM_SHA_256)).map_err(bad)?;
    if !offered {
        return Err(Error::Authentication("the server offers no SCRAM-SHA-256".into()));
    }
    let mut scram = ScramSha256::new(password(info)?, ChannelBinding::unsupported());
    let encode = |source| Error::io("encode SCRAM", source);
    frontend::sasl_initial_response(sasl::SCRAM_SHA_256, scram.message(), &mut wire.outbox)
        .map_err(encode)?;
    wire.flush()?;
    loop {
        match wire.message()? {
            Message::AuthenticationSaslContinue(body) => {
                scram.update(body.data()).map_err(bad)?;
                frontend::sasl_response(scram.message(), &mut wire.outbox).map_err(encode)?;
                wire.flush()?;
            }
            Message::AuthenticationSaslFinal(body) => {
                return scram.finish(body.data()).map_err(bad);
            }
            Message::ErrorResponse(body) => return Err(server_error(&body)),
            // `Message` is the library's: nothing else may come here.
            _ => return Err(Error::Protocol("SCRAM out of turn")),
        }
    }
}
