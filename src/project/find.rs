//! Which project a command is about.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use super::{ProjectError, ProjectFile, State, write_whole};

/// In the folder of a project.
pub const FOLDER: &str = ".backlot";
const FILE: &str = "project.yaml";
/// Everything is this machine's but these.
const IGNORED: &str = "*\n!.gitignore\n!project.yaml\n";

/// A folder with a project file.
#[derive(Clone, Debug)]
pub struct Project {
    /// Canonical.
    pub folder: PathBuf,
    pub file: ProjectFile,
    pub state: State,
}

impl Project {
    /// The project of `folder`, or of the nearest folder above it that has one.
    ///
    /// # Errors
    /// [`ProjectError::None`], [`ProjectError::Invalid`].
    pub fn find(folder: &Path) -> Result<Self, ProjectError> {
        let canonical = folder.canonicalize().map_err(ProjectError::file("find", folder))?;
        let holds = |dir: &&Path| dir.join(FOLDER).join(FILE).is_file();
        match canonical.ancestors().find(holds) {
            Some(dir) => Self::open(dir),
            None => Err(ProjectError::None { folder: canonical }),
        }
    }

    /// The project of this very folder.
    ///
    /// # Errors
    /// As [`Project::find`].
    pub fn open(folder: &Path) -> Result<Self, ProjectError> {
        let folder = folder.canonicalize().map_err(ProjectError::file("find", folder))?;
        let own = folder.join(FOLDER);
        if !own.join(FILE).is_file() {
            return Err(ProjectError::None { folder });
        }
        let file = ProjectFile::read(&own.join(FILE))?;
        Ok(Self { file, state: State::new(own.join("state")), folder })
    }

    /// Makes the folder's project file. `is_shared`: another account must be able to enter the
    /// state directory, because servers run as it.
    ///
    /// # Errors
    /// [`ProjectError::File`], [`ProjectError::BadName`].
    pub fn create(
        folder: &Path,
        file: &ProjectFile,
        is_shared: bool,
    ) -> Result<Self, ProjectError> {
        super::is_project_name(&file.name)?;
        let folder = folder.canonicalize().map_err(ProjectError::file("find", folder))?;
        let own = folder.join(FOLDER);
        make_dir(&own, 0o755)?;
        write_whole(&own.join(".gitignore"), IGNORED, 0o644)?;
        let project = Self { file: file.clone(), state: State::new(own.join("state")), folder };
        project.make_state(is_shared)?;
        file.write(&own.join(FILE))?;
        Ok(project)
    }

    /// Makes the directories of this machine: a project that was cloned by git has none.
    ///
    /// # Errors
    /// [`ProjectError::File`].
    pub fn make_state(&self, is_shared: bool) -> Result<(), ProjectError> {
        let mode = if is_shared { 0o711 } else { 0o700 };
        make_dir(self.state.dir(), mode)?;
        make_dir(&self.state.branches(), mode)
    }

    pub fn file_path(&self) -> PathBuf {
        self.folder.join(FOLDER).join(FILE)
    }
}

fn make_dir(path: &Path, mode: u32) -> Result<(), ProjectError> {
    match fs::DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            // A key that was made before the project closed the folder to other accounts.
            let permissions = fs::Permissions::from_mode(mode);
            fs::set_permissions(path, permissions).map_err(ProjectError::file("open", path))
        }
        other => other.map_err(ProjectError::file("make", path)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Project, ProjectError, ProjectFile};

    #[test]
    fn a_project_is_found_from_below_and_not_from_beside() {
        let dir = tempfile::tempdir().unwrap();
        let (home, below) = (dir.path().join("shop"), dir.path().join("shop/src/deep"));
        std::fs::create_dir_all(&below).unwrap();
        std::fs::create_dir_all(dir.path().join("other")).unwrap();
        let file = ProjectFile {
            name: "shop".into(),
            postgres: 15,
            default_branch: "main".into(),
            server: None,
            foreign_server: None,
        };
        Project::create(&home, &file, false).unwrap();
        let found = Project::find(&below).unwrap();
        assert_eq!(found.folder, home.canonicalize().unwrap());
        let beside = Project::find(&dir.path().join("other")).unwrap_err();
        assert!(matches!(beside, ProjectError::None { .. }), "{beside}");
    }
}
