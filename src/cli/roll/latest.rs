//! `backlot roll latest`, `backlot roll url`

use super::arguments::ServerArgs;
use super::files;
use crate::cli::failure::Failure;
use crate::cli::{Global, output};
use crate::pg::{Literal, Wire};
use crate::roll::{Backfilling, Roll};
use clap::{Args, Subcommand};
use secrecy::ExposeSecret;
use serde_json::json;
use std::fmt::Write as _;
use std::path::PathBuf;

#[derive(Args)]
pub(in crate::cli) struct LatestArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The name of the version's schema
    Schema(FromArgs),
    /// The name of the migration
    Migration(FromArgs),
    /// A URL whose sessions see the version
    Url(UrlArgs),
}

#[derive(Args)]
struct FromArgs {
    /// By the files of a directory, without asking the server
    #[arg(long, short, value_name = "DIR")]
    local: Option<PathBuf>,
}

#[derive(Args)]
pub(in crate::cli) struct UrlArgs {
    /// The URL to extend; without it, --postgres-url
    #[arg(value_name = "URL")]
    connection: Option<String>,
    #[command(flatten)]
    from: FromArgs,
}

pub(super) async fn run(
    args: LatestArgs,
    server: &ServerArgs,
    global: &Global,
) -> Result<(), Failure> {
    let (what, text) = match args.what {
        What::Url(args) => return url(args, server, global).await,
        What::Schema(from) => ("schema", version_schema(&from, server).await?),
        What::Migration(from) => ("migration", migration(&from, server).await?),
    };
    if global.json { output::json(&json!({what: text})) } else { output::line(&text) }
}

pub(super) async fn url(
    args: UrlArgs,
    server: &ServerArgs,
    global: &Global,
) -> Result<(), Failure> {
    let given = match args.connection {
        Some(url) => url,
        None => server.server()?.0.expose_secret().to_owned(),
    };
    let url = with_search_path(&given, &version_schema(&args.from, server).await?);
    if global.json { output::json(&json!({"url": url})) } else { output::line(&url) }
}

async fn version_schema(from: &FromArgs, server: &ServerArgs) -> Result<String, Failure> {
    let schema = server.schema();
    let version = if let Some(directory) = &from.local {
        files::newest(directory)?.version().to_owned()
    } else {
        let roll = Roll::open(server.options(Backfilling::default())?).await?;
        let version = roll.state().latest_version().await?;
        version.ok_or_else(|| none_yet(&schema))?
    };
    Ok(format!("{schema}_{version}"))
}

/// A URL whose sessions see a version: `latest`, or one that is there.
pub(in crate::cli) async fn versioned(url: &str, version: &str) -> Result<String, Failure> {
    let server = ServerArgs::of_url(url);
    if version == "latest" {
        let schema = version_schema(&FromArgs { local: None }, &server).await?;
        return Ok(with_search_path(url, &schema));
    }
    let schema = format!("{}_{version}", server.schema());
    let (_, info) = server.server()?;
    let exists =
        format!("select from pg_catalog.pg_namespace where nspname = {}", Literal(&schema));
    let found = tokio::task::block_in_place(|| Wire::connect(&info, "backlot")?.simple(&exists))?;
    if found.is_empty() {
        return Err(Failure::not_found(format!("there is no version {version} (schema {schema})"))
            .hint("`backlot roll status` shows the versions that are there"));
    }
    Ok(with_search_path(url, &schema))
}

async fn migration(from: &FromArgs, server: &ServerArgs) -> Result<String, Failure> {
    if let Some(directory) = &from.local {
        return Ok(files::newest(directory)?.name);
    }
    let roll = Roll::open(server.options(Backfilling::default())?).await?;
    let history = roll.state().history().await?;
    let newest = history.last().map(|record| record.name.clone());
    newest.ok_or_else(|| none_yet(&server.schema()))
}

fn none_yet(schema: &str) -> Failure {
    Failure::not_found(format!("schema {schema} has no migration yet"))
        .hint("`backlot roll start` or `backlot roll migrate` runs one")
}

/// The `options` of libpq make the schema the session's search path. A name that the server would
/// fold is quoted, which pgroll leaves out. libpq takes no bare `=` in a value (`conninfo_uri_parse_params`).
fn with_search_path(url: &str, version_schema: &str) -> String {
    let is_plain =
        version_schema.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    let name = if is_plain {
        version_schema.to_owned()
    } else {
        // Inside of `options`, a backslash keeps the next character (libpq: pg_split_opts).
        crate::pg::Ident(version_schema).to_string().replace('\\', "\\\\").replace(' ', "\\ ")
    };
    let mut value = String::new();
    for byte in format!("-c search_path={name}").bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            value.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(value, "%{byte:02X}");
        }
    }
    if !url.contains("://") {
        return format!("{url} options='-c search_path={name}'");
    }
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}options={value}")
}

#[cfg(test)]
mod tests {
    use super::with_search_path;

    #[test]
    fn the_version_is_the_search_path_of_the_url() {
        assert_eq!(
            with_search_path("postgres://u@h/d?sslmode=disable", "public_02_x"),
            "postgres://u@h/d?sslmode=disable&options=-c%20search_path%3Dpublic_02_x"
        );
        assert_eq!(
            with_search_path("postgres://u@h/d", "public_V-2"),
            "postgres://u@h/d?options=-c%20search_path%3D%22public_V-2%22"
        );
        assert_eq!(
            with_search_path("host=h user=u", "public_a"),
            "host=h user=u options='-c search_path=public_a'"
        );
    }
}
