//! `backlot clone preview` (next)
use super::SourceArgs;
use crate::cli::Global;
use crate::cli::failure::Failure;
use clap::Args;
#[derive(Args)]
pub(in crate::cli) struct PreviewArgs {
    #[command(flatten)]
    source: SourceArgs,
}
pub(super) async fn run(_args: PreviewArgs, _global: &Global) -> Result<(), Failure> {
    Err(Failure::internal("preview"))
}
