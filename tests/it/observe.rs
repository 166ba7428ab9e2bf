//! No filter makes a driver write row values to the log.

use std::{
    io::Write,
    sync::{Arc, Mutex},
};

use backlot::observe::{LogFormat, subscriber};
use tracing_subscriber::util::SubscriberInitExt;

use crate::support::{database::connect, servers};

const SECRET: &str = "jane.roe@hospital.example";

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Captured {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// Sends a parameter through the real driver on this thread, whose subscriber is the default.
fn send_secret() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = connect(&servers().next().unwrap().url("postgres")).await.unwrap();
        let row = client.query_one("select $1::text", &[&SECRET]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), SECRET);
    });
    tracing::trace!(target: "backlot::clone", "our own trace line");
    tracing::debug!(target: "tokio_postgres::query", SECRET, "a driver that speaks tracing");
    tracing::info!(target: "tokio_postgres::connection", "a notice of the server");
}

#[test]
fn drivers_log_no_parameters_whatever_the_filter() {
    for filter in
        ["trace", "tokio_postgres=trace,backlot=trace", "tokio_postgres::query=debug,trace"]
    {
        for format in [LogFormat::Plain, LogFormat::Ansi, LogFormat::Json] {
            let captured = Captured::default();
            let writer = captured.clone();
            let guard = subscriber(Some(filter), format, move || writer.clone()).unwrap();
            let guard = guard.set_default();
            send_secret();
            drop(guard);
            let text = captured.text();
            assert!(!text.contains(SECRET), "{filter}: {text}");
            assert!(text.contains("our own trace line"), "{filter}: {text}");
            assert!(text.contains("a notice of the server"), "{filter}: {text}");
        }
    }
}

/// Shows that the test above can fail: without the ceiling the driver does log the parameter.
#[test]
fn without_the_ceiling_the_driver_would_log_parameters() {
    let captured = Captured::default();
    let writer = captured.clone();
    let lines =
        tracing_subscriber::fmt().with_env_filter("trace").with_writer(move || writer.clone());
    let guard = lines.finish().set_default();
    send_secret();
    drop(guard);
    let driver = "executing statement";
    let text = captured.text();
    let leaked = text.lines().any(|line| line.contains(driver) && line.contains(SECRET));
    assert!(leaked, "the driver logs otherwise now: {text}");
}

#[test]
fn a_filter_that_does_not_parse_is_an_error() {
    let error = subscriber(Some("backlot=loud"), LogFormat::Plain, std::io::sink).err().unwrap();
    assert!(error.to_string().contains("backlot=loud"), "{error}");
}
