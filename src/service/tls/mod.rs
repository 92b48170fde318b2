//! TLS 1.3: certificate and key from files, taken anew when the files change, and client certificates.
//!
//! May see: config, wire, the files the configuration names. A key that others can read is refused; a
//! certificate that does not read, has ended or belongs to another key is refused at the start, and leaves the
//! one before in force when it comes later.

pub(super) mod client;
mod trial;

pub use trial::trial_files;

use crate::config::central::TlsFiles;
use crate::wire::UtcTime;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

/// How often the files are looked at; SIGHUP looks at once.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);
const PEM_BYTES_MAX: u64 = 256 << 10;

/// Why a certificate, its key or the client authority is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// The file system said no.
    #[error("TLS file '{}': {cause}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        cause: String,
    },
    /// Longer than any certificate chain.
    #[error("TLS file '{}' is longer than {PEM_BYTES_MAX} bytes: not a certificate or key", .path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// Others can read the key.
    #[error(
        "TLS key '{}' has mode {mode:03o}: others can read it; run 'chmod 600' on it, and have the certificate \
         replaced if they may have", .path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The key belongs to somebody else than this user or the administrator.
    #[error("TLS key '{}' belongs to user {owner}, neither the service's user nor root", .path.display())]
    Owner {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// Not PEM of the expected kind.
    #[error("TLS file '{}' holds no {expected} in PEM form", .path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        expected: &'static str,
    },
    /// The certificate is over.
    #[error("the certificate in '{}' ended at {ended}: have it renewed", .path.display())]
    Expired {
        /// The file.
        path: PathBuf,
        /// Its last moment.
        ended: UtcTime,
    },
    /// The certificate has not begun.
    #[error("the certificate in '{}' holds from {begins} only: is this machine's clock right?", .path.display())]
    NotYet {
        /// The file.
        path: PathBuf,
        /// Its first moment.
        begins: UtcTime,
    },
    /// Key and certificate are no pair.
    #[error("the certificate in '{}' belongs to another key than '{}'", .certificate.display(), .key.display())]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// A kind of key or certificate this program does not take.
    #[error("TLS file '{}' cannot be used: {cause}", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the TLS library said.
        cause: String,
    },
    /// The trial's certificate could not be made.
    #[error("the trial's certificate cannot be made: {0}")]
    Trial(String),
}

/// The certificate in force; shared by all connections.
pub struct Certificates {
    files: TlsFiles,
    current: RwLock<Arc<CertifiedKey>>,
    seen: Mutex<Vec<Option<Stamp>>>,
}

/// A file's last change and length.
type Stamp = (SystemTime, u64);

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certificates({})", self.files.certificate.display())
    }
}

impl Certificates {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// [`TlsError`] says which rule is broken.
    pub fn load(files: &TlsFiles, now: UtcTime) -> Result<Self, TlsError> {
        let seen = Mutex::new(stamps(files));
        let current = RwLock::new(Arc::new(read_pair(files, now)?));
        Ok(Self { files: files.clone(), current, seen })
    }

    /// Takes the files anew if they changed since they were last read, or in any case if `forced`. True: a new
    /// certificate is in force.
    ///
    /// # Errors
    /// [`TlsError`]; then the certificate before stays in force.
    pub fn reload(&self, forced: bool, now: UtcTime) -> Result<bool, TlsError> {
        let found = stamps(&self.files);
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if *seen == found && !forced {
                return Ok(false);
            }
            *seen = found;
        }
        let pair = Arc::new(read_pair(&self.files, now)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = pair;
        Ok(true)
    }

    /// The configuration of the listener: TLS 1.3, and client certificates of the authority if one is named;
    /// who shows none is let in, and refused where a certificate is demanded.
    ///
    /// # Errors
    /// [`TlsError`] for the authority.
    pub fn server_config(self: &Arc<Self>) -> Result<ServerConfig, TlsError> {
        let path = &self.files.certificate;
        let unusable = |cause: String, path: &Path| TlsError::Unusable { path: path.to_owned(), cause };
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| unusable(error.to_string(), path))?;
        let builder = match &self.files.client_authority {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let mut roots = RootCertStore::empty();
                for certificate in read_certificates(file)? {
                    roots.add(certificate).map_err(|error| unusable(error.to_string(), file))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = verifier.allow_unauthenticated().build();
                builder
                    .with_client_cert_verifier(verifier.map_err(|error| unusable(error.to_string(), file))?)
            }
        };
        Ok(builder.with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>))
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

fn stamps(files: &TlsFiles) -> Vec<Option<Stamp>> {
    let stamp = |path: &PathBuf| {
        let meta = std::fs::metadata(path).ok()?;
        Some((meta.modified().ok()?, meta.len()))
    };
    [&files.certificate, &files.key].into_iter().map(stamp).collect()
}

fn read_pair(files: &TlsFiles, now: UtcTime) -> Result<CertifiedKey, TlsError> {
    let chain = read_certificates(&files.certificate)?;
    if let Some(first) = chain.first() {
        check_dates(&files.certificate, first, now)?;
    }
    let pem = read_bounded(&files.key, true)?;
    let key = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| TlsError::Pem { path: files.key.clone(), expected: "private key" })?;
    CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            TlsError::Pair { certificate: files.certificate.clone(), key: files.key.clone() }
        }
        other => TlsError::Unusable { path: files.key.clone(), cause: other.to_string() },
    })
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = || TlsError::Pem { path: path.to_owned(), expected: "certificate" };
    let pem = read_bounded(path, false)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(wrong)
}

fn check_dates(path: &Path, certificate: &CertificateDer<'_>, now: UtcTime) -> Result<(), TlsError> {
    let parsed = x509_parser::parse_x509_certificate(certificate);
    let (_, parsed) =
        parsed.map_err(|_| TlsError::Pem { path: path.to_owned(), expected: "readable certificate" })?;
    let validity = parsed.validity();
    let time = |seconds: i64| UtcTime::from_millis(seconds.saturating_mul(1_000)).unwrap_or(UtcTime::EPOCH);
    let (begins, ended) = (time(validity.not_before.timestamp()), time(validity.not_after.timestamp()));
    if now < begins {
        return Err(TlsError::NotYet { path: path.to_owned(), begins });
    }
    if ended < now {
        return Err(TlsError::Expired { path: path.to_owned(), ended });
    }
    Ok(())
}

/// Reads a file of bounded length; a secret one must be out of others' reach.
fn read_bounded(path: &Path, secret: bool) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let io = |error: std::io::Error| TlsError::Io { path: path.to_owned(), cause: error.to_string() };
    let file = std::fs::File::open(path).map_err(io)?;
    let meta = file.metadata().map_err(io)?;
    if secret {
        check_reach(path, &meta)?;
    }
    if meta.len() > PEM_BYTES_MAX {
        return Err(TlsError::TooLong { path: path.to_owned() });
    }
    // Room for the whole file from the start: a growing buffer would leave copies of a key behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(PEM_BYTES_MAX).unwrap_or(0)));
    std::io::Read::read_to_end(&mut std::io::Read::take(file, PEM_BYTES_MAX), &mut bytes).map_err(io)?;
    Ok(bytes)
}

/// A key is read by its owner, or lent by root to the service's group as certificate tools do. Links are
/// followed: the same tools keep the current key behind one.
#[cfg(unix)]
fn check_reach(path: &Path, meta: &std::fs::Metadata) -> Result<(), TlsError> {
    use std::os::unix::fs::MetadataExt;
    let (owner, mode) = (meta.uid(), meta.mode() & 0o777);
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(TlsError::Owner { path: path.to_owned(), owner });
    }
    let lent = if owner == 0 { 0o040 } else { 0 };
    if mode & 0o077 & !lent != 0 {
        return Err(TlsError::Exposed { path: path.to_owned(), mode });
    }
    Ok(())
}

/// Without Unix permissions the folder's access list is what protects the file.
#[cfg(not(unix))]
fn check_reach(_: &Path, _: &std::fs::Metadata) -> Result<(), TlsError> {
    Ok(())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use crate::service::tls::trial::make;
    use std::os::unix::fs::PermissionsExt;

    fn now() -> UtcTime {
        "2026-06-01T00:00:00Z".parse().unwrap()
    }
    fn put(files: &TlsFiles, certificate: &str, key: &str, mode: u32) {
        std::fs::write(&files.certificate, certificate).unwrap();
        std::fs::write(&files.key, key).unwrap();
        std::fs::set_permissions(&files.key, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    fn files(folder: &Path) -> TlsFiles {
        TlsFiles { certificate: folder.join("c.pem"), key: folder.join("k.pem"), client_authority: None }
    }

    #[test]
    fn bad_certificates_and_keys_are_refused_each_with_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        let load = || Certificates::load(&files, now());
        assert!(matches!(load(), Err(TlsError::Io { .. })));
        let (certificate, key) = make(&["localhost"], (2026, 1, 1), (2027, 1, 1)).unwrap();
        let (_, other) = make(&["localhost"], (2026, 1, 1), (2027, 1, 1)).unwrap();
        put(&files, &certificate, &key, 0o600);
        load().unwrap();
        put(&files, &certificate, &other, 0o600);
        assert!(matches!(load(), Err(TlsError::Pair { .. })));
        for mode in [0o604, 0o644, 0o620, 0o602] {
            put(&files, &certificate, &key, mode);
            assert!(matches!(load(), Err(TlsError::Exposed { .. })), "{mode:o}");
        }
        put(&files, &certificate, "no key", 0o600);
        assert!(matches!(load(), Err(TlsError::Pem { expected: "private key", .. })));
        put(&files, &key, &key, 0o600);
        let refused = load().unwrap_err();
        assert!(matches!(refused, TlsError::Pem { expected: "certificate", .. }));
        assert!(!refused.to_string().contains("BEGIN"), "{refused}");
        put(&files, &"x".repeat(300 << 10), &key, 0o600);
        assert!(matches!(load(), Err(TlsError::TooLong { .. })));
        let cut = &certificate[..certificate.len() / 2];
        put(&files, cut, &key, 0o600);
        assert!(matches!(load(), Err(TlsError::Pem { .. })));
        let (old, key) = make(&["localhost"], (2024, 1, 1), (2026, 5, 31)).unwrap();
        put(&files, &old, &key, 0o600);
        assert!(matches!(load(), Err(TlsError::Expired { .. })));
        let (early, key) = make(&["localhost"], (2026, 6, 2), (2027, 1, 1)).unwrap();
        put(&files, &early, &key, 0o600);
        assert!(matches!(load(), Err(TlsError::NotYet { .. })));
    }

    #[test]
    fn a_changed_certificate_is_taken_and_a_bad_one_leaves_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        let (certificate, key) = make(&["localhost"], (2026, 1, 1), (2027, 1, 1)).unwrap();
        put(&files, &certificate, &key, 0o600);
        let held = Certificates::load(&files, now()).unwrap();
        let in_force = || held.current.read().unwrap().cert[0].clone();
        let first = in_force();
        assert_eq!(held.reload(false, now()), Ok(false));
        put(&files, "broken", &key, 0o600);
        assert!(held.reload(false, now()).is_err());
        assert_eq!(in_force(), first);
        assert_eq!(held.reload(false, now()), Ok(false), "told once, not every second");
        let (certificate, key) = make(&["localhost", "centre"], (2026, 1, 1), (2027, 1, 1)).unwrap();
        put(&files, &certificate, &key, 0o600);
        assert_eq!(held.reload(false, now()), Ok(true));
        assert_ne!(in_force(), first);
        assert_eq!(held.reload(true, now()), Ok(true), "SIGHUP reads in any case");
    }
}
