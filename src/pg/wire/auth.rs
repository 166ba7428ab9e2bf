//! Authentication of a [`Wire`](super::Wire): trust, password, MD5, SCRAM-SHA-256, and the same
//! bound to the TLS connection (-PLUS).

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "`Message` is the library's: what is not named breaks the protocol"
)]

use super::{Wire, server_error};
use crate::pg::{self, ConnInfo, Error};
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{self, ChannelBinding, ScramSha256};
use postgres_protocol::message::backend::{AuthenticationSaslBody, Message};
use postgres_protocol::message::frontend;
use secrecy::ExposeSecret;

pub(super) fn authenticate(wire: &mut Wire, info: &ConnInfo) -> Result<(), Error> {
    let mut is_bound = false;
    loop {
        let message = wire.message()?;
        if info.channel_binding == pg::ChannelBinding::Require && !is_bound {
            require_scram(&message)?;
        }
        match message {
            Message::AuthenticationOk => return Ok(()),
            Message::AuthenticationCleartextPassword => send_password(wire, password(info)?)?,
            Message::AuthenticationMd5Password(body) => {
                let hash = md5_hash(info.user.as_bytes(), password(info)?, body.salt());
                send_password(wire, hash.as_bytes())?;
            }
            Message::AuthenticationSasl(body) => is_bound = scram(wire, info, &body)?,
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

/// With `channel_binding=require`, no other method is answered.
fn require_scram(message: &Message) -> Result<(), Error> {
    match message {
        Message::AuthenticationSasl(_) | Message::ErrorResponse(_) | Message::NoticeResponse(_) => {
            Ok(())
        }
        // `Message` is the library's: any other method has no channel binding.
        _ => Err(no_binding()),
    }
}

fn no_binding() -> Error {
    Error::Authentication("channel_binding=require, and the server offers none".into())
}

/// True if the authentication is bound to the TLS connection.
fn scram(wire: &mut Wire, info: &ConnInfo, body: &AuthenticationSaslBody) -> Result<bool, Error> {
    let bad = |_| Error::Authentication("the server's SCRAM messages cannot be read".into());
    let offered: Vec<&str> = body.mechanisms().collect().map_err(bad)?;
    let (mechanism, binding) = choose(&offered, wire.stream.end_point(), info.channel_binding)?;
    let mut scram = ScramSha256::new(password(info)?, binding);
    let encode = |source| Error::io("encode SCRAM", source);
    frontend::sasl_initial_response(mechanism, scram.message(), &mut wire.outbox)
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
                scram.finish(body.data()).map_err(bad)?;
                return Ok(mechanism == sasl::SCRAM_SHA_256_PLUS);
            }
            Message::ErrorResponse(body) => return Err(server_error(&body)),
            // `Message` is the library's: nothing else may come here.
            _ => return Err(Error::Protocol("SCRAM out of turn")),
        }
    }
}

/// The strongest mechanism that both sides have. A client that could bind says so even where the
/// server does not offer it: a server that did, behind somebody who hid the offer, ends it then.
fn choose(
    offered: &[&str],
    end_point: Option<Vec<u8>>,
    wish: pg::ChannelBinding,
) -> Result<(&'static str, ChannelBinding), Error> {
    let end_point = end_point.filter(|_| wish != pg::ChannelBinding::Disable);
    match end_point {
        Some(hash) if offered.contains(&sasl::SCRAM_SHA_256_PLUS) => {
            Ok((sasl::SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(hash)))
        }
        _ if wish == pg::ChannelBinding::Require => Err(no_binding()),
        _ if !offered.contains(&sasl::SCRAM_SHA_256) => {
            Err(Error::Authentication("the server offers no SCRAM-SHA-256".into()))
        }
        Some(_) => Ok((sasl::SCRAM_SHA_256, ChannelBinding::unrequested())),
        None => Ok((sasl::SCRAM_SHA_256, ChannelBinding::unsupported())),
    }
}

#[cfg(test)]
mod tests {
    use super::choose;
    use crate::pg::ChannelBinding::{Disable, Prefer, Require};
    use postgres_protocol::authentication::sasl::{SCRAM_SHA_256, SCRAM_SHA_256_PLUS};

    #[test]
    fn the_strongest_mechanism_of_both_sides_is_taken() {
        let both = [SCRAM_SHA_256_PLUS, SCRAM_SHA_256];
        let mechanism = |offered: &[&str], can_bind: bool, wish| {
            choose(offered, can_bind.then(|| vec![0; 32]), wish).map(|chosen| chosen.0).ok()
        };
        assert_eq!(mechanism(&both, true, Prefer), Some(SCRAM_SHA_256_PLUS));
        assert_eq!(mechanism(&both, true, Require), Some(SCRAM_SHA_256_PLUS));
        assert_eq!(mechanism(&both, true, Disable), Some(SCRAM_SHA_256));
        assert_eq!(mechanism(&both, false, Prefer), Some(SCRAM_SHA_256));
        assert_eq!(mechanism(&both[1..], true, Prefer), Some(SCRAM_SHA_256));
        assert_eq!(mechanism(&both, false, Require), None);
        assert_eq!(mechanism(&both[1..], true, Require), None);
        assert_eq!(mechanism(&["OAUTHBEARER"], true, Prefer), None);
    }
}
