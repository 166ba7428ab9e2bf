//! Projects and branches, by the built program, on real servers.

mod consistency;
mod killed;
mod load;
mod loop_fs;
mod place;
mod pool;
pub(crate) mod rig;
mod scrubbed;
mod verbs;
