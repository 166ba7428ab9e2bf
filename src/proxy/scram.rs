//! SCRAM-SHA-256, the server's side (RFC 5802, RFC 7677; PostgreSQL's auth-scram.c).
//!
//! Decides and does no IO. It never holds a password: the verifier proves one and makes none. A
//! name that is not the branch's is led through the same steps to the same refusal, with a salt
//! that is the same every time, so that names cannot be told apart. No channel binding: there is
//! no TLS on the loopback.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::project::random_bytes;

pub(super) const MECHANISM: &str = "SCRAM-SHA-256";
/// `SCRAM_RAW_NONCE_LEN` (scram-common.h).
const NONCE_BYTES: usize = 18;
/// `SCRAM_DEFAULT_SALT_LEN`.
const SALT_BYTES: usize = 16;
const DEFAULT_ITERATIONS: u32 = 4096;

type Key = [u8; 32];

/// Why nobody was let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ScramError {
    /// Wrong password, or a name that is not known: nobody learns which.
    Denied,
    /// Not SCRAM as it is spoken here.
    Malformed(&'static str),
    /// The verifier in the catalog, or the machine's generator.
    Internal(&'static str),
}

/// What proves a password: `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.
struct Verifier {
    iterations: u32,
    /// As it is sent: base64.
    salt: String,
    stored_key: Key,
    server_key: Key,
    /// False for a name that is not known: then nothing proves anything.
    is_real: bool,
}

impl Verifier {
    fn parse(text: &str) -> Option<Self> {
        let (head, keys) = text.strip_prefix("SCRAM-SHA-256$")?.split_once('$')?;
        let ((iterations, salt), (stored, server)) = (head.split_once(':')?, keys.split_once(':')?);
        let key = |text: &str| Key::try_from(BASE64.decode(text).ok()?).ok();
        Some(Self {
            iterations: iterations.parse().ok().filter(|count| *count > 0)?,
            salt: BASE64.decode(salt).is_ok().then(|| salt.to_owned())?,
            stored_key: key(stored)?,
            server_key: key(server)?,
            is_real: true,
        })
    }

    /// For `user`, whom nobody knows. `mock_scram_secret` does the same from a secret of the
    /// cluster; the verifier's server key is a secret that stays as long as the password.
    fn mock(real: &Self, user: &str) -> Self {
        let digest = mac(&real.server_key, user.as_bytes());
        let salt = digest.iter().take(SALT_BYTES).copied().collect::<Vec<u8>>();
        Self {
            iterations: DEFAULT_ITERATIONS,
            salt: BASE64.encode(salt),
            stored_key: digest,
            server_key: digest,
            is_real: false,
        }
    }
}

/// The exchange after the server's first message.
pub(super) struct Exchange {
    verifier: Verifier,
    /// `n,,` or `y,,`.
    gs2_header: String,
    client_first_bare: String,
    nonce: String,
    server_first: String,
}

impl Exchange {
    /// Takes the client's first message. `is_known`: `verifier` is of the name that the client
    /// gave.
    pub(super) fn begin(
        verifier: &str,
        user: &str,
        is_known: bool,
        client_first: &[u8],
    ) -> Result<Self, ScramError> {
        let bytes =
            random_bytes::<NONCE_BYTES>().map_err(|_| ScramError::Internal("read random bytes"))?;
        Self::begin_with(verifier, user, is_known, client_first, &BASE64.encode(bytes))
    }

    fn begin_with(
        verifier: &str,
        user: &str,
        is_known: bool,
        client_first: &[u8],
        server_nonce: &str,
    ) -> Result<Self, ScramError> {
        let real = Verifier::parse(verifier)
            .ok_or(ScramError::Internal("read the branch's SCRAM verifier"))?;
        let verifier = if is_known { real } else { Verifier::mock(&real, user) };
        let text = text(client_first)?;
        let (flag, rest) = text.split_once(',').ok_or(ScramError::Malformed("no GS2 header"))?;
        // `y`: the client could bind a channel and saw that we cannot.
        if !matches!(flag, "n" | "y") {
            return Err(ScramError::Malformed("channel binding without TLS"));
        }
        let bare =
            rest.strip_prefix(',').ok_or(ScramError::Malformed("an authorization identity"))?;
        let mut fields = bare.split(',');
        // The name is that of the startup packet, as with PostgreSQL.
        if !fields.next().is_some_and(|field| field.starts_with("n=")) {
            return Err(ScramError::Malformed("no user name"));
        }
        let client_nonce = fields
            .next()
            .and_then(|field| field.strip_prefix("r="))
            .filter(|nonce| !nonce.is_empty() && nonce.bytes().all(|byte| byte.is_ascii_graphic()))
            .ok_or(ScramError::Malformed("no nonce"))?;
        let nonce = format!("{client_nonce}{server_nonce}");
        let server_first = format!("r={nonce},s={},i={}", verifier.salt, verifier.iterations);
        Ok(Self {
            verifier,
            gs2_header: format!("{flag},,"),
            client_first_bare: bare.to_owned(),
            nonce,
            server_first,
        })
    }

    pub(super) fn server_first(&self) -> &str {
        &self.server_first
    }

    /// Takes the client's proof. Gives the server's: the client checks that we know it too.
    pub(super) fn finish(&self, client_final: &[u8]) -> Result<String, ScramError> {
        let text = text(client_final)?;
        let (without_proof, proof) =
            text.rsplit_once(",p=").ok_or(ScramError::Malformed("no proof"))?;
        let mut fields = without_proof.split(',');
        let binding = fields.next().and_then(|field| field.strip_prefix("c="));
        if binding != Some(BASE64.encode(&self.gs2_header).as_str()) {
            return Err(ScramError::Malformed("another GS2 header"));
        }
        if fields.next().and_then(|field| field.strip_prefix("r=")) != Some(self.nonce.as_str()) {
            return Err(ScramError::Malformed("another nonce"));
        }
        let proof = BASE64.decode(proof).ok().and_then(|proof| Key::try_from(proof).ok());
        let proof = proof.ok_or(ScramError::Malformed("no proof of 32 bytes"))?;
        let Self { client_first_bare, server_first, verifier, .. } = self;
        let signed = format!("{client_first_bare},{server_first},{without_proof}");
        let signature = mac(&verifier.stored_key, signed.as_bytes());
        let mut client_key = proof;
        for (byte, mask) in client_key.iter_mut().zip(signature) {
            *byte ^= mask;
        }
        let is_proven: bool =
            Sha256::digest(client_key).as_slice().ct_eq(&verifier.stored_key).into();
        if !(is_proven & verifier.is_real) {
            return Err(ScramError::Denied);
        }
        Ok(format!("v={}", BASE64.encode(mac(&verifier.server_key, signed.as_bytes()))))
    }
}

fn text(message: &[u8]) -> Result<&str, ScramError> {
    std::str::from_utf8(message).map_err(|_| ScramError::Malformed("text that is not UTF-8"))
}

fn mac(key: &Key, text: &[u8]) -> Key {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
    use postgres_protocol::password::scram_sha_256;

    use super::{Exchange, ScramError};

    /// The driver's own client against this server.
    fn try_in(password: &str, is_known: bool) -> Result<(), ScramError> {
        let verifier = scram_sha_256(b"right");
        let mut client = ScramSha256::new(password.as_bytes(), ChannelBinding::unrequested());
        let exchange = Exchange::begin(&verifier, "ann", is_known, client.message())?;
        client.update(exchange.server_first().as_bytes()).unwrap();
        let last = exchange.finish(client.message())?;
        client.finish(last.as_bytes()).expect("the client accepts our proof");
        Ok(())
    }

    #[test]
    fn the_right_password_of_the_right_user_proves_itself_both_ways() {
        assert_eq!(try_in("right", true), Ok(()));
        assert_eq!(try_in("wrong", true), Err(ScramError::Denied));
        assert_eq!(try_in("", true), Err(ScramError::Denied));
        assert_eq!(try_in("right", false), Err(ScramError::Denied));
    }

    /// RFC 7677, section 3.
    #[test]
    fn the_example_of_the_rfc_comes_out() {
        let verifier = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
            WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
        let exchange = Exchange::begin_with(
            verifier,
            "user",
            true,
            b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        )
        .ok()
        .unwrap();
        assert_eq!(
            exchange.server_first(),
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
        );
        let last = exchange.finish(
            b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
              p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        );
        assert_eq!(last.unwrap(), "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn an_unknown_name_gets_the_same_salt_every_time_and_never_the_real_one() {
        let verifier = scram_sha_256(b"right");
        let salt = |user: &str, is_known| {
            let exchange = Exchange::begin(&verifier, user, is_known, b"n,,n=,r=abc");
            let first = exchange.ok().unwrap().server_first().to_owned();
            first.split(',').find(|field| field.starts_with("s=")).unwrap().to_owned()
        };
        assert_eq!(salt("eve", false), salt("eve", false));
        assert_ne!(salt("eve", false), salt("mallory", false));
        assert_ne!(salt("eve", false), salt("eve", true));
    }

    #[test]
    fn what_is_not_scram_is_refused() {
        let verifier = scram_sha_256(b"right");
        let cases: [&[u8]; 8] = [
            b"",
            b"\xff\xfe",
            b"p=tls-server-end-point,,n=,r=abc",
            b"n,a=other,n=,r=abc",
            b"n,,m=ext,n=,r=abc",
            b"n,,n=",
            b"n,,n=,r=",
            b"n,,n=,r=a b",
        ];
        for message in cases {
            let exchange = Exchange::begin(&verifier, "ann", true, message);
            assert!(matches!(exchange, Err(ScramError::Malformed(_))), "{message:?}");
        }
        let exchange =
            Exchange::begin_with(&verifier, "ann", true, b"n,,n=,r=a", "b").ok().unwrap();
        for message in [
            &b"c=biws,r=ab"[..],
            b"c=eSws,r=ab,p=AAAA",
            b"c=biws,r=a,p=AAAA",
            b"c=biws,r=ab,p=AAAA",
            b"c=biws,r=ab,p=!",
        ] {
            let end = exchange.finish(message);
            assert!(matches!(end, Err(ScramError::Malformed(_))), "{message:?}: {end:?}");
        }
    }
}
