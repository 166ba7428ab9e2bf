//! New branches.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::Duration,
};

use secrecy::ExposeSecret;

use super::backend::{self, Backend};
use super::capture::{self, Captured, Method, Source};
use super::tree::{Job, Tree, Wal, give_away, links_outside, sync_filesystem};
use super::{
    BackendKind, Branch, BranchError, BranchState, Home, Lock, LockKind, Moment, Parent, Place,
    Rows, access, delete, port, scrub, seed, server, template,
};
use crate::instance::{Account, Binaries, Server};
use crate::project::{BranchFiles, Credentials, give_to_owner, new_password, random_bytes};

/// The database that every project begins with, and its role.
const DATABASE: &str = "app";
const USER: &str = crate::instance::SUPERUSER;
/// Reference 5.5: what has children sleeps late, others early.
const ROOT_SLEEP: Duration = Duration::from_mins(30);
const SLEEP: Duration = Duration::from_mins(5);
/// A plain copy of more than this is a mistake more often than a wish.
const COPY_LIMIT: u64 = 10 << 30;
/// …and so is one that takes more than this share of what is free.
const COPY_SHARE: u64 = 5;

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Request {
    pub name: String,
    /// Name or id of a branch that is ready.
    pub parent: String,
    pub backend: Option<BackendKind>,
    pub expires_at: Option<Moment>,
    pub protected: bool,
    /// A branch of this name is what was wanted.
    pub if_not_exists: bool,
    /// Copies of any size.
    pub allow_copy: bool,
}

/// What was made.
#[derive(Clone, Debug)]
pub struct Created {
    pub branch: Branch,
    /// It was there.
    pub existed: bool,
    pub subscriptions_disabled: u64,
    pub jobs_stopped: u64,
    /// Names of settings of the parent's database that our role may not give to the branch's.
    pub settings_left: Vec<String>,
}

/// A row that is being filled, and the lock that says that somebody lives who fills it.
pub(super) struct Reserved {
    pub(super) branch: Branch,
    pub(super) _lock: Lock,
}

/// Branches off a parent, where the parent lives. When it returns, the branch can be connected to.
///
/// # Errors
/// [`BranchError::Exists`], [`BranchError::None`] for the parent, [`BranchError::TooLarge`],
/// [`BranchError::InUse`], …; nothing is left of the branch then, and its parent runs as before.
pub fn create(home: &Home, request: &Request) -> Result<Created, BranchError> {
    super::is_branch_name(&request.name)?;
    let rows = home.catalog().read()?;
    if let Some(branch) = rows.branches.iter().find(|branch| branch.name == request.name) {
        return existing(branch, request);
    }
    let parent = rows.ready(&request.parent)?;
    match parent.place {
        Place::Own => create_own(home, request, parent),
        Place::Foreign { .. } => template::create(home, request, parent),
    }
}

fn create_own(home: &Home, request: &Request, parent: &Branch) -> Result<Created, BranchError> {
    let parent_data = home.state.branch(&parent.id).data;
    if let Some(what) = links_outside(&parent_data) {
        return Err(BranchError::Outside { name: parent.name.clone(), what });
    }
    let backend = backend::choose(home, &parent_data, request.backend)?;
    if backend.kind() == BackendKind::Copy && !request.allow_copy {
        check_size(&parent_data)?;
    }
    let reserved = reserve(home, Plan::of(home, request, parent, backend.kind()))?;
    let outcome = grow(home, parent, &reserved, backend);
    finish(home, &reserved, outcome)
}

/// Makes the first branch of a project: an empty database.
///
/// # Errors
/// As [`create`].
pub fn create_root(home: &Home, name: &str, binaries: &Binaries) -> Result<Created, BranchError> {
    super::is_branch_name(name)?;
    let seed = seed::seed(&home.cache, binaries, DATABASE)?;
    let backend = backend::best(home)?;
    let reserved = reserve(home, Plan::root(home, name, binaries, backend.kind()))?;
    let outcome = plant(home, &reserved, &seed, backend);
    finish(home, &reserved, outcome)
}

fn existing(branch: &Branch, request: &Request) -> Result<Created, BranchError> {
    if !request.if_not_exists {
        return Err(BranchError::Exists { name: branch.name.clone() });
    }
    if branch.state != BranchState::Ready {
        let (name, state) = (branch.name.clone(), branch.state.name());
        return Err(BranchError::NotReady { name, state });
    }
    Ok(Created {
        branch: branch.clone(),
        existed: true,
        subscriptions_disabled: 0,
        jobs_stopped: 0,
        settings_left: Vec::new(),
    })
}

/// What the row will say.
struct Plan {
    name: String,
    parent: Option<Parent>,
    backend: BackendKind,
    expires_at: Option<Moment>,
    protected: bool,
    now: Moment,
    postgres_version: String,
    major: u32,
    bin_dir: PathBuf,
    sleep_after: Duration,
    database: String,
    user: String,
    settings: BTreeMap<String, String>,
}

impl Plan {
    fn of(home: &Home, request: &Request, parent: &Branch, backend: BackendKind) -> Self {
        Self {
            name: request.name.clone(),
            parent: Some(Parent { id: parent.id.clone(), name: parent.name.clone() }),
            backend,
            expires_at: request.expires_at,
            protected: request.protected,
            now: home.now,
            postgres_version: parent.postgres_version.clone(),
            major: parent.major,
            bin_dir: parent.bin_dir.clone(),
            sleep_after: SLEEP,
            database: parent.database.clone(),
            user: parent.user.clone(),
            settings: server::inherited(&parent.settings),
        }
    }

    fn root(home: &Home, name: &str, binaries: &Binaries, backend: BackendKind) -> Self {
        Self {
            name: name.to_owned(),
            parent: None,
            backend,
            expires_at: None,
            protected: true,
            now: home.now,
            postgres_version: binaries.version.clone(),
            major: binaries.major,
            bin_dir: binaries.bin_dir.clone(),
            sleep_after: ROOT_SLEEP,
            database: DATABASE.to_owned(),
            user: USER.to_owned(),
            settings: BTreeMap::new(),
        }
    }

    fn branch(self, id: String, port: u16, socket_dir: PathBuf, verifier: String) -> Branch {
        Branch {
            id,
            name: self.name,
            parent: self.parent,
            state: BranchState::Creating,
            place: Place::Own,
            backend: self.backend,
            created_at: self.now,
            expires_at: self.expires_at,
            protected: self.protected,
            port,
            scram_verifier: verifier,
            postgres_version: self.postgres_version,
            major: self.major,
            bin_dir: self.bin_dir,
            socket_dir,
            sleep_after_seconds: Some(self.sleep_after.as_secs()),
            last_used_at: self.now,
            database: self.database,
            user: self.user,
            settings: self.settings,
            captured: None,
        }
    }
}

/// Directory, lock, row and password, in one step for everybody else.
fn reserve(home: &Home, plan: Plan) -> Result<Reserved, BranchError> {
    let id = hex::encode(random_bytes::<6>()?);
    let password = new_password()?;
    let verifier = postgres_protocol::password::scram_sha_256(password.expose_secret().as_bytes());
    let files = home.state.branch(&id);
    let socket = access::socket_dir(&files);
    // The account that runs the servers must be able to enter.
    let mode = if Account::for_cluster(&files.data)?.is_other() { 0o711 } else { 0o700 };
    home.catalog().change(|rows| {
        require_free(rows, &plan.name)?;
        let port = port::choose(&seed_of(home, &plan.name), &rows.ports())?;
        let lock = make_dir(&files, mode)?;
        let lock = lock.ok_or_else(|| BranchError::Exists { name: plan.name.clone() })?;
        Credentials::read(&home.state)?.set(&id, password)?;
        let branch = plan.branch(id, port, socket, verifier);
        rows.branches.push(branch.clone());
        Ok(Reserved { branch, _lock: lock })
    })
}

/// An id as a name would stand for two branches.
pub(super) fn require_free(rows: &Rows, name: &str) -> Result<(), BranchError> {
    if rows.branches.iter().any(|row| row.name == name || row.id == name) {
        return Err(BranchError::Exists { name: name.to_owned() });
    }
    Ok(())
}

/// The directory of a new branch, with its lock; None if somebody has that. Under the catalog's lock.
pub(super) fn make_dir(files: &BranchFiles, mode: u32) -> Result<Option<Lock>, BranchError> {
    DirBuilder::new()
        .mode(mode)
        .create(&files.dir)
        .map_err(BranchError::file("make", &files.dir))?;
    fs::File::open(&files.dir)
        .and_then(|dir| give_to_owner(&dir, &files.dir))
        .map_err(BranchError::file("give away", &files.dir))?;
    Lock::attempt(&files.lock, LockKind::Exclusive)
}

/// What filling a branch came to.
pub(super) struct Filled {
    pub(super) captured: Captured,
    pub(super) quieted: scrub::Quieted,
    pub(super) settings_left: Vec<String>,
}

fn grow(
    home: &Home,
    parent: &Branch,
    reserved: &Reserved,
    backend: &dyn Backend,
) -> Result<Filled, BranchError> {
    if backend.kind().shares_blocks()
        && let Ok(server) = server::open(home, parent)
    {
        capture::prepare(&server, parent);
    }
    let lock = home.state.branch(&parent.id).lock;
    let lock = Lock::wait(&lock, LockKind::Exclusive, &parent.name, server::LOCK_LIMIT)?;
    // Deleted while we waited?
    home.catalog().read()?.ready(&parent.id)?;
    let source = Source { branch: parent, server: server::open(home, parent)?, lock };
    let data = home.state.branch(&reserved.branch.id).data;
    let captured = capture::capture(source, backend, &data)?;
    // A tablespace that was made meanwhile: recovery of the copy would write into its parent's.
    let dirs = [home.state.branch(&parent.id).data, data.clone()];
    if let Some(what) = dirs.iter().find_map(|data| links_outside(data)) {
        return Err(BranchError::Outside { name: parent.name.clone(), what });
    }
    if captured.method == Method::Asleep || captured.method == Method::Stopped {
        // A clean start does not sync what it finds; recovery does.
        sync_filesystem(&data)?;
    }
    let mut server = start_closed(home, &reserved.branch)?;
    let quieted = scrub::quiet(&server, &reserved.branch)?;
    server.change_access(access::OPEN)?;
    Ok(Filled { captured, quieted, settings_left: Vec::new() })
}

fn plant(
    home: &Home,
    reserved: &Reserved,
    seed: &Path,
    backend: &dyn Backend,
) -> Result<Filled, BranchError> {
    let data = home.state.branch(&reserved.branch.id).data;
    let account = Account::for_cluster(seed)?;
    backend.make_data_dir(&data)?;
    let job = Job { account: &account, wal: Wal::All, may_go_on: &|| true, is_live: false };
    Tree::list(seed, &Wal::All)?.clone_to(seed, &data, backend::copy_file, &job)?;
    give_away(&data, &account)?;
    let mut server = start_closed(home, &reserved.branch)?;
    server.change_access(access::OPEN)?;
    let captured = Captured { method: Method::New, pause_ms: 0 };
    Ok(Filled { captured, quieted: scrub::Quieted::default(), settings_left: Vec::new() })
}

/// Starts the new server for nobody but us.
fn start_closed(home: &Home, branch: &Branch) -> Result<Server, BranchError> {
    let mut server = server::open_with(home, branch, access::CLOSED)?;
    server.start()?;
    Ok(server)
}

/// Projects of one name have other ports.
fn seed_of(home: &Home, name: &str) -> String {
    format!("{}/{name}", home.state.dir().display())
}

pub(super) fn finish(
    home: &Home,
    reserved: &Reserved,
    outcome: Result<Filled, BranchError>,
) -> Result<Created, BranchError> {
    let id = reserved.branch.id.clone();
    match outcome {
        Ok(Filled { captured, quieted, settings_left }) => {
            let branch = home.catalog().change(|rows| {
                let row = rows.by_id_mut(&id)?;
                row.state = BranchState::Ready;
                row.captured = Some(captured);
                Ok(row.clone())
            })?;
            Ok(Created {
                branch,
                existed: false,
                subscriptions_disabled: quieted.subscriptions,
                jobs_stopped: quieted.jobs,
                settings_left,
            })
        }
        Err(error) => {
            // The first error is what the user needs; what cannot be removed now, a sweep removes.
            if let Err(second) = delete::remove(home, &reserved.branch) {
                tracing::warn!(error = %second, "left-over of a branch that failed");
            }
            Err(error)
        }
    }
}

fn check_size(data: &Path) -> Result<(), BranchError> {
    let bytes = Tree::list(data, &Wal::None)?.bytes(data);
    let stat = rustix::fs::statvfs(data)
        .map_err(|error| BranchError::file("ask for the free space of", data)(error.into()))?;
    let limit = COPY_LIMIT.min(stat.f_bavail.saturating_mul(stat.f_frsize) / COPY_SHARE);
    if bytes > limit { Err(BranchError::TooLarge { bytes, limit }) } else { Ok(()) }
}
