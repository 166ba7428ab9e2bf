//! Plans of migrations, run as they are written on real servers, without the executor: what the
//! two versions see and write in between, and what is left in the catalogs.

mod faithful;
mod operations;
mod partitioned;
mod run;
mod sync;
