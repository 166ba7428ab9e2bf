//! The control plane: catalog queries, DDL and snapshots over tokio-postgres.

use crate::pg::{ChannelBinding, ConnInfo, Error, SslMode, tls};
use futures_util::future::join_all;
use secrecy::ExposeSecret;
use std::ops::Deref;
use std::time::Duration;
use tokio_postgres::{Client, Config, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Settings of every session, on both ends: text forms do not depend on the server's
/// configuration, nothing is looked up by `search_path`, and `row_security = off` turns a
/// policy that would silently hide rows into an error.
pub(crate) const PINNED: &[(&str, &str)] = &[
    ("search_path", ""),
    ("DateStyle", "ISO"),
    ("IntervalStyle", "postgres"),
    ("TimeZone", "UTC"),
    ("extra_float_digits", "3"),
    ("bytea_output", "hex"),
    // money in text depends on it: the same on both ends.
    ("lc_monetary", "C"),
    // Off, NULL in an array's text would be the word.
    ("array_nulls", "on"),
    ("client_encoding", "UTF8"),
    ("standard_conforming_strings", "on"),
    ("xmloption", "content"),
    ("row_security", "off"),
    ("statement_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("client_min_messages", "warning"),
    // To compile a query of the catalogs takes longer than to run it.
    ("jit", "off"),
];

/// Of limits that not every server has (they came with PostgreSQL 14 and 17): a session that holds a
/// lock or a snapshot may be idle for hours, and a copy, a build or a backfill takes its time.
pub(crate) const UNLIMITED: &str = "select pg_catalog.set_config(name, '0', false) \
     from pg_catalog.unnest(array['idle_session_timeout', 'transaction_timeout']) name \
     where pg_catalog.current_setting(name, true) is not null;";

/// Longest wait for a lock on either server: we queue behind nobody, so nobody queues behind us.
pub(crate) const LOCK_TIMEOUT: &str = "5s";

/// A tokio-postgres client whose connection task lives as long as it does.
#[derive(Debug)]
pub struct Session {
    client: Client,
    connection: tokio::task::JoinHandle<()>,
}

impl Session {
    pub async fn connect(info: &ConnInfo, application_name: &str) -> Result<Self, Error> {
        let mut config = Config::new();
        config
            .port(info.port)
            .user(&info.user)
            .dbname(&info.dbname)
            .application_name(application_name)
            .connect_timeout(Duration::from_secs(info.connect_timeout_s))
            .tcp_user_timeout(Duration::from_mins(1))
            .keepalives_idle(Duration::from_secs(30))
            .channel_binding(match info.channel_binding {
                ChannelBinding::Disable => tokio_postgres::config::ChannelBinding::Disable,
                ChannelBinding::Prefer => tokio_postgres::config::ChannelBinding::Prefer,
                ChannelBinding::Require => tokio_postgres::config::ChannelBinding::Require,
            })
            .ssl_mode(match info.sslmode {
                SslMode::Disable => tokio_postgres::config::SslMode::Disable,
                SslMode::Prefer => tokio_postgres::config::SslMode::Prefer,
                SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => {
                    tokio_postgres::config::SslMode::Require
                }
            });
        if info.is_unix_socket() {
            config.host_path(&info.host).ssl_mode(tokio_postgres::config::SslMode::Disable);
        } else {
            config.host(&info.host);
        }
        if let Some(password) = &info.password {
            config.password(password.expose_secret());
        }
        let tls = MakeRustlsConnect::new(tls::client_config(info)?);
        let (client, connection) =
            config.connect(tls).await.map_err(|error| refused(info, error))?;
        // The task ends with the client; what it reports, the client's next call reports too.
        let connection = tokio::spawn(async move { drop(connection.await) });
        let session = Self { client, connection };
        session.batch_execute(&pin_statement()).await?;
        Ok(session)
    }

    /// Runs statements that return nothing.
    pub async fn execute_all(&self, sql: &str) -> Result<(), Error> {
        Ok(self.client.batch_execute(sql).await?)
    }

    /// The rows of each of `queries`, asked at once: of a server far away, each answer takes a
    /// round trip.
    ///
    /// In a transaction, the first query that fails makes the others fail with 25P02, whichever
    /// answer is looked at first: the error is that of the query that failed of itself.
    pub async fn query_at_once<const N: usize>(
        &self,
        queries: [&str; N],
    ) -> Result<[Vec<Row>; N], Error> {
        let answers = join_all(queries.map(|query| self.client.query(query, &[]))).await;
        let mut rows = [const { Vec::new() }; N];
        let mut failed = None::<Error>;
        for (place, answer) in rows.iter_mut().zip(answers) {
            match answer {
                Ok(answer) => *place = answer,
                Err(error) => {
                    let error = Error::from(error);
                    if failed.as_ref().is_none_or(Error::is_aftermath) {
                        failed = Some(error);
                    }
                }
            }
        }
        failed.map_or(Ok(rows), Err)
    }
}

/// A refused connection names the server it was meant for.
fn refused(info: &ConnInfo, error: tokio_postgres::Error) -> Error {
    // The library's kinds are private: what it prints is all there is.
    if error.to_string().starts_with("error performing TLS handshake") {
        let no_tls = Error::NoTls { host: info.host.clone() };
        let Some(source) = error.into_source() else { return no_tls };
        return match source.downcast::<std::io::Error>() {
            Ok(source) => tls::handshake_error(info, *source),
            // The socket and rustls are well: the server answered that it has no TLS.
            Err(_) => no_tls,
        };
    }
    match Error::from(error) {
        Error::Io { source, .. } => Error::io(format!("connect to {info}"), source),
        other @ (Error::Server(_)
        | Error::Tls { .. }
        | Error::NoTls { .. }
        | Error::Authentication(_)
        | Error::Protocol(_)
        | Error::Timeout { .. }
        | Error::Url(_)) => other,
    }
}

pub(crate) fn pin_statement() -> String {
    let mut sql = String::new();
    for (name, value) in PINNED {
        sql.extend(["set ", name, " = '", value, "';"]);
    }
    sql.extend(["set lock_timeout = '", LOCK_TIMEOUT, "';", UNLIMITED]);
    sql
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
