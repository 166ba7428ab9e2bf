//! Where a server is and how to get in: the URL and `key=value` forms that libpq reads.
//! Source: <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING>

use crate::pg::Error;
use secrecy::{ExposeSecret, SecretString};
use std::fmt::{self, Write as _};
use std::path::PathBuf;

/// `sslmode`. The default is libpq's `prefer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslMode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl SslMode {
    /// As libpq calls it.
    fn name(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

/// `channel_binding`: whether a password is only good on this very TLS connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelBinding {
    Disable,
    /// Wherever the server has it.
    Prefer,
    /// Nothing but SCRAM-SHA-256-PLUS: who is in the middle learns nothing, whatever `sslmode`.
    Require,
}

impl ChannelBinding {
    fn name(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
        }
    }
}

/// A parsed connection string. `Display` and `Debug` never show the password.
#[derive(Clone)]
pub struct ConnInfo {
    /// A host name or address, or the directory of a Unix socket (starts with `/`).
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: Option<SecretString>,
    pub dbname: String,
    pub sslmode: SslMode,
    pub sslrootcert: Option<PathBuf>,
    pub channel_binding: ChannelBinding,
    pub connect_timeout_s: u64,
}

const DEFAULT_PORT: u16 = 5432;
const DEFAULT_CONNECT_TIMEOUT_S: u64 = 10;

impl ConnInfo {
    /// # Errors
    /// [`Error::Url`] with the reason; the text of the connection string is never repeated.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let settings = if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            url_settings(text)?
        } else {
            keyword_settings(text)?
        };
        Self::from_settings(settings)
    }

    fn from_settings(settings: Vec<(String, String)>) -> Result<Self, Error> {
        let mut info = Self {
            host: "localhost".into(),
            port: DEFAULT_PORT,
            user: String::new(),
            password: None,
            dbname: String::new(),
            sslmode: SslMode::Prefer,
            sslrootcert: None,
            channel_binding: ChannelBinding::Prefer,
            connect_timeout_s: DEFAULT_CONNECT_TIMEOUT_S,
        };
        for (key, value) in settings.into_iter().filter(|(_, value)| !value.is_empty()) {
            info.set(&key, value)?;
        }
        if info.user.is_empty() {
            return Err(Error::Url("no user: write postgres://user@host/database".into()));
        }
        if info.host.contains(',') {
            return Err(Error::Url("more than one host: name the one to use".into()));
        }
        if info.dbname.is_empty() {
            info.dbname.clone_from(&info.user);
        }
        Ok(info)
    }

    fn set(&mut self, key: &str, value: String) -> Result<(), Error> {
        let bad = |what: &str| Error::Url(format!("{key}: {what}"));
        match key {
            "host" | "hostaddr" => self.host = value,
            "port" => self.port = value.parse().map_err(|_| bad("not a port number"))?,
            "user" => self.user = value,
            "password" => self.password = Some(SecretString::from(value)),
            "dbname" => self.dbname = value,
            "connect_timeout" => {
                self.connect_timeout_s =
                    value.parse().map_err(|_| bad("not a number of seconds"))?;
            }
            "sslrootcert" => self.sslrootcert = Some(value.into()),
            "sslmode" => {
                self.sslmode = match value.as_str() {
                    "disable" => SslMode::Disable,
                    "allow" | "prefer" => SslMode::Prefer,
                    "require" => SslMode::Require,
                    "verify-ca" => SslMode::VerifyCa,
                    "verify-full" => SslMode::VerifyFull,
                    _ => {
                        return Err(bad("one of disable, prefer, require, verify-ca, verify-full"));
                    }
                }
            }
            "channel_binding" => {
                self.channel_binding = match value.as_str() {
                    "disable" => ChannelBinding::Disable,
                    "prefer" => ChannelBinding::Prefer,
                    "require" => ChannelBinding::Require,
                    _ => return Err(bad("one of disable, prefer, require")),
                }
            }
            // libpq settings that change nothing for us.
            "application_name"
            | "target_session_attrs"
            | "gssencmode"
            | "keepalives"
            | "client_encoding"
            | "fallback_application_name" => {}
            _ => return Err(bad("not supported here")),
        }
        Ok(())
    }

    pub fn is_unix_socket(&self) -> bool {
        self.host.starts_with('/')
    }

    /// True if rows sent to this host do not leave the machine.
    pub fn is_local(&self) -> bool {
        self.is_unix_socket()
            || self.host == "localhost"
            || self.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// For a server whose raw rows are read: they do not cross a network in plain text unless the
    /// connection string itself says `sslmode=disable`. Where `prefer` would leave that to
    /// whoever answers, TLS is required.
    #[must_use]
    pub fn for_raw_rows(mut self) -> Self {
        if self.sslmode == SslMode::Prefer && !self.is_local() {
            self.sslmode = SslMode::Require;
        }
        self
    }

    /// The same server and role, another database.
    #[must_use]
    pub fn with_dbname(&self, dbname: &str) -> Self {
        Self { dbname: dbname.to_owned(), ..self.clone() }
    }

    /// The environment that makes libpq programs (`pg_dump`, `pg_restore`, `psql`) connect here.
    /// The password travels in the child's environment, never in its arguments.
    pub fn libpq_env(&self) -> Vec<(&'static str, String)> {
        let mut env = vec![
            ("PGHOST", self.host.clone()),
            ("PGPORT", self.port.to_string()),
            ("PGUSER", self.user.clone()),
            ("PGDATABASE", self.dbname.clone()),
            ("PGSSLMODE", self.sslmode.name().to_owned()),
            ("PGCHANNELBINDING", self.channel_binding.name().to_owned()),
            ("PGCONNECT_TIMEOUT", self.connect_timeout_s.to_string()),
            ("PGAPPNAME", "backlot".to_owned()),
        ];
        if let Some(path) = &self.sslrootcert {
            env.push(("PGSSLROOTCERT", path.to_string_lossy().into_owned()));
        }
        if let Some(password) = &self.password {
            env.push(("PGPASSWORD", password.expose_secret().to_owned()));
        }
        env
    }

    /// The same server, role and database; the password is asked for elsewhere.
    #[must_use]
    pub fn without_password(&self) -> Self {
        Self { password: None, ..self.clone() }
    }

    /// A URL that says everything that is not the default, also how TLS is used and the password.
    pub fn to_url(&self) -> SecretString {
        let mut url = format!("postgresql://{}", percent_encoded(&self.user));
        if let Some(password) = &self.password {
            url.extend([":", &percent_encoded(password.expose_secret())]);
        }
        url.push('@');
        let mut query = Vec::new();
        if self.is_unix_socket() {
            query.extend([("host", self.host.clone()), ("port", self.port.to_string())]);
        } else if self.host.contains(':') {
            url.extend(["[", &self.host, "]:", &self.port.to_string()]);
        } else {
            url.extend([&self.host, ":", &self.port.to_string()]);
        }
        url.extend(["/", &percent_encoded(&self.dbname)]);
        if self.sslmode != SslMode::Prefer {
            query.push(("sslmode", self.sslmode.name().to_owned()));
        }
        if let Some(path) = &self.sslrootcert {
            query.push(("sslrootcert", path.to_string_lossy().into_owned()));
        }
        if self.channel_binding != ChannelBinding::Prefer {
            query.push(("channel_binding", self.channel_binding.name().to_owned()));
        }
        if self.connect_timeout_s != DEFAULT_CONNECT_TIMEOUT_S {
            query.push(("connect_timeout", self.connect_timeout_s.to_string()));
        }
        for (at, (key, value)) in query.iter().enumerate() {
            url.extend([if at == 0 { "?" } else { "&" }, key, "=", &percent_encoded(value)]);
        }
        url.into()
    }

    /// A URL without the password, for people.
    pub fn url_without_password(&self) -> String {
        let database = percent_encoded(&self.dbname);
        if self.is_unix_socket() {
            let host = percent_encoded(&self.host);
            return format!(
                "postgres://{}@/{database}?host={host}&port={}",
                percent_encoded(&self.user),
                self.port
            );
        }
        format!("postgres://{}@{}:{}/{database}", percent_encoded(&self.user), self.host, self.port)
    }
}

impl fmt::Display for ConnInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url_without_password())
    }
}

impl fmt::Debug for ConnInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// For a part of a URL, by RFC 3986: everything but the unreserved characters. Of bytes, because a
/// path need not be UTF-8.
pub(crate) fn percent_encoded(text: impl AsRef<[u8]>) -> String {
    let text = text.as_ref();
    let mut out = String::with_capacity(text.len());
    for byte in text {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            out.push(char::from(*byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn decode(text: &str) -> Result<String, Error> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
            return Err(Error::Url("a % is not followed by two hex digits".into()));
        };
        out.push(u8::try_from(high * 16 + low).unwrap_or_default());
    }
    String::from_utf8(out).map_err(|_| Error::Url("not UTF-8 after decoding %".into()))
}

/// `postgres://user:password@host:port/dbname?key=value&…`. Parsed by hand because the `url`
/// crate rejects an empty host, which libpq reads as the local socket.
fn url_settings(text: &str) -> Result<Vec<(String, String)>, Error> {
    let rest = text.split_once("://").map(|(_, rest)| rest).unwrap_or_default();
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, dbname) = rest.split_once('/').unwrap_or((rest, ""));
    let (credentials, host_port) = authority.rsplit_once('@').unwrap_or(("", authority));
    let mut settings = Vec::new();
    let mut push = |key: &str, value: &str| -> Result<(), Error> {
        if !value.is_empty() {
            settings.push((key.to_owned(), decode(value)?));
        }
        Ok(())
    };
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    push("user", user)?;
    push("password", password)?;
    let (host, port) = split_host_port(host_port)?;
    push("host", host)?;
    push("port", port)?;
    push("dbname", dbname)?;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) =
            pair.split_once('=').ok_or_else(|| Error::Url("a query parameter without =".into()))?;
        push(&decode(key)?, value)?;
    }
    Ok(settings)
}

fn split_host_port(text: &str) -> Result<(&str, &str), Error> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, port) =
            rest.split_once(']').ok_or_else(|| Error::Url("an IPv6 address without ]".into()))?;
        return Ok((host, port.strip_prefix(':').unwrap_or("")));
    }
    Ok(text.split_once(':').unwrap_or((text, "")))
}

/// `host=… user='with \' quote' …`
fn keyword_settings(text: &str) -> Result<Vec<(String, String)>, Error> {
    let mut settings = Vec::new();
    let mut chars = text.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.peek().is_none() {
            break;
        }
        let mut key = String::new();
        while let Some(c) = chars.next_if(|c| *c != '=' && !c.is_whitespace()) {
            key.push(c);
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        if chars.next() != Some('=') {
            return Err(Error::Url(
                "expected postgres://user@host/database, or keyword=value pairs".into(),
            ));
        }
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        settings.push((key, keyword_value(&mut chars)?));
    }
    if settings.is_empty() {
        return Err(Error::Url("it is empty".into()));
    }
    Ok(settings)
}

fn keyword_value(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<String, Error> {
    let mut value = String::new();
    let quoted = chars.next_if_eq(&'\'').is_some();
    loop {
        match chars.next_if(|c| quoted || !c.is_whitespace()) {
            Some('\'') if quoted => return Ok(value),
            Some('\\') => value.extend(chars.next()),
            Some(c) => value.push(c),
            None if quoted => return Err(Error::Url("a quoted value has no end".into())),
            None => return Ok(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ChannelBinding, ConnInfo, SslMode, percent_encoded};
    use secrecy::ExposeSecret;

    #[test]
    fn a_name_in_a_url_is_percent_encoded() {
        assert_eq!(percent_encoded("a b/é?"), "a%20b%2F%C3%A9%3F");
        assert_eq!(percent_encoded("a-b_c.d~9"), "a-b_c.d~9");
    }

    #[test]
    fn urls_and_keywords_are_read_as_libpq_reads_them() {
        let url =
            ConnInfo::parse("postgresql://u%40x:p%2Fw@[::1]:6543/my%20db?sslmode=verify-full")
                .unwrap();
        assert_eq!((url.user.as_str(), url.host.as_str(), url.port), ("u@x", "::1", 6543));
        assert_eq!((url.dbname.as_str(), url.sslmode), ("my db", SslMode::VerifyFull));
        assert_eq!(url.password.unwrap().expose_secret(), "p/w");
        let socket = ConnInfo::parse("postgres://me@/app?host=/tmp/s&port=5").unwrap();
        assert!(socket.is_unix_socket() && socket.is_local());
        assert_eq!(ConnInfo::parse(&socket.to_string()).unwrap().host, "/tmp/s");
        let words = ConnInfo::parse(r"host=h user='o\'k' dbname = d").unwrap();
        assert_eq!((words.user.as_str(), words.dbname.as_str()), ("o'k", "d"));
    }

    #[test]
    fn a_url_that_was_written_is_read_as_the_same() {
        for text in [
            "postgresql://u%40x:p%2Fw@[::1]:6543/my%20db?sslmode=verify-full&sslrootcert=%2Fca.pem",
            "postgresql://u@h:5432/d?channel_binding=require&connect_timeout=3",
            "postgresql://u@/d?host=%2Ftmp%2Fs&port=5432",
        ] {
            assert_eq!(ConnInfo::parse(text).unwrap().to_url().expose_secret(), text);
        }
        let without = ConnInfo::parse("postgres://u:p@h/d?sslmode=require").unwrap();
        let without = without.without_password().to_url();
        assert_eq!(without.expose_secret(), "postgresql://u@h:5432/d?sslmode=require");
    }

    #[test]
    fn the_password_is_never_printed() {
        let info = ConnInfo::parse("postgres://u:hunter2@h/d").unwrap();
        assert!(!format!("{info} {info:?}").contains("hunter2"));
        for bad in
            ["postgres://u:hunter2@h/d?sslmode=hunter2", "hunter2", "host=h password=hunter2 x"]
        {
            assert!(!ConnInfo::parse(bad).unwrap_err().to_string().contains("hunter2"));
        }
    }
    #[test]
    fn raw_rows_leave_the_machine_in_plain_text_only_if_the_url_says_so() {
        let mode = |text: &str| ConnInfo::parse(text).unwrap().for_raw_rows().sslmode;
        assert_eq!(mode("postgres://u@db.example/d"), SslMode::Require);
        assert_eq!(mode("postgres://u@10.0.0.1/d?sslmode=prefer"), SslMode::Require);
        assert_eq!(mode("postgres://u@0.0.0.0/d?sslmode=allow"), SslMode::Require);
        assert_eq!(mode("postgres://u@db.example/d?sslmode=disable"), SslMode::Disable);
        assert_eq!(mode("postgres://u@db.example/d?sslmode=verify-full"), SslMode::VerifyFull);
        for local in ["localhost", "127.0.0.1", "127.8.9.1", "[::1]", "%2Frun%2Fpg"] {
            assert_eq!(mode(&format!("postgres://u@{local}/d")), SslMode::Prefer, "{local}");
        }
    }

    #[test]
    fn channel_binding_is_never_taken_lightly() {
        let binding = |text: &str| ConnInfo::parse(text).map(|info| info.channel_binding).ok();
        assert_eq!(binding("postgres://u@h/d"), Some(ChannelBinding::Prefer));
        assert_eq!(
            binding("postgres://u@h/d?channel_binding=require"),
            Some(ChannelBinding::Require)
        );
        assert_eq!(binding("postgres://u@h/d?channel_binding=required"), None);
    }
}
