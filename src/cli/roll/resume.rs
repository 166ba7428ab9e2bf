//! `backlot roll resume`

use super::arguments::ServerArgs;
use super::report::Report;
use super::start::{BackfillArgs, ended, started};
use crate::cli::Global;
use crate::cli::failure::Failure;
use crate::roll::{self, Resumed, Roll};

pub(super) async fn run(
    args: BackfillArgs,
    server: &ServerArgs,
    global: &Global,
) -> Result<(), Failure> {
    let report = Report::start(global, server.is_verbose()?);
    let mut roll = Roll::lock(server.options(args.read())?).await?;
    let resumed = roll::resume(&mut roll, &report.progress).await?;
    drop(report);
    match resumed {
        Resumed::Started(name) => started(&roll, &name, global).await,
        Resumed::Ended(end) => ended(&roll, &end, global).await,
    }
}
