//! `backlot auth …`: tokens for a team's server. A project of this machine needs none.

use super::failure::Failure;
use super::{Global, environment, output, project};
use crate::branch::BranchError;
use crate::project::Tokens;
use clap::{Args, Subcommand};
use secrecy::SecretString;
use serde_json::json;
use std::io::{IsTerminal, Read};

#[derive(Subcommand)]
pub(super) enum AuthVerb {
    /// Keep a token for a team's server; it is asked for, or read from standard input
    Login(ServerArg),
    /// Show whether there is a token
    Status(ServerArg),
    /// Forget the token
    Logout(ServerArg),
}

#[derive(Args)]
pub(super) struct ServerArg {
    /// The server [default: the project's]
    #[arg(long, value_name = "URL")]
    server: Option<String>,
}

/// A token of more bytes is something else.
const TOKEN_LIMIT: u64 = 16 * 1024;

pub(super) fn run(verb: &AuthVerb, global: &Global) -> Result<(), Failure> {
    let given = match verb {
        AuthVerb::Login(arg) | AuthVerb::Status(arg) | AuthVerb::Logout(arg) => arg.server.clone(),
    };
    let Some(server) = server(given, global)? else { return local(global) };
    let path = environment::tokens_file();
    let mut tokens = Tokens::read(&path).map_err(BranchError::from)?;
    let is_logged_in = match verb {
        AuthVerb::Login(_) => {
            let token = tokio::task::block_in_place(|| token(&server))?;
            tokens.set(&server, token).map_err(BranchError::from)?;
            true
        }
        AuthVerb::Logout(_) => {
            tokens.remove(&server).map_err(BranchError::from)?;
            false
        }
        AuthVerb::Status(_) if !tokens.has(&server) => {
            return Err(Failure::privileges(format!("not logged in to {server}"))
                .hint("`backlot auth login` keeps a token"));
        }
        AuthVerb::Status(_) => true,
    };
    if global.json {
        return output::json(&json!({
            "mode": "team", "server": server, "is_logged_in": is_logged_in,
        }));
    }
    let is = if is_logged_in { "logged in to" } else { "logged out of" };
    output::line(&format!("{is} {server}"))
}

/// None for a project of this machine.
fn server(given: Option<String>, global: &Global) -> Result<Option<String>, Failure> {
    if given.is_some() {
        return Ok(given);
    }
    Ok(project::find(global)?.file.server)
}

fn local(global: &Global) -> Result<(), Failure> {
    if global.json {
        return output::json(&json!({"mode": "local", "server": null, "is_logged_in": null}));
    }
    output::line("this project is on this machine only: no login is needed")
}

/// Never from an argument: others can see those.
fn token(server: &str) -> Result<SecretString, Failure> {
    let stdin = std::io::stdin();
    let mut text = String::new();
    let read = if stdin.is_terminal() {
        output::say(&format!("token for {server}:"));
        let hidden = Hidden::new();
        let read = stdin.read_line(&mut text);
        drop(hidden);
        read
    } else {
        stdin.take(TOKEN_LIMIT).read_to_string(&mut text)
    };
    read.map_err(|error| Failure::usage(format!("read the token: {error}")))?;
    let token = text.trim();
    if token.is_empty() || token.contains(char::is_whitespace) {
        return Err(Failure::usage("no token came by standard input")
            .hint("`backlot auth login < FILE`, or type it when asked"));
    }
    Ok(SecretString::from(token))
}

/// While it lives, the terminal does not show what is typed.
struct Hidden(Option<rustix::termios::Termios>);

impl Hidden {
    fn new() -> Self {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let stdin = std::io::stdin();
        let Ok(before) = tcgetattr(&stdin) else { return Self(None) };
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        match tcsetattr(&stdin, OptionalActions::Now, &silent) {
            Ok(()) => Self(Some(before)),
            Err(_) => Self(None),
        }
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        if let Some(before) = &self.0 {
            // A terminal that is gone needs no echo.
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}
