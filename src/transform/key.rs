//! Keys: the root key of a project and the keyed functions derived from it.
//!
//! `K_domain = HKDF-SHA256(root, info = "backlot/v1/" ‖ domain)`, and every fake is a function of
//! `F(K_domain, tag ‖ len ‖ canonical)` ([`DomainKey::prf`]), or of SipHash-2-4 where the value is
//! a number ([`DomainKey::below`], `permute`). Everything here is deterministic, allocates
//! nothing per value, and is wiped from memory when dropped. No key has a `Debug` or a `Display`.
//!
//! `F` is SHA-256's compression function, keyed by its chaining value and iterated over blocks of
//! which the first holds the length. Why that is a PRF:
//! - A value of up to 55 bytes is one block, and `F` is the keyed compression function itself.
//!   That this is a PRF is what the security of HMAC-SHA256 is derived from (Bellare, "New proofs
//!   for NMAC and HMAC", 2006).
//! - A longer value is a cascade, which is a PRF under the same assumption if no message begins
//!   another (Bellare, Canetti, Krawczyk, "Pseudorandom functions revisited", 1996). None does:
//!   messages of two lengths differ in the first block, those of one length are equally long.
//! - For the same reason there is nothing to extend: who knows the whole image of a value can go
//!   on compressing, but what comes out is the image of no value.
//!
//! HMAC's second pass protects where messages may begin one another. Here it would double the
//! cost of a value and protect against nothing. Unlike HMAC, `F` is no standard of its own.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, block_api::compress256};
use siphasher::sip::SipHasher24;
use zeroize::{Zeroize, Zeroizing};

const BLOCK_BYTES: usize = 64;
/// Tag and length at the start of a message.
const HEAD_BYTES: usize = 9;
/// PRF tags from here on belong to this module; canonical values use smaller ones.
const TAG_SIPHASH: u8 = 0xf0;
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

/// The key of one semantic class.
pub struct DomainKey {
    /// The chaining value that keys [`DomainKey::prf`].
    chain: [u32; 8],
    /// The chaining value of [`Stream`]: independent of `chain`.
    stream: [u32; 8],
    siphash: SipHasher24,
}

impl DomainKey {
    fn new(key: &[u8; 32]) -> Self {
        let mut state = Self {
            chain: bytes_to_words(key),
            stream: [0; 8],
            siphash: SipHasher24::new_with_keys(0, 0),
        };
        let seed = Zeroizing::new(state.prf(TAG_STREAM, b"stream"));
        state.stream = bytes_to_words(&seed);
        let seed = Zeroizing::new(state.prf(TAG_SIPHASH, b"siphash"));
        if let Some(key) = seed.first_chunk() {
            state.siphash = SipHasher24::new_with_key(key);
        }
        state
    }

    /// `F(K_domain, tag ‖ length as u64 big-endian ‖ canonical ‖ zeros to a whole block)`; see the
    /// module. The length says where the value ends, so zeros need no mark.
    pub fn prf(&self, tag: u8, canonical: &[u8]) -> [u8; 32] {
        let first = canonical.len().min(BLOCK_BYTES - HEAD_BYTES);
        let (first, rest) = canonical.split_at_checked(first).unwrap_or_default();
        let mut head = [tag; HEAD_BYTES];
        head[1..].copy_from_slice(&(canonical.len() as u64).to_be_bytes());
        let mut state = self.chain;
        compress256(&mut state, &[block(&head, first)]);
        for chunk in rest.chunks(BLOCK_BYTES) {
            compress256(&mut state, &[block(&[], chunk)]);
        }
        words_to_bytes(state)
    }

    /// An endless keyed sequence for one value: first the PRF's own 32 bytes, then blocks
    /// derived from them.
    pub fn stream(&self, tag: u8, canonical: &[u8]) -> Stream {
        let seed = self.prf(tag, canonical);
        Stream { chain: self.stream, seed, block: seed, used: 0, counter: 0 }
    }

    /// A draw below `bound` for a number: SipHash-2-4, at a quarter of the PRF's cost. Its messages
    /// have 9 bytes, those of `permute` 16 and 24: under one key, none is another's.
    pub fn below(&self, tag: u8, number: u64, bound: u32) -> u32 {
        let mut message = [tag; HEAD_BYTES];
        message[1..].copy_from_slice(&number.to_be_bytes());
        let product = u128::from(self.siphash.hash(&message)) * u128::from(bound);
        u32::try_from(product >> 64).unwrap_or(0)
    }

    /// SipHash-2-4 under a key of its own: the round function of [`super::permute`].
    pub(super) fn feistel(&self) -> &SipHasher24 {
        &self.siphash
    }
}

impl Drop for DomainKey {
    fn drop(&mut self) {
        self.chain.zeroize();
        self.stream.zeroize();
        self.siphash = SipHasher24::new_with_keys(0, 0);
    }
}

/// `head ‖ body ‖ zeros`, which fit.
fn block(head: &[u8], body: &[u8]) -> [u8; BLOCK_BYTES] {
    let mut block = [0; BLOCK_BYTES];
    if let Some((start, rest)) = block.split_at_mut_checked(head.len())
        && let Some(rest) = rest.get_mut(..body.len())
    {
        start.copy_from_slice(head);
        rest.copy_from_slice(body);
    }
    block
}

fn bytes_to_words(bytes: &[u8; 32]) -> [u32; 8] {
    let mut words = [0; 8];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    words
}

fn words_to_bytes(state: [u32; 8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (chunk, word) in bytes.as_chunks_mut().0.iter_mut().zip(state) {
        *chunk = word.to_be_bytes();
    }
    bytes
}

/// An endless keyed sequence of bytes for one value. Block n + 1 is SHA-256's compression of
/// (seed ‖ n) under a secret chaining value: a PRF by the assumption that the module names.
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

    /// The next `N` bytes, at most a block; what is left of a block is dropped if it is shorter.
    fn take<const N: usize>(&mut self) -> [u8; N] {
        if self.used + N > self.block.len() {
            self.refill();
        }
        let next = self.block.get(self.used..).and_then(<[u8]>::first_chunk);
        self.used += N;
        next.copied().unwrap_or([0; N])
    }

    pub fn byte(&mut self) -> u8 {
        let [byte] = self.take();
        byte
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take())
    }

    pub fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take())
    }

    pub fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.take())
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

    /// Expected: SHA-256's compression function written out in Python, keyed and iterated as the
    /// module says.
    #[test]
    fn prf_is_the_keyed_compression_function_over_tag_length_and_value() {
        let domain = root().domain("email");
        for (length, expected) in [
            (0, "912a6f1fdb19de6b6a6c0d5dc4dcfce269fe636362d21fa0990a48d280c8d631"),
            (20, "7dd509ab3559c248e0b624ca793a70c358c87379f5126beb211979940fec15b4"),
            (55, "12285cb1746e829e0060c18c72933eb26ce466504bf8cd0db45789001f2163f5"),
            (56, "fdc43b22a3c5af33525cfd22730b71cf756f7a29231cedec24b63806f2bef0fa"),
            (119, "a341063743c30b85e2337ba8b17a18b112030ad940027ca6df08c2999214c2b0"),
            (120, "a04f9029e4be12a8c3160e660914423ba64003c37a2d0fab8bf716ff885a74c6"),
            (1000, "7375f17e906ea2cad2b045e68c6816aa508ae0d43895ca511d22a515fedd6d54"),
        ] {
            let value: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            assert_eq!(hex::encode(domain.prf(7, &value)), expected, "{length} bytes");
        }
    }

    #[test]
    fn the_zeros_of_a_block_are_no_part_of_a_value() {
        let domain = root().domain("email");
        let images: std::collections::HashSet<[u8; 32]> =
            (0..300).map(|length| domain.prf(7, &vec![0; length])).collect();
        assert_eq!(images.len(), 300);
    }

    #[test]
    fn draws_for_numbers_stay_below_their_bound_and_reach_it() {
        let domain = root().domain("email");
        let draws: std::collections::HashSet<u32> =
            (0..1000).map(|number| domain.below(1, number, 10)).collect();
        assert_eq!(draws, (0..10).collect());
        assert_eq!(domain.below(1, 5, 0), 0);
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
        assert_ne!(one.below(1, 1, u32::MAX), two.below(1, 1, u32::MAX));
        assert_ne!(one.below(1, 1, u32::MAX), one.below(2, 1, u32::MAX));
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
