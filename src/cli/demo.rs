//! `backlot demo` (next)
use super::Global;
use super::failure::Failure;
use clap::Args;
#[derive(Args)]
pub(super) struct DemoArgs {}
pub(super) async fn run(_args: DemoArgs, _global: &Global) -> Result<(), Failure> {
    Err(Failure::internal("demo"))
}
