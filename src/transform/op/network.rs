//! Network addresses that lead nowhere.
//!
//! IPv4 goes into the documentation networks of RFC 5737 (three /24, 768 addresses: not
//! injective), IPv6 into `2001:db8::/32` (RFC 3849, 96 keyed bits), private and loopback
//! addresses too; the prefix length stays, and a cidr's host bits are cleared (a network shorter
//! than the documentation's own becomes the one around it). MAC addresses
//! become locally administered unicast ones: bijective over the universally administered
//! unicast addresses that vendors burn in; other inputs may meet them (1 : 7 × 10¹³).

use super::canonical::{self, TAG_INET, TAG_MAC, clip, tail};
use super::fill::fallback;
use super::integer::push_decimal;
use super::uuid::{parse_hex, push_hex};
use crate::transform::key::DomainKey;
use crate::transform::permute::permute;
use crate::transform::{Fault, Output, Value};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(super) struct Ip {
    pub(super) key: DomainKey,
    /// True for cidr: no bits to the right of the prefix.
    pub(super) is_network: bool,
    pub(super) max_chars: Option<u32>,
}

/// Every fake IPv4 address has at most this many characters.
const V4_CHARS: u32 = 13;
const V4_FAKES: u32 = 3 * 256;
const V6_CHARS: u32 = 39;

impl Ip {
    pub(super) fn apply(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Output, Fault> {
        match value {
            Value::Inet(address, prefix) => {
                let mut fake = self.fake(address);
                if self.is_network {
                    fake = masked(fake, prefix);
                }
                Ok(Output::Inet(fake, prefix))
            }
            Value::Text("") => Ok(Output::Same),
            Value::Text(text) => Ok(self.text(text, out)),
            Value::Int(_)
            | Value::Numeric(_)
            | Value::Float(_)
            | Value::Bool(_)
            | Value::Uuid(_)
            | Value::Date(_)
            | Value::Timestamp(_)
            | Value::Bytes(_)
            | Value::Mac(_)
            | Value::Json(_) => Err(Fault::WrongKind),
        }
    }

    fn fake(&self, address: IpAddr) -> IpAddr {
        match address {
            IpAddr::V4(original) => {
                let rank = self.key.below(TAG_INET, original.to_bits().into(), V4_FAKES);
                match v4(rank) {
                    same if same == original => {
                        let [a, b, c, d] = same.octets();
                        IpAddr::V4(Ipv4Addr::new(a, b, c, d.wrapping_add(1)))
                    }
                    other => IpAddr::V4(other),
                }
            }
            IpAddr::V6(original) => {
                let mut stream = self.key.stream(TAG_INET, &original.octets());
                let high = (0x2001_0db8_u64 << 32) | u64::from(stream.u32());
                let bits = (u128::from(high) << 64) | u128::from(stream.u64());
                IpAddr::V6(Ipv6Addr::from_bits(bits))
            }
        }
    }

    /// `address[/prefix]`; anything else becomes the fake IPv4 address of its whole text.
    fn text(&self, text: &str, out: &mut Vec<u8>) -> Output {
        let trimmed = text.trim();
        let (address, prefix) = match trimmed.split_once('/') {
            Some((address, prefix)) => (address, prefix.parse::<u8>().ok()),
            None => (trimmed, None),
        };
        let room = self.max_chars.unwrap_or(u32::MAX);
        let suffix = if prefix.is_some() { 4 } else { 0 };
        let fake = match address.parse::<IpAddr>() {
            Ok(address @ IpAddr::V6(_)) if room >= V6_CHARS + suffix => self.fake(address),
            Ok(IpAddr::V6(address)) => {
                let mut stream = self.key.stream(TAG_INET, &address.octets());
                IpAddr::V4(v4(stream.below(V4_FAKES)))
            }
            Ok(address @ IpAddr::V4(_)) => self.fake(address),
            Err(_) => {
                let mut stream = canonical::folded(&self.key, text, out);
                IpAddr::V4(v4(stream.below(V4_FAKES)))
            }
        };
        if room < V4_CHARS {
            return fallback(&self.key, text, self.max_chars, out);
        }
        let start = out.len();
        match fake {
            IpAddr::V4(fake) => push_v4(out, fake),
            // Writing to a Vec cannot fail.
            IpAddr::V6(fake) => drop(write!(out, "{fake}")),
        }
        if let Some(prefix) = prefix {
            out.push(b'/');
            push_decimal(out, u128::from(prefix), 1);
        }
        clip(out, start, self.max_chars);
        Output::Text
    }
}

/// TEST-NET-1, -2 and -3.
fn v4(rank: u32) -> Ipv4Addr {
    let [.., net, host] = rank.to_be_bytes();
    match net {
        0 => Ipv4Addr::new(192, 0, 2, host),
        1 => Ipv4Addr::new(198, 51, 100, host),
        _ => Ipv4Addr::new(203, 0, 113, host),
    }
}

/// As `Display`, without its detour over a buffer and a padding.
fn push_v4(out: &mut Vec<u8>, address: Ipv4Addr) {
    for (place, octet) in address.octets().into_iter().enumerate() {
        if place > 0 {
            out.push(b'.');
        }
        let digits = [octet / 100, octet / 10 % 10, octet % 10].map(|digit| b'0' + digit);
        let leading = usize::from(octet < 10) + usize::from(octet < 100);
        out.extend_from_slice(tail(&digits, leading));
    }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix.into())).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

pub(super) struct Mac {
    pub(super) key: DomainKey,
    pub(super) max_chars: Option<u32>,
}

impl Mac {
    pub(super) fn apply(&self, value: Value<'_>, out: &mut Vec<u8>) -> Result<Output, Fault> {
        match value {
            Value::Mac(octets) => {
                let count = match octets.len() {
                    6 => 6_u32,
                    8 => 8,
                    _ => return Err(Fault::Malformed), // PostgreSQL has no other length
                };
                let bits = octets.iter().fold(0, |bits, octet| (bits << 8) | u64::from(*octet));
                let fake = self.fake(bits, count);
                out.extend_from_slice(tail(&fake.to_be_bytes(), 8 - count as usize));
                Ok(Output::Bytes)
            }
            Value::Text("") => Ok(Output::Same),
            Value::Text(text) => Ok(self.text(text, out)),
            Value::Int(_)
            | Value::Numeric(_)
            | Value::Float(_)
            | Value::Bool(_)
            | Value::Uuid(_)
            | Value::Date(_)
            | Value::Timestamp(_)
            | Value::Bytes(_)
            | Value::Inet(..)
            | Value::Json(_) => Err(Fault::WrongKind),
        }
    }

    /// The low two bits of the first octet (local, group) become 1 and 0; the rest is permuted.
    fn fake(&self, bits: u64, octets: u32) -> u64 {
        let below = (octets - 1) * 8;
        let flags = (bits >> below) & 3;
        let low = bits & ((1 << below) - 1);
        let high = (bits >> below) >> 2;
        let free = u128::from((high << below) | low);
        let last = (1_u128 << (octets * 8 - 2)) - 1;
        let tweak = (u64::from(TAG_MAC) << 8) | flags;
        let image = permute(self.key.feistel(), tweak, last, free);
        let image = u64::try_from(image).unwrap_or(0);
        let (high, low) = (image >> below, image & ((1 << below) - 1));
        (((high << 2) | 2) << below) | low
    }

    fn text(&self, text: &str, out: &mut Vec<u8>) -> Output {
        let count = text.bytes().filter(u8::is_ascii_hexdigit).count();
        let is_mac = text.bytes().all(|byte| byte.is_ascii_hexdigit() || b":-. ".contains(&byte));
        let octets = match count {
            12 if is_mac => 6,
            16 if is_mac => 8,
            _ => return fallback(&self.key, text, self.max_chars, out), // no MAC address
        };
        let bits = u64::try_from(parse_hex(text)).unwrap_or(0);
        push_hex(text, u128::from(self.fake(bits, octets)), octets * 2, out);
        Output::Text
    }
}
