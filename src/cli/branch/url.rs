//! `backlot branch url`

use super::EnvFile;
use crate::cli::failure::Failure;
use crate::cli::roll::versioned;
use crate::cli::{Global, output, project, proxy};
use clap::Args;
use secrecy::ExposeSecret;
use serde_json::json;

#[derive(Args)]
pub(super) struct UrlArgs {
    /// Name or id [default: the checked-out branch]
    name: Option<String>,
    /// A URL whose sessions see one version of the schema: latest, or the version of a migration
    #[arg(long, value_name = "VERSION")]
    schema: Option<String>,
    #[command(flatten)]
    env_file: EnvFile,
}

pub(super) async fn run(args: UrlArgs, global: &Global) -> Result<(), Failure> {
    let (project, home) = project::opened(global).await?;
    let branch = project::ready_branch(&project, &home, args.name.as_deref())?;
    // What is printed can be used.
    proxy::reach(&project, &home, &branch).await?;
    let mut url = project::url(&home, &branch)?;
    if let Some(version) = &args.schema {
        url = versioned(url.expose_secret(), version).await?.into();
    }
    if args.env_file.write(&url)? {
        args.env_file.say(global);
        return if global.json {
            output::json(&json!({"branch": branch.name, "env_file": args.env_file.path()}))
        } else {
            Ok(())
        };
    }
    if global.json {
        return output::json(&json!({"branch": branch.name, "url": url.expose_secret()}));
    }
    output::line(url.expose_secret())
}
