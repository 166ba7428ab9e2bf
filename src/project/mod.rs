//! A project: a folder that is linked to servers of its own.
//!
//! `.backlot/project.yaml` is for everybody who works in the folder and is committed; everything
//! else below `.backlot` is this machine's and git-ignored. Passwords and tokens lie in files of
//! mode 0600. Nothing here starts a server or reads the environment.

mod checkout;
mod credentials;
mod env_file;
mod error;
mod file;
mod find;
mod private;
mod state;
mod tokens;

pub use checkout::{checked_out, forget_checked_out, set_checked_out};
pub use credentials::{Credentials, new_password};
pub use env_file::write_variable;
pub use error::ProjectError;
pub use file::{ProjectFile, is_project_name};
pub use find::{FOLDER, Project};
pub use private::{give_to_owner, random_bytes, write_whole};
pub use state::{BranchFiles, State};
pub use tokens::Tokens;
