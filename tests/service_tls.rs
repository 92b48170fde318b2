//! TLS as agencies meet it: their authority, their own certificate, a certificate renewed while serving.

#![cfg(all(feature = "agency", feature = "central", unix))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod service_support;

use blindlink::agency::client::{ApiToken, Client, ClientError, ClientTls};
use blindlink::config::central::{CentralConfig, TlsFiles};
use blindlink::service::server::{Running, StartError, start_with};
use blindlink::store::{MemoryStore, system_clock};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
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

/// Makes the council a party of a project, bound to one certificate; its description and the answer with its key.
fn bound_council(admin: &Client, fingerprint: &str, role: &str) -> (Value, Value) {
    let mut body = agency_body("council");
    body["certificates"] = json!([fingerprint]);
    admin.put::<Value>("/v1/agencies/council", &body).unwrap();
    admin.post::<Value>("/v1/projects", &project_body("p"), None).unwrap();
    admin.put::<Value>("/v1/projects/p/agencies/council", &json!({})).unwrap();
    let new = json!({"scope": {"kind": "agency", "agency": "council", "project": "p"}, "roles": [role]});
    (body, admin.post("/v1/keys", &new, None).unwrap())
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
    let (mut body, issued) = bound_council(&admin, &fingerprint, "requester");
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

/// One request to the console as a browser sends it; the whole answer.
fn console(
    running: &Running,
    roots: &Path,
    own: Option<&(PathBuf, PathBuf)>,
    head: &str,
    form: &str,
) -> String {
    let mut trusted = rustls::RootCertStore::empty();
    trusted.add(CertificateDer::from_pem_file(roots).unwrap()).unwrap();
    let config =
        rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(trusted);
    let config = match own {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
            config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap()).unwrap()
        }
    };
    let name = rustls::pki_types::ServerName::try_from("127.0.0.1").unwrap();
    let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let tcp = std::net::TcpStream::connect(running.addr()).unwrap();
    let mut stream = rustls::StreamOwned::new(connection, tcp);
    let (length, kind) = (form.len(), "application/x-www-form-urlencoded");
    let text = format!(
        "{head}\r\nhost: centre\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{form}"
    );
    stream.write_all(text.as_bytes()).unwrap();
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn the_console_opens_to_a_bound_key_with_its_certificate_only() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let (certificate, key, _) = ours.sign("centre");
    let roots = folder.path().join("ours.pem");
    let running = serve(TlsFiles { certificate, key, client_authority: Some(roots.clone()) }).unwrap();
    let trusting = ClientTls { authority: Some(roots.clone()), identity: None };
    let admin = client(&running, &running.first_key().unwrap().expose(), &trusting);
    let (certificate, key, fingerprint) = ours.sign("council");
    let own = (certificate, key);
    let (_, issued) = bound_council(&admin, &fingerprint, "reviewer");
    let form = format!("key={}", issued["token"].as_str().unwrap());
    let sign_in = |own| console(&running, &roots, own, "POST /console/sign-in HTTP/1.1", &form);
    let refused = sign_in(None);
    assert!(refused.starts_with("HTTP/1.1 401") && !refused.contains("set-cookie"), "{refused}");
    let signed = sign_in(Some(&own));
    assert!(signed.starts_with("HTTP/1.1 303"), "{signed}");
    let cookie = signed.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let page = format!("GET /console/reviews HTTP/1.1\r\ncookie: {cookie}");
    assert!(console(&running, &roots, Some(&own), &page, "").starts_with("HTTP/1.1 200"));
    // A stolen cookie is worth as little as a stolen key.
    let stolen = console(&running, &roots, None, &page, "");
    assert!(stolen.starts_with("HTTP/1.1 303") && stolen.contains("location: /console/sign-in"), "{stolen}");
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
