//! A copy through the backup API, while the parent goes on.
//!
//! `backup_label` makes recovery begin where the backup began and go on to where it ended, so
//! that files that changed meanwhile are mended from the WAL, all of which is copied afterwards.
//! A temporary physical slot keeps that WAL on the parent; it ends with the session.
//! <https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-LOWLEVEL-BASE-BACKUP>

use std::path::Path;

use super::{Source, always};
use crate::branch::backend::{Backend, copy_file};
use crate::branch::tree::{Job, Wal, clone_one};
use crate::branch::{BranchError, server};
use crate::instance::write_private;

pub(super) fn backup(
    parent: &Source,
    backend: &dyn Backend,
    target: &Path,
) -> Result<(), BranchError> {
    let (name, data) = (&parent.branch.name, parent.server.data_dir());
    let mut session = server::any_session(&parent.server, parent.branch)?;
    let slot = format!("backlot_branch_{}", std::process::id());
    let keep =
        format!("select pg_catalog.pg_create_physical_replication_slot('{slot}', true, true)");
    session.simple(&keep).map_err(BranchError::sql("keep WAL for a backup", name))?;
    let (start, stop) = if parent.branch.major >= 15 {
        ("pg_backup_start('backlot branch', true)", "pg_backup_stop(false)")
    } else {
        ("pg_start_backup('backlot branch', true, false)", "pg_stop_backup(false, false)")
    };
    let begin = format!("select pg_catalog.pg_walfile_name(pg_catalog.{start})");
    let first = session.column(&begin).map_err(BranchError::sql("begin a backup", name))?;
    let first = first.into_iter().next().unwrap_or_default();
    let job =
        |wal| Job { account: parent.server.account(), wal, may_go_on: &always, is_live: true };
    backend.clone_data(data, target, &job(Wal::None))?;
    let end = format!("select pg_catalog.pg_walfile_name(lsn), labelfile from pg_catalog.{stop}");
    let rows = session.simple(&end).map_err(BranchError::sql("end a backup", name))?;
    let row = rows.into_iter().next().unwrap_or_default();
    let [Some(last), Some(label)] = row.as_slice() else {
        return Err(lost("what the server says of the end of a backup is not understood"));
    };
    copy_segments(data, target, &first, last, &job(Wal::All))?;
    Ok(write_private(&target.join("backup_label"), label, parent.server.account())?)
}

/// The segments from `first` to `last`: both of one timeline, so that their names are ordered as
/// they are.
fn copy_segments(
    data: &Path,
    target: &Path,
    first: &str,
    last: &str,
    job: &Job,
) -> Result<(), BranchError> {
    let wal = data.join("pg_wal");
    let mut names: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(&wal).map_err(BranchError::file("list", &wal))? {
        let entry = entry.map_err(BranchError::file("list", &wal))?;
        names.extend(entry.file_name().into_string().ok());
    }
    names.retain(|name| name.len() == first.len() && (first..=last).contains(&name.as_str()));
    for end in [first, last] {
        if !names.iter().any(|name| name == end) {
            return Err(lost("the parent has removed WAL that its backup needs"));
        }
    }
    for name in names {
        clone_one(&wal.join(&name), &target.join("pg_wal").join(&name), copy_file, job)?;
    }
    Ok(())
}

fn lost(reason: &str) -> BranchError {
    BranchError::Tool { program: "the backup API", output: reason.to_owned() }
}
