//! `backlot stop`

use super::failure::Failure;
use super::project::{self, blocking};
use super::{Global, output};
use crate::branch::{self, Branch, BranchState};
use crate::proxy;
use serde_json::json;

pub(super) async fn run(global: &Global) -> Result<(), Failure> {
    let (_, home) = project::opened(global).await?;
    // First: its clients would wake what is stopped.
    let has_stopped = {
        let home = home.clone();
        blocking(move || Ok(proxy::stop(&home))).await??
    };
    let stopped = blocking(move || {
        let is_ready = |branch: &Branch| branch.state == BranchState::Ready;
        let mut stopped = Vec::new();
        for branch in home.catalog().read()?.branches.into_iter().filter(is_ready) {
            // Broken ones have no server.
            if branch::is_running(&home, &branch) && branch::stop(&home, &branch)? {
                stopped.push(branch.name);
            }
        }
        Ok(stopped)
    })
    .await?;
    if global.json {
        return output::json(&json!({"stopped": stopped, "proxy": has_stopped}));
    }
    if stopped.is_empty() && !has_stopped {
        return output::line("nothing was running");
    }
    if has_stopped {
        output::line("stopped the proxy")?;
    }
    stopped.iter().try_for_each(|name| output::line(&format!("stopped {name}")))
}
