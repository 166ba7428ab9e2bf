//! The server's certificate as SCRAM binds to it: `tls-server-end-point`.
//! Source: <https://www.rfc-editor.org/rfc/rfc5929#section-4>

use sha2::{Digest, Sha256, Sha384, Sha512};

/// The hash of the certificate by the hash of its own signature; MD5 and SHA-1 are replaced by
/// SHA-256. None where a signature has none of its own (Ed25519), hides it in its parameters
/// (RSASSA-PSS), or the certificate cannot be read: PostgreSQL cannot bind to those either
/// (be-secure-openssl.c `be_tls_get_certificate_hash`).
pub(super) fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    Some(match hash(signature_algorithm(certificate)?)? {
        Hash::Sha256 => Sha256::digest(certificate).to_vec(),
        Hash::Sha384 => Sha384::digest(certificate).to_vec(),
        Hash::Sha512 => Sha512::digest(certificate).to_vec(),
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// By the algorithm's object identifier, as DER has it (RFC 3279, RFC 4055, RFC 5758).
fn hash(algorithm: &[u8]) -> Option<Hash> {
    const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];
    if let Some(rest) = algorithm.strip_prefix(RSA) {
        return match rest {
            // MD5, SHA-1, SHA-256
            [4 | 5 | 11] => Some(Hash::Sha256),
            [12] => Some(Hash::Sha384),
            [13] => Some(Hash::Sha512),
            _ => None,
        };
    }
    match algorithm.strip_prefix(ECDSA)? {
        // SHA-1, SHA-256
        [1] | [3, 2] => Some(Hash::Sha256),
        [3, 3] => Some(Hash::Sha384),
        [3, 4] => Some(Hash::Sha512),
        _ => None,
    }
}

/// `Certificate ::= SEQUENCE { tbsCertificate SEQUENCE, signatureAlgorithm SEQUENCE {
/// algorithm OBJECT IDENTIFIER, … }, … }` (RFC 5280).
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const OBJECT_IDENTIFIER: u8 = 0x06;
    let (fields, _) = element(certificate, SEQUENCE)?;
    let (_, rest) = element(fields, SEQUENCE)?;
    let (algorithm, _) = element(rest, SEQUENCE)?;
    element(algorithm, OBJECT_IDENTIFIER).map(|(identifier, _)| identifier)
}

/// The content of the DER element at the start, and what is behind it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<2>()?;
    let [found, length] = *head;
    if found != tag {
        return None;
    }
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        // The length has bytes of its own; no certificate needs more than three.
        0x81..=0x83 => {
            let (length, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::{Hash, element, end_point, hash, signature_algorithm};
    use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};

    fn certificate(algorithm: &'static SignatureAlgorithm) -> Vec<u8> {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let names = vec!["db.example".to_owned()];
        CertificateParams::new(names).unwrap().self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_hash_is_that_of_the_certificates_signature() {
        for (algorithm, expected) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, Some((Hash::Sha256, 32))),
            (&rcgen::PKCS_ECDSA_P384_SHA384, Some((Hash::Sha384, 48))),
            (&rcgen::PKCS_ED25519, None),
        ] {
            let der = certificate(algorithm);
            let found = hash(signature_algorithm(&der).unwrap());
            let length = end_point(&der).map(|hash| hash.len());
            assert_eq!(found.zip(length), expected);
        }
        let rsa = |last| hash(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, last]);
        assert_eq!(
            [5, 11, 12, 13, 10].map(rsa),
            [Some(Hash::Sha256), Some(Hash::Sha256), Some(Hash::Sha384), Some(Hash::Sha512), None]
        );
    }

    #[test]
    fn a_certificate_that_is_cut_is_none() {
        let der = certificate(&rcgen::PKCS_ECDSA_P256_SHA256);
        assert!((0..der.len()).all(|cut| end_point(&der[..cut]).is_none()));
        for bad in [&[][..], &[0x30], &[0x30, 0x80], &[0x30, 0x84, 0, 0, 0, 0], &[0x30, 0x82, 1]] {
            assert!(element(bad, 0x30).is_none());
        }
    }
}
