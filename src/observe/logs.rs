//! The log subscriber and its ceiling for drivers.

use std::io::stderr;

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, FilterFn, ParseError},
    fmt::MakeWriter,
    layer::SubscriberExt,
    util::{SubscriberInitExt, TryInitError},
};

/// Without a filter of the user's: what should be looked at.
const DEFAULT_FILTER: &str = "warn";

/// Crates that see row values, keys or packets. A target matches with these names as a prefix,
/// so `tokio` covers `tokio_postgres`, `tokio_rustls` and the rest of the family.
const CAPPED: [&str; 9] =
    ["tokio", "postgres", "rustls", "mio", "h2", "hyper", "socket2", "want", "log"];

/// The highest level that a capped target reaches.
const CEILING: Level = Level::INFO;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    #[error("read the log filter {filter:?}")]
    Filter { filter: String, source: ParseError },
    #[error("set up logging")]
    Init(#[from] TryInitError),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Plain,
    Ansi,
    Json,
}

/// Sends logs to stderr for the rest of the process. `filter` is in the syntax of
/// `RUST_LOG` (`info,backlot::clone=debug`); None means warnings and errors.
///
/// # Errors
/// [`LogError::Filter`] for a filter that does not parse; [`LogError::Init`] the second time.
pub fn init_logs(filter: Option<&str>, json: bool, ansi: bool) -> Result<(), LogError> {
    let format = match (json, ansi) {
        (true, _) => LogFormat::Json,
        (false, true) => LogFormat::Ansi,
        (false, false) => LogFormat::Plain,
    };
    // Also takes over the `log` crate, which most drivers log through: its records pass the same
    // filter under their own target.
    Ok(subscriber(filter, format, stderr)?.try_init()?)
}

/// The subscriber of [`init_logs`] with another writer.
///
/// # Errors
/// [`LogError::Filter`].
pub fn subscriber<W>(
    filter: Option<&str>,
    format: LogFormat,
    writer: W,
) -> Result<impl Subscriber + Send + Sync + 'static, LogError>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let directives = filter.unwrap_or(DEFAULT_FILTER);
    let wanted = EnvFilter::builder()
        .parse(directives)
        .map_err(|source| LogError::Filter { filter: directives.to_owned(), source })?;
    let allowed = wanted.and(FilterFn::new(below_ceiling));
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match format {
        LogFormat::Plain => lines.with_ansi(false).boxed(),
        LogFormat::Ansi => lines.with_ansi(true).boxed(),
        LogFormat::Json => lines.with_ansi(false).json().boxed(),
    };
    Ok(tracing_subscriber::registry().with(lines.with_filter(allowed)))
}

fn below_ceiling(metadata: &Metadata<'_>) -> bool {
    // tracing orders levels by verbosity: DEBUG > INFO.
    *metadata.level() <= CEILING || !is_capped(metadata.target())
}

fn is_capped(target: &str) -> bool {
    CAPPED.iter().any(|name| target.starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::is_capped;

    #[test]
    fn drivers_are_capped_and_we_are_not() {
        for target in [
            "tokio_postgres::query",
            "postgres_protocol",
            "postgres_types",
            "rustls::client",
            "tokio::runtime",
            "mio::poll",
            "h2::frame",
            "tokio_postgres_rustls",
        ] {
            assert!(is_capped(target), "{target}");
        }
        for target in ["backlot::clone", "backlot::pg::connect", "backlot"] {
            assert!(!is_capped(target), "{target}");
        }
    }
}
