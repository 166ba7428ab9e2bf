//! `--metrics`: the endpoint of a running stream.

use super::follower::now_us;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::observe::Exporter;
use crate::stream::Status;
use clap::Args;
use std::net::SocketAddr;
use std::sync::Arc;

#[derive(Args)]
pub(super) struct MetricsArgs {
    /// Serve metrics for Prometheus here while the stream runs (127.0.0.1:9187)
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
}

impl MetricsArgs {
    /// Serves `status` until the exporter is dropped; None if nobody asked for it.
    pub(super) async fn serve(
        &self,
        status: &Arc<Status>,
        is_quiet: bool,
    ) -> Result<Option<Exporter>, Failure> {
        let Some(address) = self.metrics else { return Ok(None) };
        let status = Arc::clone(status);
        let exporter = Exporter::start(address, move || status.exposition(now_us()))
            .await
            .map_err(|error| Failure::usage(format!("--metrics {address}: {error}")))?;
        tracing::info!(address = %exporter.address, "serving metrics");
        if !exporter.address.ip().is_loopback() && !is_quiet {
            output::say(&format!(
                "warning: metrics are served at {} without login and TLS",
                exporter.address
            ));
        }
        Ok(Some(exporter))
    }
}
