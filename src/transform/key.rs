//! Keys: the root key of a project and the keyed functions derived from it.
//!
//! `K_domain = HKDF-SHA256(root, info = "backlot/v1/" ‖ domain)`, and every fake is a function of
//! `HMAC-SHA256(K_domain, tag ‖ len ‖ canonical)`. Everything here is deterministic, allocates
//! nothing per value, and is wiped from memory when dropped. No key has a `Debug` or a `Display`.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, block_api::compress256};
use siphasher::sip::SipHasher24;
use zeroize::{Zeroize, Zeroizing};

const BLOCK_BYTES: usize = 64;
/// SHA-256's initial state (FIPS 180-4, 5.3.3).
const SHA256_IV: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];
/// PRF tags from here on belong to this module; canonical values use smaller ones.
const TAG_FEISTEL: u8 = 0xf0;
const TAG_STREAM: u8 = 0xf1;

/// The 32-byte root key. Not `Debug`, not `Serialize`.
pub struct RootKey(Zeroizing<[u8; 32]>);

/// Why a text is not a root key. Never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("a root key is 64 hexadecimal digits or the base64 of 32 bytes")]
    Malformed,
    #[error("the root key is {0} bytes long, not 32")]
    Length(usize),
    #[error("all bytes of the root key are equal: it is a placeholder, not a key")]
    Placeholder,
}

impl RootKey {
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads 64 hexadecimal digits or base64 (standard or URL-safe, padded or not) of 32 bytes;
    /// white space around it is ignored.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let mut key = Zeroizing::new([0_u8; 32]);
        let is_hex = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hex && text.len() != 43 {
            hex::decode_to_slice(text, &mut key[..])
                .map_err(|_| KeyError::Length(text.len() / 2))?;
        } else {
            decode_base64(text, &mut key)?;
        }
        let [first, rest @ ..] = &*key;
        if rest.iter().all(|byte| byte == first) {
            return Err(KeyError::Placeholder);
        }
        Ok(Self(key))
    }

    /// A public name for this key: tells keys apart and gives nothing away (16 hex digits of
    /// an HMAC under a label of its own).
    pub fn id(&self) -> String {
        let label = self.expand(&[b"backlot/key-id"]);
        let mut name = hex::encode(&label[..]);
        name.truncate(16);
        name
    }

    /// The key of one semantic class.
    pub fn domain(&self, domain: &str) -> DomainKey {
        DomainKey::new(&self.expand(&[b"backlot/v1/", domain.as_bytes()]))
    }

    /// HKDF-SHA256 (RFC 5869) with an empty salt and one block of output.
    fn expand(&self, info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        let extracted = Zeroizing::new(hmac(&[0; 32], &[&self.0[..]]));
        let mut mac = keyed(&extracted);
        for part in info {
            mac.update(part);
        }
        mac.update(&[1]);
        Zeroizing::new(mac.finalize().into_bytes().into())
    }
}

fn keyed(key: &[u8; 32]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = keyed(key);
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn decode_base64(text: &str, key: &mut [u8; 32]) -> Result<(), KeyError> {
    let mut slots = key.iter_mut();
    let (mut bits, mut held, mut count) = (0_u32, 0_u32, 0_usize);
    for byte in text.trim_end_matches('=').bytes() {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return Err(KeyError::Malformed), // any other byte is outside both alphabets
        };
        bits = (bits << 6) | u32::from(digit);
        held += 6;
        if held >= 8 {
            held -= 8;
            let [.., octet] = (bits >> held).to_be_bytes();
            bits &= (1 << held) - 1;
            if let Some(slot) = slots.next() {
                *slot = octet;
            }
            count += 1;
        }
    }
    match count {
        32 if bits == 0 => Ok(()),
        0 | 32 => Err(KeyError::Malformed),
        other => Err(KeyError::Length(other)),
    }
}

/// The key of one semantic class, with the HMAC's inner and outer states computed once.
pub struct DomainKey {
    inner: [u32; 8],
    outer: [u32; 8],
    /// The chaining value of [`Stream`]: independent of `inner` and `outer`.
    stream: [u32; 8],
    feistel: SipHasher24,
}

impl DomainKey {
    fn new(key: &[u8; 32]) -> Self {
        let mut state = Self {
            inner: pad_state(key, 0x36),
            outer: pad_state(key, 0x5c),
            stream: [0; 8],
            feistel: SipHasher24::new_with_keys(0, 0),
        };
        let seed = Zeroizing::new(state.prf(TAG_STREAM, b"stream"));
        for (word, bytes) in state.stream.iter_mut().zip(seed.as_chunks().0) {
            *word = u32::from_be_bytes(*bytes);
        }
        let seed = Zeroizing::new(state.prf(TAG_FEISTEL, b"feistel"));
        if let Some(key) = seed.first_chunk() {
            state.feistel = SipHasher24::new_with_key(key);
        }
        state
    }

    /// `HMAC-SHA256(K_domain, tag ‖ length as u64 big-endian ‖ canonical)`.
    pub fn prf(&self, tag: u8, canonical: &[u8]) -> [u8; 32] {
        let mut inner = self.inner;
        if let Some(block) = last_block(tag, canonical) {
            compress256(&mut inner, &[block]);
        } else {
            let mut hash = Absorb::new(inner);
            hash.update(&[tag]);
            hash.update(&(canonical.len() as u64).to_be_bytes());
            hash.update(canonical);
            inner = hash.finish();
        }
        // The digest, its end mark, and the length of a padded key and a digest in bits.
        let mut block = [0; BLOCK_BYTES];
        for (chunk, word) in block.as_chunks_mut().0.iter_mut().zip(inner) {
            *chunk = word.to_be_bytes();
        }
        block[32] = 0x80;
        block[62] = 3;
        let mut outer = self.outer;
        compress256(&mut outer, &[block]);
        words_to_bytes(outer)
    }

    /// An endless keyed sequence for one value: first the PRF's own 32 bytes, then blocks
    /// derived from them.
    pub fn stream(&self, tag: u8, canonical: &[u8]) -> Stream {
        let seed = self.prf(tag, canonical);
        Stream { chain: self.stream, seed, block: seed, used: 0, counter: 0 }
    }

    /// SipHash-2-4 under a key of its own: the round function of [`super::permute`].
    pub(super) fn feistel(&self) -> &SipHasher24 {
        &self.feistel
    }
}

impl Drop for DomainKey {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
        self.stream.zeroize();
        self.feistel = SipHasher24::new_with_keys(0, 0);
    }
}

fn pad_state(key: &[u8; 32], pad: u8) -> [u32; 8] {
    let mut block = Zeroizing::new([pad; BLOCK_BYTES]);
    for (byte, key_byte) in block.iter_mut().zip(key) {
        *byte ^= key_byte;
    }
    let mut state = SHA256_IV;
    compress256(&mut state, &[*block]);
    state
}

/// The only block of a short message (most values are), padded as SHA-256 wants it; `None` if
/// the message is longer.
fn last_block(tag: u8, canonical: &[u8]) -> Option<[u8; BLOCK_BYTES]> {
    const HEAD_BYTES: usize = 9;
    let mut block = [0; BLOCK_BYTES];
    let end = HEAD_BYTES + canonical.len();
    if end > BLOCK_BYTES - HEAD_BYTES {
        return None;
    }
    block[0] = tag;
    block[1..HEAD_BYTES].copy_from_slice(&(canonical.len() as u64).to_be_bytes());
    block.get_mut(HEAD_BYTES..end)?.copy_from_slice(canonical);
    *block.get_mut(end)? = 0x80;
    let length_bits = ((BLOCK_BYTES + end) as u64) * 8;
    block[56..].copy_from_slice(&length_bits.to_be_bytes());
    Some(block)
}

/// SHA-256 continued from a state that has absorbed exactly one block.
struct Absorb {
    state: [u32; 8],
    block: [u8; BLOCK_BYTES],
    filled: usize,
    total_bytes: u64,
}

impl Absorb {
    fn new(state: [u32; 8]) -> Self {
        Self { state, block: [0; BLOCK_BYTES], filled: 0, total_bytes: BLOCK_BYTES as u64 }
    }

    fn update(&mut self, mut bytes: &[u8]) {
        self.total_bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            let free = self.block.get_mut(self.filled..).unwrap_or_default();
            let count = free.len().min(bytes.len());
            let (head, tail) = bytes.split_at(count);
            if let Some(slot) = free.get_mut(..count) {
                slot.copy_from_slice(head);
            }
            self.filled += count;
            bytes = tail;
            if self.filled == BLOCK_BYTES {
                compress256(&mut self.state, &[self.block]);
                self.filled = 0;
            }
        }
    }

    fn finish(mut self) -> [u32; 8] {
        let length_bits = self.total_bytes * 8;
        if let Some([end, rest @ ..]) = self.block.get_mut(self.filled..) {
            *end = 0x80;
            rest.fill(0);
        }
        if self.filled + 9 > BLOCK_BYTES {
            compress256(&mut self.state, &[self.block]);
            self.block = [0; BLOCK_BYTES];
        }
        if let Some(tail) = self.block.last_chunk_mut() {
            *tail = length_bits.to_be_bytes();
        }
        compress256(&mut self.state, &[self.block]);
        self.state
    }
}

fn words_to_bytes(state: [u32; 8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (chunk, word) in bytes.as_chunks_mut().0.iter_mut().zip(state) {
        *chunk = word.to_be_bytes();
    }
    bytes
}

/// An endless keyed sequence of bytes for one value. Block n + 1 is SHA-256's compression of
/// (seed ‖ n) under a secret chaining value: a PRF by the assumption HMAC itself rests on.
pub struct Stream {
    chain: [u32; 8],
    seed: [u8; 32],
    block: [u8; 32],
    used: usize,
    counter: u64,
}

impl Stream {
    fn refill(&mut self) {
        let mut message = [0_u8; BLOCK_BYTES];
        if let Some(slot) = message.first_chunk_mut() {
            *slot = self.seed;
        }
        if let Some(slot) = message.last_chunk_mut() {
            *slot = self.counter.to_be_bytes();
        }
        let mut state = self.chain;
        compress256(&mut state, &[message]);
        self.block = words_to_bytes(state);
        self.counter += 1;
        self.used = 0;
    }

    pub fn byte(&mut self) -> u8 {
        if self.used == self.block.len() {
            self.refill();
        }
        let byte = self.block.get(self.used).copied().unwrap_or_default();
        self.used += 1;
        byte
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    pub fn u32(&mut self) -> u32 {
        u32::from_be_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }

    pub fn u64(&mut self) -> u64 {
        (u64::from(self.u32()) << 32) | u64::from(self.u32())
    }

    /// A number below `bound` by multiply-shift: 0 if `bound` is 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        let product = u64::from(self.u32()) * u64::from(bound);
        u32::try_from(product >> 32).unwrap_or(0)
    }

    /// An index into a list of `length` entries (at most `u32::MAX`).
    pub fn index(&mut self, length: usize) -> usize {
        self.below(u32::try_from(length).unwrap_or(u32::MAX)) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> RootKey {
        RootKey::new(std::array::from_fn(|index| u8::try_from(index).unwrap()))
    }

    #[test]
    fn prf_is_hmac_sha256_over_tag_length_and_value() {
        let root = root();
        let key = root.expand(&[b"backlot/v1/", b"email"]);
        let domain = root.domain("email");
        for length in [0_usize, 1, 45, 46, 47, 54, 55, 56, 63, 64, 65, 119, 128, 1000] {
            let value: Vec<u8> =
                (0..length).map(|index| u8::try_from(index % 251).unwrap()).collect();
            let expected = hmac(&key, &[&[7], &(length as u64).to_be_bytes(), &value]);
            assert_eq!(domain.prf(7, &value), expected, "{length} bytes");
        }
    }

    #[test]
    fn hkdf_matches_rfc_5869_construction() {
        // Test case 3 of RFC 5869: IKM = 22 bytes, so only the construction is checked here.
        let extracted = hmac(&[0; 32], &[&root().0[..]]);
        let expected = hmac(&extracted, &[b"backlot/v1/email", &[1]]);
        assert_eq!(*root().expand(&[b"backlot/v1/", b"email"]), expected);
    }

    #[test]
    fn hex_and_base64_name_the_same_key() {
        let hex =
            RootKey::parse("  000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n")
                .ok()
                .unwrap();
        let base64 = RootKey::parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").ok().unwrap();
        assert_eq!(hex.id(), base64.id());
        assert_eq!(hex.id(), root().id());
        assert_eq!(hex.id().len(), 16);
    }

    #[test]
    fn parse_refuses_what_is_no_key() {
        let zeros = "0".repeat(64);
        for (text, expected) in [
            ("", KeyError::Malformed),
            ("not a key", KeyError::Malformed),
            ("abcd", KeyError::Length(2)),
            ("AAECAwQ=", KeyError::Length(5)),
            (&zeros, KeyError::Placeholder),
        ] {
            assert_eq!(RootKey::parse(text).err(), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn domains_and_roots_are_independent() {
        let (one, two) = (root().domain("email"), root().domain("ssn"));
        assert_ne!(one.prf(1, b"x"), two.prf(1, b"x"));
        assert_ne!(one.prf(1, b"x"), one.prf(2, b"x"));
        assert_ne!(one.feistel().hash(b"x"), two.feistel().hash(b"x"));
        assert_ne!(one.prf(1, b"x"), RootKey::new([9; 32]).domain("email").prf(1, b"x"));
    }

    #[test]
    fn a_stream_does_not_repeat() {
        let key = root().domain("email");
        let mut stream = key.stream(1, b"x");
        let blocks: std::collections::HashSet<[u8; 32]> =
            (0..100).map(|_| std::array::from_fn(|_| stream.byte())).collect();
        assert_eq!(blocks.len(), 100);
    }
}
