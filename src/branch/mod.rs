//! Branches: independent copies of a server of ours, made in an instant where the filesystem can.
//!
//! [`create`] makes one of a parent that may be running: a `backend` clones the data directory,
//! `capture` sees to it that the copy is of one moment, `scrub` that it never speaks to what
//! its parent spoke to. A branch never changes its parent, and once made it does not need it.
//!
//! What there is stands in the `catalog`, one document that is replaced whole. Whoever dies half-way leaves a
//! row that is not `ready` and a lock that the kernel released: the next command of anybody
//! clears it away. Where the server is not ours, a branch is a database of it (`template`), and the row says
//! so. Blocking throughout, as `instance`; nothing here reads the environment.

mod access;
mod backend;
mod capture;
mod catalog;
mod control_data;
mod create;
mod delete;
mod error;
mod foreign;
mod gc;
mod home;
mod lock;
mod moment;
mod name;
mod observe;
mod pool;
mod port;
mod row;
mod scrub;
mod seed;
mod server;
mod settings;
mod template;
mod tree;

pub use access::{LOOPBACK, SOCKET_NAME, address, host, socket_url, tcp_url};
pub use backend::BackendKind;
pub use capture::{Captured, Method};
pub use catalog::{Catalog, Rows};
pub use create::{Created, Request, create, create_root};
pub use delete::{Swept, delete, is_abandoned, require_deletable, sweep};
pub use error::{BranchError, Use};
pub use foreign::{
    Database, ForeignServer, Version, foreign_answers, foreign_database, foreign_url, require_here,
    require_own, set_server_password, version_of,
};
pub use gc::{Collected, Garbage, collect, find_garbage};
pub use home::Home;
pub use lock::{Lock, LockKind};
pub use moment::Moment;
pub use name::is_branch_name;
pub use observe::{Activity, Sessions, activity, disk_bytes, exclusive_bytes};
pub use pool::{
    Pool, SMALLEST as SMALLEST_POOL, create_pool, mount as mount_pool, pool, require_mounted,
};
pub use row::{Branch, BranchState, Parent, Place};
pub use server::{HOUSEKEEPING, answers, is_running, open, stop, wake};
pub use settings::{Change, change, rotate_password};
pub use template::{adopt, require_made};
