//! Projects and branches, by the built program, on real servers.

mod consistency;
mod folder;
mod killed;
mod load;
mod loop_fs;
mod lost;
mod place;
mod pool;
pub(crate) mod rig;
mod scrubbed;
mod template;
mod verbs;
