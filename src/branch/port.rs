//! The port of a branch: from its name, so that it is the same after a deletion; free now.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, TcpListener},
};

use sha2::{Digest, Sha256};

use super::BranchError;

/// Below the range that Linux takes for outgoing connections (`ip_local_port_range`: 32768 on).
const FIRST: u16 = 15_500;
const COUNT: u16 = 10_000;

pub(super) fn choose(seed: &str, taken: &BTreeSet<u16>) -> Result<u16, BranchError> {
    let digest = Sha256::digest(seed.as_bytes());
    let number = digest.iter().take(4).fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
    let start = u16::try_from(number % u32::from(COUNT)).expect("less than COUNT");
    let candidates = (0..COUNT).map(|step| FIRST + (start + step) % COUNT);
    let mut free = candidates.filter(|port| !taken.contains(port) && is_free(*port));
    free.next().ok_or(BranchError::NoPort { first: FIRST, last: FIRST + COUNT - 1 })
}

pub(super) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn a_port_depends_on_the_name_and_avoids_what_is_taken() {
        let none = BTreeSet::new();
        let port = super::choose("shop/a port of a test", &none).unwrap();
        let taken = BTreeSet::from([port]);
        assert_ne!(super::choose("shop/a port of a test", &taken).unwrap(), port);
    }
}
