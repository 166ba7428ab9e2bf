//! TLS as libpq's `sslmode` defines it, by rustls with the ring provider.
//! Source: <https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION>

use crate::pg::{ConnInfo, Error, SslMode};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use std::io;
use std::sync::Arc;

/// The client configuration for a connection's `sslmode`.
pub(crate) fn client_config(info: &ConnInfo) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let fail = |reason: String| Error::Tls { host: info.host.clone(), reason };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| fail(error.to_string()))?;
    match info.sslmode {
        // As libpq has it: who names a root certificate wants it to be looked at.
        SslMode::Require if info.sslrootcert.is_some() => {
            let verifier = Arc::new(AnyName(chain_verifier(info, provider)?));
            Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
        }
        SslMode::Disable | SslMode::Prefer | SslMode::Require => {
            let verifier = Arc::new(AnyCertificate(provider.signature_verification_algorithms));
            Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
        }
        SslMode::VerifyCa => {
            let chain = chain_verifier(info, provider)?;
            let verifier = Arc::new(AnyName(chain));
            Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
        }
        SslMode::VerifyFull => {
            let verifier = chain_verifier(info, provider)?;
            Ok(builder.with_webpki_verifier(verifier).with_no_client_auth())
        }
    }
}

/// What went wrong in a handshake: a certificate that is refused stays refused, a lost connection
/// may come back.
pub(crate) fn handshake_error(info: &ConnInfo, error: io::Error) -> Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(refusal) => Error::Tls { host: info.host.clone(), reason: refusal.to_string() },
        None => Error::io(format!("TLS with {info}"), error),
    }
}

fn chain_verifier(
    info: &ConnInfo,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, Error> {
    let fail = |reason: String| Error::Tls { host: info.host.clone(), reason };
    let mut roots = RootCertStore::empty();
    if let Some(path) = &info.sslrootcert {
        let certificates = CertificateDer::pem_file_iter(path)
            .map_err(|error| fail(format!("read sslrootcert {}: {error}", path.display())))?;
        for certificate in certificates {
            let certificate =
                certificate.map_err(|error| fail(format!("{}: {error}", path.display())))?;
            roots.add(certificate).map_err(|error| fail(format!("{}: {error}", path.display())))?;
        }
    } else {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if roots.is_empty() {
        return Err(fail("no root certificate to verify with: set sslrootcert".into()));
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| fail(error.to_string()))
}

/// `require`: encrypted, the peer unproven.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

/// `verify-ca`: the chain is proven, the name is not looked at.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
