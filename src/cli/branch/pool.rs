//! `backlot branch pool …`

use crate::branch::{self, Pool};
use crate::cli::failure::Failure;
use crate::cli::project::{self, blocking};
use crate::cli::{Global, output};
use clap::{Args, Subcommand};
use serde_json::json;

#[derive(Subcommand)]
pub(super) enum PoolVerb {
    /// Make a btrfs filesystem in a file and move the branches into it (as root, once)
    Create(CreateArgs),
    /// Mount it after a restart of the machine (as root)
    Mount,
    /// Show it
    Status,
}

#[derive(Args)]
pub(super) struct CreateArgs {
    /// The most that it can hold: 20G, 500M; it takes what is used
    #[arg(long, value_name = "SIZE", default_value = "20G", value_parser = size)]
    size: u64,
}

pub(super) async fn run(verb: PoolVerb, global: &Global) -> Result<(), Failure> {
    let (_, home) = match verb {
        // Before it is mounted there are no directories, and nothing may be cleared away.
        PoolVerb::Mount | PoolVerb::Status => {
            let project = project::find(global)?;
            let home = project::home(&project);
            (project, home)
        }
        PoolVerb::Create(_) => project::opened(global).await?,
    };
    if home.foreign.is_some() {
        return Err(Failure::refused(
            "a pool is for data directories, and the project's server is not backlot's",
        )
        .hint("its branches are databases of that server"));
    }
    let pool = blocking(move || match verb {
        PoolVerb::Create(args) => branch::create_pool(&home, args.size).map(Some),
        PoolVerb::Mount => {
            branch::mount_pool(&home)?;
            branch::pool(&home)
        }
        PoolVerb::Status => branch::pool(&home),
    })
    .await?;
    if global.json {
        let document = pool.as_ref().map(|pool| {
            json!({
                "image": pool.image, "is_mounted": pool.is_mounted,
                "size_bytes": pool.size_bytes, "used_bytes": pool.used_bytes,
            })
        });
        return output::json(&json!({ "pool": document }));
    }
    match pool {
        None => output::line("no pool: branches are where the project is"),
        Some(Pool { image, is_mounted, size_bytes, used_bytes }) => output::line(&format!(
            "{}: {} of {} used, {}",
            image.display(),
            output::bytes(used_bytes),
            output::bytes(size_bytes),
            if is_mounted { "mounted" } else { "not mounted" }
        )),
    }
}

fn size(text: &str) -> Result<u64, String> {
    let (digits, shift) = match text.strip_suffix(['M', 'G', 'T']) {
        Some(digits) if text.ends_with('M') => (digits, 20),
        Some(digits) if text.ends_with('G') => (digits, 30),
        Some(digits) => (digits, 40),
        None => (text, 0),
    };
    let count: u64 = digits.parse().map_err(|_| "write it as 500M or 20G".to_owned())?;
    match count.checked_mul(1 << shift) {
        Some(bytes) if bytes >= branch::SMALLEST_POOL => Ok(bytes),
        _ => Err("at least 256M".to_owned()),
    }
}
