//! The agency's configuration, `agency.toml`: raw as typed, then validated.
//!
//! May see: wire. Holds paths of keys, never keys.

use crate::wire::{AgencyId, Epoch, ProjectId, limits};
use serde::Deserialize;
use std::path::{Path, PathBuf};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    agency: AgencyId,
    project: ProjectId,
    #[serde(default = "first_epoch")]
    epoch: Epoch,
    schema: String,
    #[serde(default)]
    service: Option<String>,
    #[serde(default)]
    ca_certificate: Option<PathBuf>,
    #[serde(default)]
    client_certificate: Option<PathBuf>,
    #[serde(default)]
    client_key: Option<PathBuf>,
    keys: RawKeys,
    columns: PathBuf,
    #[serde(default)]
    bad_rows: BadRows,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawKeys {
    linkage: PathBuf,
    agency: PathBuf,
    #[serde(default)]
    api: Option<PathBuf>,
}

fn first_epoch() -> Epoch {
    Epoch::FIRST
}

/// What to do with a row that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BadRows {
    /// Leave it out and count it.
    #[default]
    Skip,
    /// Encode nothing.
    Refuse,
}

/// A validated `agency.toml`; paths are relative to its folder.
#[derive(Debug, Clone)]
pub struct AgencyConfig {
    /// Whose workspace it is.
    pub agency: AgencyId,
    /// The agreement it works under.
    pub project: ProjectId,
    /// The life of the linkage key.
    pub epoch: Epoch,
    /// Name of a built-in schema, or a path of a schema file.
    pub schema: String,
    /// Address of the centre, without a closing slash; none for offline work.
    pub service: Option<String>,
    /// Certificate authority to trust for the centre, instead of the public ones.
    pub ca_certificate: Option<PathBuf>,
    /// The agency's own TLS certificate and its key, where the centre binds the API key to it.
    pub client_identity: Option<(PathBuf, PathBuf)>,
    /// File of the linkage key.
    pub linkage_key: PathBuf,
    /// File of the key only this agency holds.
    pub agency_key: PathBuf,
    /// File of the API key.
    pub api_key: Option<PathBuf>,
    /// File of the column mapping.
    pub columns: PathBuf,
    /// What to do with bad rows.
    pub bad_rows: BadRows,
}

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Larger than any configuration.
    #[error("larger than {} bytes: not a configuration", limits::CONFIG_BYTES_MAX)]
    TooLarge,
    /// Not the expected TOML. The line itself is not repeated: somebody may have pasted a key into it.
    #[error("line {line}: {what}")]
    Toml {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        what: String,
    },
    /// Not an address.
    #[error("service: give an address such as https://centre.example:8443 (http only for this machine)")]
    Service,
    /// One half of a pair.
    #[error("client_certificate and client_key go together: give both or neither")]
    ClientIdentity,
}

impl AgencyConfig {
    /// Parses and validates; `folder` is where the file stands.
    ///
    /// # Errors
    /// [`ConfigError`] says what to mend.
    pub fn from_toml(text: &str, folder: &Path) -> Result<Self, ConfigError> {
        if text.len() as u64 > limits::CONFIG_BYTES_MAX {
            return Err(ConfigError::TooLarge);
        }
        let raw: RawConfig = toml::from_str(text).map_err(|error| toml_error(text, &error))?;
        let service = raw.service.map(|address| service_address(&address)).transpose()?;
        let at = |path: PathBuf| folder.join(path);
        let client_identity = match (raw.client_certificate, raw.client_key) {
            (Some(certificate), Some(key)) => Some((at(certificate), at(key))),
            (None, None) => None,
            _ => return Err(ConfigError::ClientIdentity),
        };
        Ok(Self {
            agency: raw.agency,
            project: raw.project,
            epoch: raw.epoch,
            schema: raw.schema,
            service,
            ca_certificate: raw.ca_certificate.map(at),
            client_identity,
            linkage_key: at(raw.keys.linkage),
            agency_key: at(raw.keys.agency),
            api_key: raw.keys.api.map(at),
            columns: at(raw.columns),
            bad_rows: raw.bad_rows,
        })
    }
}

fn toml_error(text: &str, error: &toml::de::Error) -> ConfigError {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let line = text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count() + 1;
    ConfigError::Toml { line, what: error.message().to_owned() }
}

/// An address of the centre: https, or http on this machine only, since an API key travels with each request.
///
/// # Errors
/// [`ConfigError::Service`].
pub fn service_address(text: &str) -> Result<String, ConfigError> {
    let text = text.trim_end_matches('/');
    let host =
        |prefix: &str| text.strip_prefix(prefix).map(|rest| rest.split('/').next().unwrap_or_default());
    let plain = |host: &str| !host.is_empty() && !host.contains(['@', ' ', '?', '#']);
    let local = |host: &str| {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        matches!(name, "127.0.0.1" | "localhost" | "[::1]")
    };
    let ok = host("https://").is_some_and(plain) || host("http://").is_some_and(|h| plain(h) && local(h));
    if ok { Ok(text.to_owned()) } else { Err(ConfigError::Service) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
        agency = "health"
        project = "safeguarding"
        schema = "uk-child"
        service = "https://centre.example:8443/"
        columns = "columns.toml"
        [keys]
        linkage = "linkage.key"
        agency = "agency.key"
    "#;

    #[test]
    fn paths_are_relative_to_the_file() {
        let config = AgencyConfig::from_toml(GOOD, Path::new("/w")).unwrap();
        assert_eq!(config.linkage_key, Path::new("/w/linkage.key"));
        assert_eq!(config.service.as_deref(), Some("https://centre.example:8443"));
        assert_eq!(config.epoch, Epoch::FIRST);
        assert_eq!(config.bad_rows, BadRows::Skip);
    }

    #[test]
    fn unknown_words_and_key_material_are_refused() {
        let typo = GOOD.replace("project =", "projct =");
        assert!(matches!(
            AgencyConfig::from_toml(&typo, Path::new("")),
            Err(ConfigError::Toml { line: 3, .. })
        ));
        let half = GOOD.replace("schema =", "client_key = \"k.pem\"\n schema =");
        let half = AgencyConfig::from_toml(&half, Path::new("")).unwrap_err();
        assert_eq!(half, ConfigError::ClientIdentity);
        let large = " ".repeat(2 << 20);
        assert_eq!(AgencyConfig::from_toml(&large, Path::new("")).unwrap_err(), ConfigError::TooLarge);
    }

    #[test]
    fn plain_http_is_for_this_machine_only() {
        for good in ["http://127.0.0.1:8080", "http://localhost:1", "https://a.example", "http://[::1]:80"] {
            assert!(service_address(good).is_ok(), "{good}");
        }
        for bad in
            ["http://centre.example", "ftp://x", "https://", "https://a@b", "http://127.0.0.1.evil.example"]
        {
            assert!(service_address(bad).is_err(), "{bad}");
        }
    }
}
