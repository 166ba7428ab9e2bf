//! The buffers of a [`Wire`](super::Wire).

/// Bytes whose storage is zeroed once and reused: a `Vec` would be zeroed again for every read.
#[derive(Default)]
pub struct Buffer {
    storage: Vec<u8>,
    pub(super) filled: usize,
    pub(super) frame_count: u64,
}

impl Buffer {
    pub fn as_slice(&self) -> &[u8] {
        self.storage.get(..self.filled).unwrap_or_default()
    }

    /// `CopyData` frames in it: a backend sends one a row, and one more at the end of a binary
    /// COPY. For showing progress, not for counting rows.
    pub fn frame_count(&self) -> u64 {
        self.frame_count
    }

    /// Bytes that it holds on to, filled or not: what a memory budget counts.
    pub fn capacity(&self) -> usize {
        self.storage.len()
    }

    pub(super) fn replace(&mut self, bytes: &[u8]) {
        self.filled = 0;
        self.room(bytes.len());
        if let Some(start) = self.storage.get_mut(..bytes.len()) {
            start.copy_from_slice(bytes);
        }
        self.filled = bytes.len();
    }

    /// Drops the first `count` bytes.
    pub(super) fn consume(&mut self, count: usize) {
        let count = count.min(self.filled);
        self.storage.copy_within(count..self.filled, 0);
        self.filled -= count;
    }

    /// The unfilled part, at least `bytes` long.
    pub(super) fn room(&mut self, bytes: usize) -> &mut [u8] {
        let wanted = self.filled + bytes;
        if self.storage.len() < wanted {
            self.storage.resize(wanted, 0);
        }
        self.storage.get_mut(self.filled..).unwrap_or_default()
    }
}
