//! The way to the centre: typed requests over HTTPS, refusals as [`Problem`]s.
//!
//! May see: wire. Carries encodings, refs and an API key; never an identifier or the linkage key.

use super::keyfile::{KeyFileError, read_private_up_to};
use crate::wire::messages::{PROBLEM_TYPE, Problem};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::http::{Method, Request, Response};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig};
use zeroize::Zeroizing;

/// Bytes of an answer that are read at most.
const ANSWER_BYTES_MAX: u64 = 64 << 20;
/// Bytes of a private key in PEM form at most.
const PEM_BYTES_MAX: u64 = 64 << 10;
/// Tries of one request when the connection breaks, and the pause before the second (doubling).
const TRIES: u32 = 4;
const PAUSE_FIRST: Duration = Duration::from_millis(250);

/// Why the centre could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No answer, after several tries.
    #[error("the centre at {address} does not answer ({reason}): is it running, is the address right?")]
    Unreachable {
        /// Where it was asked.
        address: String,
        /// What the connection said.
        reason: String,
    },
    /// The centre refused, and said why.
    #[error("the centre refused ({}): {}", .0.status, .0.detail.as_ref().unwrap_or(&.0.title))]
    Refused(Problem),
    /// Something answered that is not the centre, or another version of it.
    #[error("what answers at {address} is not a blindlink centre of this version: {what}")]
    Protocol {
        /// Where it was asked.
        address: String,
        /// What was wrong with the answer.
        what: &'static str,
    },
    /// A certificate or its key could not be read.
    #[error("{0} is not in PEM form, or cannot be read")]
    Certificate(&'static str),
    /// The agency's own private key breaks a rule of secret files.
    #[error("client_key: {0}")]
    Key(#[from] KeyFileError),
    /// The API key is not of the form `id.secret`.
    #[error("the API key is not of the form id.secret: take the line that was printed when it was issued")]
    Token,
}

impl ClientError {
    /// Code of the refusal (`key-mismatch`), when the centre refused.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(problem) => problem.kind.strip_prefix("urn:blindlink:problem:"),
            _ => None,
        }
    }
}

/// An API key `id.secret`; wiped when dropped, shown by its id only.
#[derive(Clone)]
pub struct ApiToken(Zeroizing<String>);

impl ApiToken {
    /// Parses `id.secret`.
    ///
    /// # Errors
    /// [`ClientError::Token`].
    pub fn parse(text: &str) -> Result<Self, ClientError> {
        let plain = |t: &str| !t.is_empty() && t.len() <= 128 && t.bytes().all(|b| b.is_ascii_graphic());
        match text.trim().split_once('.') {
            Some((id, secret)) if plain(id) && plain(secret) => {
                Ok(Self(Zeroizing::new(text.trim().to_owned())))
            }
            _ => Err(ClientError::Token),
        }
    }
}
impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiToken({}.***)", self.0.split('.').next().unwrap_or_default())
    }
}

/// What a connection trusts and shows; paths of PEM files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// Certificates to trust for the centre, instead of the public authorities.
    pub authority: Option<PathBuf>,
    /// The agency's own certificate and its key, where the centre binds keys to it.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl ClientTls {
    fn config(&self) -> Result<TlsConfig, ClientError> {
        let mut config = TlsConfig::builder();
        if let Some(path) = &self.authority {
            let roots = certificates(path).ok_or(ClientError::Certificate("the certificate authority"))?;
            config = config.root_certs(RootCerts::new_with_certs(&roots));
        }
        if let Some((certificate, key)) = &self.identity {
            let chain = certificates(certificate).ok_or(ClientError::Certificate("client_certificate"))?;
            let wrong = ClientError::Certificate("client_key");
            let pem = read_private_up_to(key, PEM_BYTES_MAX)?;
            let key = PrivateKey::from_pem(pem.as_bytes()).map_err(|_| wrong)?;
            config = config.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
        }
        Ok(config.build())
    }
}

/// The certificates of a PEM file, at least one.
fn certificates(path: &Path) -> Option<Vec<Certificate<'static>>> {
    let pem = std::fs::read(path).ok()?;
    let mut found = Vec::new();
    for item in ureq::tls::parse_pem(&pem) {
        if let PemItem::Certificate(certificate) = item.ok()? {
            found.push(certificate);
        }
    }
    (!found.is_empty()).then_some(found)
}

/// A connection to one centre with one API key.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    address: String,
    token: ApiToken,
    /// The member of staff who acts, an account name.
    user: Option<String>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({}, {:?})", self.address, self.token)
    }
}

impl Client {
    /// A client of the centre at `address` (validated by the configuration).
    ///
    /// # Errors
    /// [`ClientError::Certificate`] when a file of `tls` cannot be read.
    pub fn new(address: &str, token: ApiToken, tls: &ClientTls) -> Result<Self, ClientError> {
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_global(Some(Duration::from_secs(300)))
            .max_redirects(0)
            .user_agent(concat!("blindlink/", env!("CARGO_PKG_VERSION")));
        config = config.tls_config(tls.config()?);
        let address = address.trim_end_matches('/').to_owned();
        Ok(Self { agent: config.build().into(), address, token, user: None })
    }

    /// The same client, saying with each request which member of staff acts: an account name. The centre asks
    /// for it with every question.
    #[must_use]
    pub fn acting_for(mut self, user: &str) -> Self {
        self.user = Some(user.to_owned());
        self
    }

    /// Where the centre is.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// `GET path`, the answer as `T`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.json(&Method::GET, path, Vec::new(), &[])
    }

    /// `GET path`, the answer as it comes.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn get_bytes(&self, path: &str) -> Result<Vec<u8>, ClientError> {
        self.send(&Method::GET, path, &[], &[])
    }

    /// `POST path` with a JSON body. `once` makes a repeated request the same request.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        once: Option<&str>,
    ) -> Result<T, ClientError> {
        let headers = [("Content-Type", "application/json"), ("Idempotency-Key", once.unwrap_or_default())];
        let headers = if once.is_some() { &headers[..] } else { &headers[..1] };
        self.json(&Method::POST, path, self.encode(body)?, headers)
    }

    /// `PUT path` with a JSON body.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        self.json(&Method::PUT, path, self.encode(body)?, &[("Content-Type", "application/json")])
    }

    /// `PUT path` with bytes of a media type; the answer's body is not read.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn put_bytes(&self, path: &str, media_type: &str, bytes: Vec<u8>) -> Result<(), ClientError> {
        self.send(&Method::PUT, path, &bytes, &[("Content-Type", media_type)]).map(drop)
    }

    fn encode(&self, body: &impl Serialize) -> Result<Vec<u8>, ClientError> {
        serde_json::to_vec(body).map_err(|_| self.protocol("the request could not be written as JSON"))
    }

    fn protocol(&self, what: &'static str) -> ClientError {
        ClientError::Protocol { address: self.address.clone(), what }
    }

    fn json<T: DeserializeOwned>(
        &self,
        method: &Method,
        path: &str,
        body: Vec<u8>,
        headers: &[(&str, &str)],
    ) -> Result<T, ClientError> {
        let bytes = self.send(method, path, &body, headers)?;
        serde_json::from_slice(&bytes).map_err(|_| self.protocol("the answer is not the expected JSON"))
    }

    /// Sends, again after a broken connection: every request of this client may be repeated.
    fn send(
        &self,
        method: &Method,
        path: &str,
        body: &[u8],
        headers: &[(&str, &str)],
    ) -> Result<Vec<u8>, ClientError> {
        let mut pause = PAUSE_FIRST;
        for attempt in 1.. {
            let answer = self.request(method, path, body, headers);
            match answer {
                Ok(response) => return self.read(response),
                Err(ureq::Error::Io(_) | ureq::Error::ConnectionFailed | ureq::Error::Timeout(_))
                    if attempt < TRIES =>
                {
                    std::thread::sleep(pause);
                    pause *= 2;
                }
                Err(error) => {
                    let reason = error.to_string();
                    return Err(ClientError::Unreachable { address: self.address.clone(), reason });
                }
            }
        }
        Err(self.protocol("no answer"))
    }

    fn request(
        &self,
        method: &Method,
        path: &str,
        body: &[u8],
        headers: &[(&str, &str)],
    ) -> Result<Response<ureq::Body>, ureq::Error> {
        let bearer = Zeroizing::new(format!("Bearer {}", self.token.0.as_str()));
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.address))
            .header("Authorization", bearer.as_str());
        if let Some(user) = &self.user {
            request = request.header("Acting-User", user);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if method == Method::GET {
            self.agent.run(request.body(())?)
        } else {
            self.agent.run(request.body(body)?)
        }
    }

    fn read(&self, response: Response<ureq::Body>) -> Result<Vec<u8>, ClientError> {
        let status = response.status();
        let media = response.headers().get("content-type").and_then(|value| value.to_str().ok());
        let problem = media.is_some_and(|media| media.starts_with(PROBLEM_TYPE));
        let mut bytes = Vec::new();
        let mut body = response.into_body().into_reader().take(ANSWER_BYTES_MAX);
        body.read_to_end(&mut bytes).map_err(|_| self.protocol("the answer broke off"))?;
        if status.is_success() {
            return Ok(bytes);
        }
        match serde_json::from_slice(&bytes) {
            Ok(refusal) if problem => Err(ClientError::Refused(refusal)),
            _ => Err(self.protocol("a refusal without a reason")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_shows_its_id_only() {
        let token = ApiToken::parse("k1.s3cr3t\n").unwrap();
        assert_eq!(format!("{token:?}"), "ApiToken(k1.***)");
        for bad in ["", "abc", ".x", "x.", "a b.c"] {
            assert!(ApiToken::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn nothing_listening_is_said_plainly() {
        let port = {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap().port()
        };
        let token = ApiToken::parse("a.b").unwrap();
        let client = Client::new(&format!("http://127.0.0.1:{port}"), token, &ClientTls::default()).unwrap();
        let error = client.get::<serde_json::Value>("/v1/whoami").unwrap_err();
        assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
        assert!(!error.to_string().contains("a.b"));
    }
}
