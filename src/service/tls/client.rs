//! Client certificates: which one a connection showed, and whether a key may be used on it.
//!
//! An agency whose record names certificates has keys that hold on connections with one of those alone, so a
//! stolen key is worth nothing without the certificate's key. An agency without any is as before.

use crate::service::auth::Actor;
use crate::service::error::ApiError;
use crate::store::Vault;
use crate::wire::CertificateFingerprint;
use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::HttpRequest;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use sha2::{Digest, Sha256};
use std::any::Any;

/// The certificate a client proved to hold the key of, on this connection.
#[derive(Debug, Clone, Copy)]
struct Shown(CertificateFingerprint);

/// Notes the certificate of a new connection; the handshake has verified it by then.
pub(in crate::service) fn note(connection: &dyn Any, notes: &mut Extensions) {
    let Some(stream) = connection.downcast_ref::<TlsStream<TcpStream>>() else { return };
    let (_, tls) = stream.get_ref();
    if let Some(certificate) = tls.peer_certificates().and_then(<[_]>::first) {
        notes.insert(Shown(CertificateFingerprint::from_bytes(Sha256::digest(certificate).into())));
    }
}

/// Refuses a key whose agency binds its keys to other certificates than this connection's.
///
/// # Errors
/// [`ApiError::Certificate`]; the store's.
pub(in crate::service) fn check(vault: &Vault, actor: &Actor, request: &HttpRequest) -> Result<(), ApiError> {
    let Some(agency) = actor.agency() else { return Ok(()) };
    let bound = vault.agency(agency)?.map(|record| record.certificates).unwrap_or_default();
    let shown = request.conn_data::<Shown>();
    if bound.is_empty() || shown.is_some_and(|shown| bound.contains(&shown.0)) {
        Ok(())
    } else {
        Err(ApiError::Certificate)
    }
}
