//! A target that follows its source, as a user has it follow.

use std::time::Duration;

use super::{Output, Running, clone::KEY};

/// No step of a test takes longer, even where other tests hold the machine.
pub(crate) const FOLLOW_LIMIT: Duration = Duration::from_mins(5);

/// The `clone` verbs with one source, one target and one configuration.
pub(crate) struct Follow {
    pub(crate) dir: tempfile::TempDir,
    source_url: String,
    target_url: String,
    env: Vec<(String, String)>,
    /// Of `clone start`.
    config: Vec<String>,
}

impl Follow {
    pub(crate) fn new(source_url: &str, target_url: &str) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            source_url: source_url.to_owned(),
            target_url: target_url.to_owned(),
            env: vec![("BACKLOT_KEY".to_owned(), KEY.to_owned())],
            config: Vec::new(),
        }
    }

    /// With this transforms.yaml.
    pub(crate) fn config(mut self, text: &str) -> Self {
        let file = self.dir.path().join("transforms.yaml");
        std::fs::write(&file, text).unwrap();
        self.config = vec!["--config".to_owned(), file.to_str().unwrap().to_owned()];
        self
    }

    /// With these flags of `clone start`.
    pub(crate) fn start_flags(mut self, flags: &[&str]) -> Self {
        self.config.extend(flags.iter().map(|&flag| flag.to_owned()));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same follower by other ways to the same servers.
    pub(crate) fn through(mut self, source_url: &str, target_url: &str) -> Self {
        source_url.clone_into(&mut self.source_url);
        target_url.clone_into(&mut self.target_url);
        self
    }

    /// `clone start --follow=later`: to the end of the copy.
    pub(crate) fn start(&self) -> Output {
        self.begin("--follow=later").wait_within(FOLLOW_LIMIT)
    }

    /// `clone start` with this kind of `--follow`, running.
    pub(crate) fn begin(&self, follow: &str) -> Running {
        let config = self.config.iter().map(String::as_str).collect::<Vec<_>>();
        self.spawn("start", &[&[follow][..], &config].concat())
    }

    /// `clone stream`, running.
    pub(crate) fn stream(&self, more: &[&str]) -> Running {
        self.spawn("stream", more)
    }

    /// `clone stream --until-caught-up`, to its end.
    pub(crate) fn catch_up(&self) -> Output {
        self.run("stream", &["--until-caught-up"])
    }

    /// Any verb of `clone`, to its end.
    pub(crate) fn run(&self, verb: &str, more: &[&str]) -> Output {
        self.spawn(verb, more).wait_within(FOLLOW_LIMIT)
    }

    fn spawn(&self, verb: &str, more: &[&str]) -> Running {
        let both = ["--source-url", &self.source_url, "--target-url", &self.target_url];
        let args = [&["--json", "clone", verb][..], &both, more].concat();
        let args = args.into_iter().map(str::to_owned).collect::<Vec<_>>();
        Running::start(self.dir.path(), &args, &self.env)
    }
}
