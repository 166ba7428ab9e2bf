//! TLS and authentication, on servers with certificates of their own.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

use backlot::{
    instance::{Binaries, Listen, Server, ServerOptions},
    pg::{ConnInfo, Error, Replication, Retry, Session, Wire},
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SignatureAlgorithm};

use crate::support::{
    Clone, Cluster, Database, binaries, database, database::block_on, own_cluster_with, servers,
    sql, try_query_strings,
};

const PASSWORD: &str = "p w'd";
const ENCODED_PASSWORD: &str = "p%20w%27d";
/// Reaches this machine's own servers, and is no address of the loopback network.
const NOT_LOCAL: &str = "0.0.0.0";

/// A certificate authority of a test.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    file: PathBuf,
    _dir: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let open = PermissionsExt::from_mode(0o755);
        fs::set_permissions(dir.path(), open).unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let file = dir.path().join("root.crt");
        fs::write(&file, params.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(params, key), file, _dir: dir }
    }

    /// Writes `server.crt` and `server.key` for these names and addresses.
    fn certify(&self, data_dir: &Path, names: &[&str], algorithm: &'static SignatureAlgorithm) {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let params = CertificateParams::new(names).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        write_owned(data_dir, "server.crt", &certificate.pem());
        write_owned(data_dir, "server.key", &key.serialize_pem());
    }
}

/// The server reads only files of its own account that nobody else can read.
fn write_owned(data_dir: &Path, name: &str, text: &str) {
    let file = data_dir.join(name);
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    let owner = fs::metadata(data_dir).unwrap();
    chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
}

fn options(ssl: &str) -> ServerOptions {
    // Chosen here: the cluster's socket has its name too.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listen = Listen::Loopback { port: Some(port), password: PASSWORD.to_owned().into() };
    ServerOptions { listen, ..ServerOptions::scratch() }.with("ssl", ssl)
}

/// The installations that can speak TLS: not every build can.
fn with_tls() -> impl Iterator<Item = &'static Binaries> {
    let major = servers().filter_map(|cluster| {
        let database = database(cluster, "tls");
        let library = try_query_strings(&database, "show ssl_library")?;
        (library != [[""]]).then_some(cluster.major)
    });
    let majors: Vec<u32> = major.collect();
    assert!(!majors.is_empty(), "no PostgreSQL with TLS: install Debian's");
    binaries().iter().filter(move |found| majors.contains(&found.major))
}

fn start(found: &Binaries, prepare: impl FnOnce(&Path)) -> (&'static Cluster, Server) {
    own_cluster_with(found, options("on"), prepare)
}

/// The server over TCP, as `user`, with these settings.
fn at(server: &Server, host: &str, user: &str, settings: &str) -> ConnInfo {
    let port = server.port();
    let url = format!(
        "postgres://{user}:{ENCODED_PASSWORD}@{host}:{port}/postgres?connect_timeout=20&{settings}"
    );
    ConnInfo::parse(&url).unwrap()
}

const SUPERUSER: &str = "postgres";
/// Whether TLS is used, as the server has it.
const IS_TLS: &str =
    "select ssl::text from pg_catalog.pg_stat_ssl where pid = pg_catalog.pg_backend_pid()";

/// Connects in each of our three ways; all must come to the same. True if by TLS.
#[track_caller]
fn connect(info: &ConnInfo) -> Result<bool, Error> {
    let is_tls = |rows: Vec<Vec<Option<String>>>| rows[0][0].as_deref() == Some("true");
    let wire = Wire::connect(info, "test").and_then(|mut wire| wire.simple(IS_TLS)).map(is_tls);
    let replication = Replication::connect(info, "test")
        .and_then(|mut replication| replication.simple(IS_TLS))
        .map(is_tls);
    let session = block_on(async {
        let session = Session::connect(info, "test").await?;
        let row = session.query_one(IS_TLS, &[]).await?;
        Ok::<bool, Error>(row.get::<_, String>(0) == "true")
    });
    let shape = |result: &Result<bool, Error>| match result {
        Ok(is_tls) => format!("connected, tls {is_tls}"),
        Err(error) => format!(
            "{:?} {} {:?} {:?}",
            error.sqlstate(),
            error.is_authentication(),
            error.retry(),
            std::mem::discriminant(error)
        ),
    };
    assert_eq!(shape(&wire), shape(&replication), "{wire:?}, {replication:?}");
    assert_eq!(shape(&wire), shape(&session), "{wire:?}, {session:?}");
    wire
}

#[track_caller]
fn assert_refused(info: &ConnInfo) {
    let error = connect(info).unwrap_err();
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
    assert_eq!(error.retry(), Retry::Never);
}

#[test]
fn a_certificate_is_trusted_as_far_as_sslmode_says() {
    for found in with_tls() {
        let (authority, other) = (Authority::new(), Authority::new());
        let (_, server) = start(found, |data_dir| {
            let names = ["localhost", "127.0.0.1"];
            authority.certify(data_dir, &names, &rcgen::PKCS_ECDSA_P256_SHA256);
        });
        let root = |authority: &Authority| format!("sslrootcert={}", authority.file.display());
        let info = |host: &str, mode: &str, root: &str| {
            at(&server, host, SUPERUSER, &format!("sslmode={mode}&{root}"))
        };
        let (ours, theirs) = (root(&authority), root(&other));
        for host in ["localhost", "127.0.0.1"] {
            assert!(connect(&info(host, "verify-full", &ours)).unwrap(), "by its name");
            assert!(connect(&info(host, "verify-ca", &ours)).unwrap());
            assert!(connect(&info(host, "require", "")).unwrap());
            assert!(connect(&info(host, "prefer", "")).unwrap());
            assert!(!connect(&info(host, "disable", "")).unwrap());
        }
        // An address that the certificate does not have.
        assert_refused(&info(NOT_LOCAL, "verify-full", &ours));
        assert!(connect(&info(NOT_LOCAL, "verify-ca", &ours)).unwrap());
        // Another authority, and the system's own, which knows nothing of ours.
        for mode in ["verify-full", "verify-ca", "require"] {
            assert_refused(&info("localhost", mode, &theirs));
        }
        let missing = info("localhost", "verify-full", "sslrootcert=/nowhere/root.crt");
        assert_refused(&missing);
    }
}

#[test]
fn a_certificate_for_another_name_is_refused_under_verify_full_only() {
    for found in with_tls() {
        let authority = Authority::new();
        let (_, server) = start(found, |data_dir| {
            authority.certify(data_dir, &["db.example"], &rcgen::PKCS_ECDSA_P256_SHA256);
        });
        let root = format!("sslrootcert={}", authority.file.display());
        let info = |host: &str, mode: &str| {
            at(&server, host, SUPERUSER, &format!("sslmode={mode}&{root}"))
        };
        for host in ["localhost", "127.0.0.1"] {
            assert_refused(&info(host, "verify-full"));
            assert!(connect(&info(host, "verify-ca")).unwrap());
        }
    }
}

#[test]
fn scram_is_bound_to_the_tls_connection() {
    for found in with_tls() {
        for algorithm in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ECDSA_P384_SHA384] {
            let authority = Authority::new();
            let (_, server) = start(found, |data_dir| {
                authority.certify(data_dir, &["localhost"], algorithm);
            });
            let info = |settings: &str| at(&server, "localhost", SUPERUSER, settings);
            // The server checks the binding: a wrong one would be refused.
            assert!(connect(&info("sslmode=require&channel_binding=require")).unwrap());
            assert!(connect(&info("sslmode=require&channel_binding=disable")).unwrap());
            let unbound = connect(&info("sslmode=disable&channel_binding=require")).unwrap_err();
            assert!(unbound.is_authentication(), "{unbound:?}");
            let mut wrong = info("sslmode=require");
            wrong.password = Some("not it".to_owned().into());
            let error = connect(&wrong).unwrap_err();
            assert_eq!(error.sqlstate(), Some("28P01"));
        }
    }
}

#[test]
fn older_methods_work_where_nothing_forbids_them() {
    for found in with_tls() {
        let authority = Authority::new();
        let (cluster, server) = start(found, |data_dir| {
            authority.certify(data_dir, &["localhost"], &rcgen::PKCS_ECDSA_P256_SHA256);
            let access = "local all all trust\n\
                host all,replication md5_user all md5\n\
                host all,replication plain_user all password\n\
                host all,replication trusted_user all trust\n\
                hostnossl all,replication tls_user all reject\n\
                hostssl all,replication tls_user all scram-sha-256\n";
            write_owned(data_dir, "pg_hba.conf", access);
        });
        let database = database(cluster, "methods");
        let quoted = PASSWORD.replace('\'', "''");
        sql(
            &database,
            &format!(
                "set password_encryption = 'md5'; create role md5_user login replication password '{quoted}';
                 set password_encryption = 'scram-sha-256';
                 create role plain_user login replication password '{quoted}';
                 create role trusted_user login replication;
                 create role tls_user login replication password '{quoted}';"
            ),
        );
        for user in ["md5_user", "plain_user", "trusted_user"] {
            for mode in ["disable", "require"] {
                let info =
                    |more: &str| at(&server, "localhost", user, &format!("sslmode={mode}{more}"));
                assert_eq!(connect(&info("")).unwrap(), mode == "require", "{user}");
                // None of them is bound to anything.
                let error = connect(&info("&channel_binding=require")).unwrap_err();
                assert!(error.is_authentication(), "{user}: {error:?}");
            }
        }
        assert!(connect(&at(&server, "localhost", "tls_user", "")).unwrap());
        let plain = connect(&at(&server, "localhost", "tls_user", "sslmode=disable")).unwrap_err();
        assert_eq!(plain.sqlstate(), Some("28000"));
        let mut without = at(&server, "localhost", "md5_user", "");
        without.password = None;
        let wire = Wire::connect(&without, "test").err().unwrap();
        assert!(wire.is_authentication() && wire.to_string().contains("has none"), "{wire}");
    }
}

#[test]
fn raw_rows_do_not_leave_the_machine_in_plain_text_unless_the_url_says_so() {
    for found in binaries() {
        let (cluster, server) = own_cluster_with(found, options("off"), |_| {});
        let source =
            |host: &str, settings: &str| at(&server, host, SUPERUSER, settings).for_raw_rows();
        for settings in ["", "sslmode=prefer", "sslmode=require", "sslmode=verify-full"] {
            let error = connect(&source(NOT_LOCAL, settings)).unwrap_err();
            assert!(matches!(error, Error::NoTls { .. }), "{settings}: {error:?}");
            assert_eq!(error.retry(), Retry::Never);
        }
        assert!(!connect(&source(NOT_LOCAL, "sslmode=disable")).unwrap());
        assert!(!connect(&source("127.0.0.1", "")).unwrap());

        let database = database(cluster, "plain_text");
        sql(&database, "create table t (a int); insert into t values (1)");
        assert_clone_refuses(&server, &database);
    }
}

fn assert_clone_refuses(server: &Server, source: &Database) {
    let target = database(source.cluster, "plain_target");
    let url = |settings: &str| {
        let (port, name) = (server.port(), &source.name);
        format!("postgres://{SUPERUSER}:{ENCODED_PASSWORD}@{NOT_LOCAL}:{port}/{name}{settings}")
    };
    let refused = Clone::new(&url(""), &target.url).keep_all().run();
    assert_eq!(refused.code, Some(7), "{}", refused.stderr);
    let said = format!("{}{}", refused.stdout, refused.stderr);
    assert!(said.contains("has no TLS") && said.contains("add sslmode=disable"), "{said}");
    let done = Clone::new(&url("?sslmode=disable"), &target.url).keep_all().run();
    assert_eq!(done.code, Some(0), "{}", done.stderr);
}
