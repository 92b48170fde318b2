//! TLS as agencies meet it: their authority, their own certificate, a certificate renewed while serving.

#![cfg(all(feature = "agency", feature = "central", unix))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod service_support;

use blindlink::agency::client::{ApiToken, Client, ClientError, ClientTls};
use blindlink::config::central::{CentralConfig, TlsFiles};
use blindlink::service::server::{Running, StartError, start_with};
use blindlink::store::{MemoryStore, system_clock};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use service_support::*;
use sha2::{Digest, Sha256};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An authority and what it signs, in a folder.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), issuer.pem()).unwrap();
        Self { issuer, folder: folder.to_owned() }
    }
    /// Certificate and key files of `name`, and the certificate's fingerprint.
    fn sign(&self, name: &str) -> (PathBuf, PathBuf, String) {
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned(), name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = (self.folder.join(format!("{name}.pem")), self.folder.join(format!("{name}.key")));
        std::fs::write(&files.1, key.serialize_pem()).unwrap();
        std::fs::set_permissions(&files.1, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::write(&files.0, certificate.pem()).unwrap();
        let fingerprint: Vec<String> =
            Sha256::digest(certificate.der()).iter().map(|byte| format!("{byte:02X}")).collect();
        (files.0, files.1, fingerprint.join(":"))
    }
}

fn serve(files: TlsFiles) -> Result<Running, StartError> {
    let config = CentralConfig { tls: Some(files), ..config() };
    start_with(&config, Arc::new(MemoryStore::new()), system_clock(), false)
}

fn client(running: &Running, key: &str, tls: &ClientTls) -> Client {
    Client::new(&format!("https://{}", running.addr()), ApiToken::parse(key).unwrap(), tls).unwrap()
}

fn whoami(client: &Client) -> Result<Value, ClientError> {
    client.get("/v1/whoami")
}

#[test]
fn keys_travel_over_tls_and_hold_with_the_agencys_certificate_only() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::new(folder.path(), "ours"), Authority::new(folder.path(), "theirs"));
    let (certificate, key, _) = ours.sign("centre");
    let authority = Some(folder.path().join("ours.pem"));
    let files = TlsFiles { certificate, key, client_authority: authority.clone() };
    let running = serve(files).unwrap();
    let operator = running.first_key().unwrap().expose();
    let trusting = ClientTls { authority: authority.clone(), identity: None };
    let admin = client(&running, &operator, &trusting);
    assert_eq!(whoami(&admin).unwrap()["roles"], json!(["operator"]));

    // Nobody else's word for the centre is taken, and the centre does not speak in clear.
    let stranger = ClientTls { authority: Some(folder.path().join("theirs.pem")), identity: None };
    assert!(matches!(whoami(&client(&running, &operator, &stranger)), Err(ClientError::Unreachable { .. })));
    let mut clear = std::net::TcpStream::connect(running.addr()).unwrap();
    clear.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut said = Vec::new();
    let _ = clear.read_to_end(&mut said);
    assert!(!said.starts_with(b"HTTP/"), "plain HTTP was answered");

    let (certificate, key, fingerprint) = ours.sign("council");
    let own = ClientTls { authority: authority.clone(), identity: Some((certificate, key)) };
    let (certificate, key, _) = ours.sign("police");
    let other = ClientTls { authority: authority.clone(), identity: Some((certificate, key)) };
    let (certificate, key, _) = theirs.sign("forger");
    let forger = ClientTls { authority, identity: Some((certificate, key)) };
    let mut body = agency_body("council");
    body["certificates"] = json!([fingerprint]);
    admin.put::<Value>("/v1/agencies/council", &body).unwrap();
    admin.post::<Value>("/v1/projects", &project_body("p"), None).unwrap();
    admin.put::<Value>("/v1/projects/p/agencies/council", &json!({})).unwrap();
    let new =
        json!({"scope": {"kind": "agency", "agency": "council", "project": "p"}, "roles": ["requester"]});
    let issued: Value = admin.post("/v1/keys", &new, None).unwrap();
    let key = issued["token"].as_str().unwrap();

    assert_eq!(whoami(&client(&running, key, &own)).unwrap()["scope"]["agency"], "council");
    for (tls, what) in [(&trusting, "no certificate"), (&other, "another agency's")] {
        let refused = whoami(&client(&running, key, tls)).unwrap_err();
        assert_eq!(refused.code(), Some("certificate"), "{what}: {refused}");
    }
    assert!(matches!(whoami(&client(&running, key, &forger)), Err(ClientError::Unreachable { .. })));
    // A changed contact point keeps the binding; an empty list ends it.
    admin.put::<Value>("/v1/agencies/council", &agency_body("council")).unwrap();
    assert!(whoami(&client(&running, key, &trusting)).is_err());
    body["certificates"] = json!([]);
    admin.put::<Value>("/v1/agencies/council", &body).unwrap();
    whoami(&client(&running, key, &trusting)).unwrap();
    body["certificates"] = json!(["00", "00", "00"]);
    assert!(admin.put::<Value>("/v1/agencies/council", &body).is_err());
    running.stop().unwrap();
}

#[test]
fn a_renewed_certificate_is_served_without_a_restart_and_an_exposed_key_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Authority::new(folder.path(), "old"), Authority::new(folder.path(), "new"));
    let (certificate, key, _) = old.sign("centre");
    let files = TlsFiles { certificate, key: key.clone(), client_authority: None };
    let running = serve(files.clone()).unwrap();
    let operator = running.first_key().unwrap().expose();
    let trusting = |name: &str| ClientTls { authority: Some(folder.path().join(name)), identity: None };
    whoami(&client(&running, &operator, &trusting("old.pem"))).unwrap();
    new.sign("centre");
    let renewed = (0..60).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        // Broken connections are tried again by the client, so one try may last two seconds.
        whoami(&client(&running, &operator, &trusting("new.pem"))).is_ok()
    });
    assert!(renewed, "the new certificate was not taken");
    running.stop().unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    match serve(files) {
        Err(StartError::Tls(error)) => assert!(error.to_string().contains("chmod 600"), "{error}"),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("an exposed key was taken"),
    }
}
