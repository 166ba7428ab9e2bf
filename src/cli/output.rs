//! stdout is data, stderr is talk.

use super::failure::Failure;
use serde::Serialize;
use std::io::{IsTerminal, Write};

/// True if stderr is a terminal that wants colours.
pub(super) fn colours_stderr() -> bool {
    std::io::stderr().is_terminal() && super::environment::text("NO_COLOR").is_none()
}

/// True if progress bars may be drawn.
pub(super) fn draws_bars() -> bool {
    std::io::stderr().is_terminal()
}

/// Writes one line of data.
pub(super) fn line(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    written(writeln!(stdout, "{text}"))
}

/// Writes one JSON document on one line.
pub(super) fn json<T: Serialize>(document: &T) -> Result<(), Failure> {
    let text = serde_json::to_string(document)
        .map_err(|error| Failure::internal(format!("write JSON: {error}")))?;
    line(&text)
}

/// Talk: a line on stderr.
pub(super) fn say(text: &str) {
    // Nobody can be told that stderr is closed.
    drop(writeln!(std::io::stderr().lock(), "{text}"));
}

fn written(result: std::io::Result<()>) -> Result<(), Failure> {
    match result {
        // `backlot … | head`: the reader has seen enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => {
            other.map_err(|error| Failure::internal(format!("write to standard output: {error}")))
        }
    }
}

/// `12 345 678`
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// `12.3 MB`
#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
pub(super) fn bytes(number: u64) -> String {
    let mut value = number as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1000.0 {
            return if unit == "B" { format!("{number} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

#[cfg(test)]
mod tests {
    use super::{bytes, count};

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(
            (count(7), count(1234), count(1_234_567)),
            ("7".into(), "1 234".into(), "1 234 567".into())
        );
        assert_eq!((bytes(12), bytes(570_000_000)), ("12 B".into(), "570.0 MB".into()));
    }
}
