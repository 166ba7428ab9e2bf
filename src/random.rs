//! Bytes of the kernel's generator: for keys, passwords and names that nobody can guess.

use std::{fs::File, io::Read};

/// # Errors
/// Those of reading `/dev/urandom`.
pub fn random_bytes<const N: usize>() -> std::io::Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
