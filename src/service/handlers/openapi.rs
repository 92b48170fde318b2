//! The service's description for machines.

use super::Answered;
use actix_web::HttpResponse;

/// The description, as written by hand.
pub(in crate::service) const OPENAPI: &str = include_str!("../openapi.json");

pub(in crate::service) async fn openapi() -> Answered {
    Ok(HttpResponse::Ok().content_type("application/json").body(OPENAPI))
}
