//! The centre's configuration, `central.toml`: raw as typed, then validated.
//!
//! May see: wire. Every field has a default, so that the service starts without a file.

use crate::wire::limits;
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCentral {
    listen: Option<SocketAddr>,
    behind_tls_proxy: Option<bool>,
    tls: Option<RawTls>,
    data_dir: Option<PathBuf>,
    cache_mib: Option<u16>,
    workers: Option<usize>,
    link_threads: Option<usize>,
    upload_kept_hours: Option<u32>,
    secrets_dir: Option<PathBuf>,
    root_key: Option<RawRootKey>,
    body_seconds_max: Option<u16>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTls {
    certificate: PathBuf,
    key: PathBuf,
    client_authority: Option<PathBuf>,
}

/// Files of the service's TLS, all in PEM form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, then those that lead to its authority.
    pub certificate: PathBuf,
    /// Its private key, readable by the service's user only.
    pub key: PathBuf,
    /// Authorities of the agencies' own certificates; none are asked for when absent.
    pub client_authority: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
enum RawRootKey {
    File(PathBuf),
    Credential(String),
    Command(Vec<String>),
}

/// Where the root key of the encryption at rest comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RootKeySource {
    /// `root.key` in the folder of the secrets; made there when the store is new.
    #[default]
    Folder,
    /// A file elsewhere: another disk, a removable one.
    File(PathBuf),
    /// A systemd credential of this name.
    Credential(String),
    /// What this command writes to its standard output: a key-management service's client.
    Command(Vec<String>),
}

/// A validated configuration of the centre.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CentralConfig {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Serve TLS with these; plain HTTP when absent.
    pub tls: Option<TlsFiles>,
    /// Where the store is.
    pub data_dir: PathBuf,
    /// Cache of the store in MiB, 16 to 4096.
    pub cache_mib: u16,
    /// Threads that serve requests, 1 to 256.
    pub workers: usize,
    /// Threads that link; 0: one per core.
    pub link_threads: usize,
    /// Hours until an upload that is not sealed is dropped, 1 to 720.
    pub upload_kept_hours: u32,
    /// Where the centre's secrets are; none: `secrets` in the data directory.
    pub secrets_dir: Option<PathBuf>,
    /// Where the root key comes from.
    pub root_key: RootKeySource,
    /// File, outside the store, in which the last checkpoint of each ledger is remembered; none: nowhere. `serve`
    /// sets it, no configuration file does.
    pub ledger_heads: Option<PathBuf>,
    /// File, outside the store, in which every erasure is noted, so that no restored backup brings it back; none:
    /// nowhere. `serve` sets it, no configuration file does.
    pub erasures: Option<PathBuf>,
    /// Seconds within which a request's body must have arrived, 1 to 600.
    pub body_seconds_max: u16,
}

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CentralConfigError {
    /// Larger than any configuration.
    #[error("larger than {} bytes: not a configuration", limits::CONFIG_BYTES_MAX)]
    TooLarge,
    /// Not the expected TOML.
    #[error("{0}")]
    Toml(String),
    /// A number out of its range.
    #[error("{field} must lie between {min} and {max}")]
    Range {
        /// The field.
        field: &'static str,
        /// Least value.
        min: u64,
        /// Greatest value.
        max: u64,
    },
    /// A credential that is no plain name.
    #[error("root_key.credential must be the name of a systemd credential, without a slash")]
    Credential,
    /// An empty command.
    #[error("root_key.command must name a program: [\"program\", \"argument\"]")]
    Command,
    /// Plain HTTP for the world to read.
    #[error(
        "listen = \"{0}\" is not this machine alone, and no [tls] is set: name certificate and key there, or put a \
         TLS proxy in front and say behind_tls_proxy = true, or listen on 127.0.0.1"
    )]
    PlainHttp(SocketAddr),
}

impl Default for CentralConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8710),
            tls: None,
            data_dir: PathBuf::from("blindlink-data"),
            cache_mib: 128,
            workers: 2,
            link_threads: 0,
            upload_kept_hours: 72,
            secrets_dir: None,
            root_key: RootKeySource::Folder,
            ledger_heads: None,
            erasures: None,
            body_seconds_max: 60,
        }
    }
}

impl CentralConfig {
    /// Where the centre's secrets are.
    #[must_use]
    pub fn secrets_folder(&self) -> PathBuf {
        self.secrets_dir.clone().unwrap_or_else(|| self.data_dir.join("secrets"))
    }

    /// Parses and validates; a relative `data_dir` is relative to `folder`, where the file stands.
    ///
    /// # Errors
    /// [`CentralConfigError`] says what to mend.
    pub fn from_toml(text: &str, folder: &Path) -> Result<Self, CentralConfigError> {
        if text.len() as u64 > limits::CONFIG_BYTES_MAX {
            return Err(CentralConfigError::TooLarge);
        }
        let raw: RawCentral =
            toml::from_str(text).map_err(|error| CentralConfigError::Toml(error.to_string()))?;
        let default = Self::default();
        let listen = raw.listen.unwrap_or(default.listen);
        let tls = raw.tls.map(|files| TlsFiles {
            certificate: folder.join(files.certificate),
            key: folder.join(files.key),
            client_authority: files.client_authority.map(|path| folder.join(path)),
        });
        if !listen.ip().is_loopback() && tls.is_none() && raw.behind_tls_proxy != Some(true) {
            return Err(CentralConfigError::PlainHttp(listen));
        }
        let config = Self {
            listen,
            tls,
            data_dir: folder.join(raw.data_dir.unwrap_or(default.data_dir)),
            cache_mib: raw.cache_mib.unwrap_or(default.cache_mib),
            workers: raw.workers.unwrap_or(default.workers),
            link_threads: raw.link_threads.unwrap_or(default.link_threads),
            upload_kept_hours: raw.upload_kept_hours.unwrap_or(default.upload_kept_hours),
            secrets_dir: raw.secrets_dir.map(|path| folder.join(path)),
            root_key: match raw.root_key {
                None => RootKeySource::Folder,
                Some(RawRootKey::File(path)) => RootKeySource::File(folder.join(path)),
                Some(RawRootKey::Credential(name)) => RootKeySource::Credential(name),
                Some(RawRootKey::Command(words)) => RootKeySource::Command(words),
            },
            ledger_heads: None,
            erasures: None,
            body_seconds_max: raw.body_seconds_max.unwrap_or(default.body_seconds_max),
        };
        let plain = |name: &str| !name.is_empty() && !name.contains(['/', '\\']) && name != "..";
        match &config.root_key {
            RootKeySource::Credential(name) if !plain(name) => return Err(CentralConfigError::Credential),
            RootKeySource::Command(words) if words.is_empty() => return Err(CentralConfigError::Command),
            _ => {}
        }
        within("cache_mib", config.cache_mib.into(), 16, 4_096)?;
        within("workers", config.workers as u64, 1, 256)?;
        within("link_threads", config.link_threads as u64, 0, 1_024)?;
        within("upload_kept_hours", config.upload_kept_hours.into(), 1, 720)?;
        within("body_seconds_max", config.body_seconds_max.into(), 1, 600)?;
        Ok(config)
    }
}

fn within(field: &'static str, value: u64, min: u64, max: u64) -> Result<(), CentralConfigError> {
    if (min..=max).contains(&value) { Ok(()) } else { Err(CentralConfigError::Range { field, min, max }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_file_says_the_defaults() {
        let text = include_str!("../../config/central.toml");
        let config = CentralConfig::from_toml(text, Path::new("")).unwrap();
        assert_eq!(config, CentralConfig::default());
    }

    #[test]
    fn refusals_say_what_to_mend() {
        let parse = |text: &str| CentralConfig::from_toml(text, Path::new("/etc/blindlink"));
        assert_eq!(parse("data_dir = \"d\"").unwrap().data_dir, Path::new("/etc/blindlink/d"));
        assert!(matches!(parse("listen = \"0.0.0.0:80\""), Err(CentralConfigError::PlainHttp(_))));
        assert!(parse("listen = \"0.0.0.0:80\"\nbehind_tls_proxy = true").is_ok());
        let tls = "listen = \"0.0.0.0:443\"\n[tls]\ncertificate = \"c.pem\"\nkey = \"/k.pem\"";
        let tls = parse(tls).unwrap().tls.unwrap();
        assert_eq!(tls.certificate, Path::new("/etc/blindlink/c.pem"));
        assert_eq!((tls.key.as_path(), tls.client_authority), (Path::new("/k.pem"), None));
        assert!(matches!(parse("workers = 0"), Err(CentralConfigError::Range { field: "workers", .. })));
        let keyed = |text: &str| parse(text).map(|config| config.root_key);
        assert_eq!(keyed("root_key.file = \"k\""), Ok(RootKeySource::File("/etc/blindlink/k".into())));
        assert_eq!(keyed("root_key.credential = \"k\""), Ok(RootKeySource::Credential("k".into())));
        assert_eq!(keyed("root_key.credential = \"../k\""), Err(CentralConfigError::Credential));
        assert_eq!(keyed("root_key.command = []"), Err(CentralConfigError::Command));
        assert!(parse("surname = 1").unwrap_err().to_string().contains("unknown field"));
    }
}
