//! The operator's pages: server-rendered, without scripts. They have no name to show: the centre has none.

pub(super) mod html;
pub(super) mod pages;
pub(super) mod reviews;
pub(super) mod sign;
pub(super) mod tables;

use crate::wire::{ContentDigest, KeyId, UtcTime};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Hours a session lasts.
const SESSION_HOURS: u32 = 8;
/// Sessions kept; the oldest go first.
const SESSIONS_MAX: usize = 256;
const COOKIE_NAME: &str = "blindlink_session";

/// Who is signed in. Kept in memory only: a restart signs everybody out.
pub(super) struct Sessions {
    open: Mutex<HashMap<ContentDigest, (KeyId, UtcTime)>>,
    secure: bool,
}

impl Sessions {
    /// No sessions; cookies travel over TLS only if `secure`.
    pub(super) fn new(secure: bool) -> Self {
        Self { open: Mutex::default(), secure }
    }

    /// Begins a session and returns the cookie's value; none when chance fails.
    fn begin(&self, key: &KeyId, now: UtcTime) -> Option<String> {
        let mut bytes = [0u8; 32];
        getrandom::fill(&mut bytes).ok()?;
        let value = ContentDigest::from_bytes(bytes).to_string();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|_, (_, until)| *until > now);
        if open.len() >= SESSIONS_MAX {
            let oldest = open.iter().min_by_key(|(_, (_, until))| *until).map(|(digest, _)| *digest);
            oldest.and_then(|digest| open.remove(&digest));
        }
        open.insert(ContentDigest::of(value.as_bytes()), (key.clone(), now.plus_hours(SESSION_HOURS)));
        Some(value)
    }

    /// The key of the session behind a cookie's value.
    fn key(&self, value: &str, now: UtcTime) -> Option<KeyId> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (key, until) = open.get(&ContentDigest::of(value.as_bytes()))?;
        (*until > now).then(|| key.clone())
    }

    fn end(&self, value: &str) {
        let digest = ContentDigest::of(value.as_bytes());
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&digest);
    }
}
