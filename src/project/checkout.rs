//! The checked-out branch: what verbs act on unless told otherwise.

use std::{fs, io::ErrorKind};

use super::{Project, ProjectError, State, write_whole};

/// The id of the checked-out branch; None when none was chosen.
///
/// # Errors
/// [`ProjectError::File`].
pub fn checked_out(project: &Project) -> Result<Option<String>, ProjectError> {
    read(&project.state)
}

fn read(state: &State) -> Result<Option<String>, ProjectError> {
    let path = state.checked_out();
    match fs::read_to_string(&path) {
        Ok(id) => Ok(Some(id.trim().to_owned()).filter(|id| !id.is_empty())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ProjectError::file("read", path)(error)),
    }
}

/// Remembers the branch with this id.
///
/// # Errors
/// [`ProjectError::File`].
pub fn set_checked_out(project: &Project, id: &str) -> Result<(), ProjectError> {
    write_whole(&project.state.checked_out(), &format!("{id}\n"), 0o600)
}

/// Forgets the branch with this id, if it is the one: nothing is checked out that is not there.
///
/// # Errors
/// [`ProjectError::File`].
pub fn forget_checked_out(state: &State, id: &str) -> Result<(), ProjectError> {
    if read(state)?.is_some_and(|checked_out| checked_out == id) {
        write_whole(&state.checked_out(), "", 0o600)?;
    }
    Ok(())
}
