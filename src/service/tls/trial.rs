//! The certificate of a trial: self-signed, for this machine, good for thirty days.
//!
//! May see: the store's folder. Agencies of the trial trust the certificate's file by name; nobody else does.

use super::{Certificates, TlsError};
use crate::config::central::TlsFiles;
use crate::service::policy::Day;
use crate::wire::UtcTime;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use std::io::Write;
use std::path::Path;

const TRIAL_DAYS: u32 = 30;

/// Certificate and key of a trial in `folder`, made if there are none or they have ended.
///
/// # Errors
/// [`TlsError::Io`], [`TlsError::Trial`].
pub fn trial_files(folder: &Path, now: UtcTime) -> Result<TlsFiles, TlsError> {
    let files = TlsFiles {
        certificate: folder.join("trial-certificate.pem"),
        key: folder.join("trial-key.pem"),
        client_authority: None,
    };
    if Certificates::load(&files, now).is_ok() {
        return Ok(files);
    }
    std::fs::create_dir_all(folder)
        .map_err(|error| TlsError::Io { path: folder.to_owned(), cause: error.to_string() })?;
    let day = |time: UtcTime| Day::of(time).parts();
    // From the day before, so that a clock behind this one takes it.
    let begins = UtcTime::from_millis(now.millis() - 86_400_000).unwrap_or(now);
    let (certificate, key) =
        make(&["localhost", "127.0.0.1", "::1"], day(begins), day(now.plus_hours(24 * TRIAL_DAYS)))?;
    write_private(&files.key, &key)?;
    write_private(&files.certificate, &certificate)?;
    Ok(files)
}

/// A self-signed certificate in PEM, and its key.
pub(super) fn make(
    names: &[&str],
    begins: (i32, u8, u8),
    ends: (i32, u8, u8),
) -> Result<(String, zeroize::Zeroizing<String>), TlsError> {
    let failed = |error: rcgen::Error| TlsError::Trial(error.to_string());
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).map_err(failed)?;
    params.not_before = date_time_ymd(begins.0, begins.1, begins.2);
    params.not_after = date_time_ymd(ends.0, ends.1, ends.2);
    params.distinguished_name.push(rcgen::DnType::CommonName, "blindlink trial");
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.self_signed(&key).map_err(failed)?;
    Ok((certificate.pem(), zeroize::Zeroizing::new(key.serialize_pem())))
}

/// Writes a file whole or not at all, readable by its owner only.
fn write_private(path: &Path, text: &str) -> Result<(), TlsError> {
    let io = |error: std::io::Error| TlsError::Io { path: path.to_owned(), cause: error.to_string() };
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(io)?;
    file.write_all(text.as_bytes()).map_err(io)?;
    file.as_file().sync_all().map_err(io)?;
    file.persist(path).map_err(|error| io(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_keeps_its_certificate_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let at = |text: &str| text.parse::<UtcTime>().unwrap();
        let read = |files: &TlsFiles| std::fs::read_to_string(&files.certificate).unwrap();
        let first = read(&trial_files(folder.path(), at("2026-03-01T09:00:00Z")).unwrap());
        assert_eq!(read(&trial_files(folder.path(), at("2026-03-30T09:00:00Z")).unwrap()), first);
        assert_ne!(read(&trial_files(folder.path(), at("2026-04-02T09:00:00Z")).unwrap()), first);
    }
}
