//! Where projects of tests lie: one place for each backend that works here.

use super::loop_fs::LoopFs;
use super::rig::Project;
use backlot::instance::Binaries;
use std::path::PathBuf;

/// A backend, and a filesystem on which it works.
pub(super) struct Ground {
    pub(super) backend: &'static str,
    fs: Option<LoopFs>,
}

impl Ground {
    /// Every backend that can be had here.
    pub(super) fn all() -> Vec<Self> {
        let loops = [("subvolume", "btrfs"), ("reflink", "xfs")];
        let loops = loops
            .into_iter()
            .filter_map(|(backend, kind)| Some(Self { backend, fs: Some(LoopFs::mount(kind)?) }));
        loops.chain([Self { backend: "copy", fs: None }]).collect()
    }

    fn path(&self) -> PathBuf {
        self.fs.as_ref().map_or_else(std::env::temp_dir, LoopFs::path)
    }

    /// A project there; `main` runs.
    pub(super) fn project(&self, binaries: &Binaries) -> Project {
        let project = Project::empty(binaries, &self.path());
        project.run(&["init", "--name", "test"]).expect_code(0);
        project
    }

    /// Arguments of `branch create`.
    pub(super) fn create<'a>(&self, name: &'a str) -> Vec<&'a str> {
        vec!["branch", "create", "--name", name, "--backend", self.backend]
    }
}
