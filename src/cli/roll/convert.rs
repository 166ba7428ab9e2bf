//! `backlot roll convert`

use super::arguments::ServerArgs;
use crate::cli::failure::Failure;
use crate::cli::{Global, output};
use crate::migrate::convert::convert;
use crate::migrate::file::{Form, Migration, write};
use clap::Args;
use std::io::Read as _;
use std::path::PathBuf;

/// A script larger than this is a dump.
const SCRIPT_BYTES: u64 = 16 << 20;

#[derive(Args)]
pub(in crate::cli) struct ConvertArgs {
    /// SQL; standard input if absent or `-`
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Write the migration as JSON
    #[arg(short = 'j', long = "json-file")]
    json_file: bool,
}

pub(super) fn run(args: ConvertArgs, server: &ServerArgs, global: &Global) -> Result<(), Failure> {
    let path = args.file.filter(|path| path.as_os_str() != "-");
    let shown = path.as_ref().map_or("stdin".to_owned(), |path| path.display().to_string());
    let failed = |error: std::io::Error| Failure::usage(format!("read {shown}: {error}"));
    let mut sql = String::new();
    let read = match &path {
        Some(path) => {
            let file = std::fs::File::open(path).map_err(failed)?;
            file.take(SCRIPT_BYTES + 1).read_to_string(&mut sql)
        }
        None => std::io::stdin().lock().take(SCRIPT_BYTES + 1).read_to_string(&mut sql),
    };
    if read.map_err(failed)? as u64 > SCRIPT_BYTES {
        return Err(Failure::usage(format!("{shown} is too large to be a migration")));
    }
    let conversion = convert(&sql, &shown, &server.schema())
        .map_err(|fault| Failure::usage("the script is not SQL").causes(vec![fault.to_string()]))?;
    if !global.quiet && !global.json {
        conversion.notes.iter().for_each(|note| output::say(&note.to_string()));
    }
    let form = if args.json_file || global.json { Form::Json } else { Form::Yaml };
    let operations = conversion.operations;
    let migration = Migration { name: String::new(), version_schema: None, operations };
    output::line(write(&migration, form).trim_end())
}
