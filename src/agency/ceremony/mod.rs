//! The key ceremony: how the linkage key reaches another agency, and nobody else.
//!
//! May see: the linkage key, wire. Four steps, by two people at each end; the centre takes no part:
//!
//! 1. The agency that joins makes a [`Request`]: the public half of a key made for this once. It is sent in any way.
//! 2. Its eight words are read out on the telephone; who holds the linkage key types what they hear. So a request
//!    that somebody changed on the way is found before anything is encrypted to it.
//! 3. The linkage key goes back as an exchange file, encrypted to that request alone (age, X25519).
//! 4. The eight words of the exchange are read out; who joins types what they hear. So a file that brings another
//!    key is found before the key is written. The once-only identity is then destroyed.
//!
//! Refused: words that differ, one person in both places, a request that is old or from the future, another
//! project's, epoch's or agency's file, a file that was changed. No message holds a key.

mod words;

pub use words::{SpokenError, SpokenWords, WORDS};

use super::key::{KeyError, LinkageKey};
use crate::wire::messages::Line;
use crate::wire::{AgencyId, Epoch, ProjectId, UtcTime};
use age::secrecy::ExposeSecret;
use age::x25519;
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroizing;

/// Hours for which a request may be answered.
pub const REQUEST_HOURS: u32 = 7 * 24;
/// Bytes of a request or exchange file.
pub const CEREMONY_BYTES_MAX: u64 = 16 << 10;
const REQUEST_KIND: &str = "blindlink key request 1";
const EXCHANGE_KIND: &str = "blindlink key exchange 1";
const REQUEST_WORDS: &str = "blindlink 1 words of a key request";
const EXCHANGE_WORDS: &str = "blindlink 1 words of a key exchange";
const KEY_WORDS: &str = "blindlink 1 words of a linkage key";
/// Hours by which the clocks of two agencies may differ.
const SKEW_HOURS: u32 = 24;

/// Why a step of the ceremony is refused.
#[derive(Debug, thiserror::Error)]
pub enum CeremonyError {
    /// The words heard are not those of the file.
    #[error(
        "the words do not belong to this file: stop, and tell the other agency by a way you trust; somebody may have \
         changed the file"
    )]
    Words,
    /// One person in both places.
    #[error("the ceremony takes two people: name another one as witness")]
    OnePerson,
    /// The request is too old.
    #[error("the request was made at {made}, more than {REQUEST_HOURS} hours ago: have a new one made")]
    Old {
        /// When.
        made: UtcTime,
    },
    /// The request is from the future.
    #[error("the request was made at {made}, which has not come yet: compare the clocks of both machines")]
    Future {
        /// When.
        made: UtcTime,
    },
    /// An agency invites itself.
    #[error("the request is of this agency itself: nothing has to travel")]
    Own,
    /// The exchange answers another request.
    #[error("the exchange is for another {what}: take the file that answers this request")]
    Other {
        /// Agency, project, epoch or request.
        what: &'static str,
    },
    /// Not a request.
    #[error("not a key request of this program, or cut short")]
    Request,
    /// Not an exchange for this identity.
    #[error("the exchange does not open: it was encrypted to another request, changed, or cut short")]
    Exchange,
    /// Not the identity of a request.
    #[error("not the identity that was made with a key request")]
    Identity,
    /// It could not be encrypted.
    #[error("the linkage key could not be encrypted: nothing was written")]
    Encrypt,
    /// The key inside is none.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// Two people, who must not be one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct People {
    /// Who works the machine.
    pub person: Line,
    /// Who speaks on the telephone and watches.
    pub witness: Line,
}

impl People {
    /// Two people of different names.
    ///
    /// # Errors
    /// [`CeremonyError::OnePerson`].
    pub fn new(person: Line, witness: Line) -> Result<Self, CeremonyError> {
        let plain = |name: &Line| name.as_str().split_whitespace().collect::<String>().to_lowercase();
        if plain(&person) == plain(&witness) {
            Err(CeremonyError::OnePerson)
        } else {
            Ok(Self { person, witness })
        }
    }
}

/// What an agency that joins sends to one that holds the linkage key. Holds nothing secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    kind: String,
    /// Who joins.
    pub agency: AgencyId,
    /// Which agreement.
    pub project: ProjectId,
    /// Which life of the linkage key.
    pub epoch: Epoch,
    /// To whom the key is to be encrypted: an age recipient made for this once.
    recipient: String,
    /// When it was made.
    pub made: UtcTime,
    /// By whom.
    pub people: People,
}

/// The secret half of a request; lives on the machine that made it until the key has come.
pub struct Identity(x25519::Identity);

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(..)")
    }
}

impl Identity {
    /// Reads the line that [`Identity::to_text`] wrote.
    ///
    /// # Errors
    /// [`CeremonyError::Identity`].
    pub fn from_text(text: &str) -> Result<Self, CeremonyError> {
        text.trim_end().parse().map(Self).map_err(|_| CeremonyError::Identity)
    }
    /// The one line to keep in a file only its owner can read.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}\n", self.0.to_string().expose_secret()))
    }
}

impl Request {
    /// A request of `agency`, and the secret that opens the answer.
    #[must_use]
    pub fn new(
        agency: AgencyId,
        project: ProjectId,
        epoch: Epoch,
        people: People,
        made: UtcTime,
    ) -> (Self, Identity) {
        let identity = x25519::Identity::generate();
        let recipient = identity.to_public().to_string();
        let kind = REQUEST_KIND.to_owned();
        (Self { kind, agency, project, epoch, recipient, made, people }, Identity(identity))
    }

    /// Reads a request file.
    ///
    /// # Errors
    /// [`CeremonyError::Request`], [`CeremonyError::OnePerson`].
    pub fn from_text(text: &str) -> Result<Self, CeremonyError> {
        let request: Self = serde_json::from_str(text).map_err(|_| CeremonyError::Request)?;
        let known = request.kind == REQUEST_KIND && request.recipient.parse::<x25519::Recipient>().is_ok();
        if !known {
            return Err(CeremonyError::Request);
        }
        People::new(request.people.person.clone(), request.people.witness.clone())?;
        Ok(request)
    }

    /// The request as a file.
    ///
    /// # Errors
    /// [`CeremonyError::Request`] if it cannot be written.
    pub fn to_text(&self) -> Result<String, CeremonyError> {
        serde_json::to_string_pretty(self).map(|text| text + "\n").map_err(|_| CeremonyError::Request)
    }

    /// What is read out so that nobody can put another request in its place.
    #[must_use]
    pub fn words(&self) -> SpokenWords {
        let [agency, project, recipient, person] = self.parts();
        let (epoch, made) = (self.epoch.number().to_le_bytes(), self.made.millis().to_le_bytes());
        let witness = self.people.witness.as_str().as_bytes();
        SpokenWords::of(REQUEST_WORDS, &[agency, project, recipient, person, witness, &epoch, &made])
    }

    fn parts(&self) -> [&[u8]; 4] {
        let ids = [self.agency.as_str().as_bytes(), self.project.as_str().as_bytes()];
        [ids[0], ids[1], self.recipient.as_bytes(), self.people.person.as_str().as_bytes()]
    }

    fn check_age(&self, now: UtcTime) -> Result<(), CeremonyError> {
        let made = self.made;
        if made.plus_hours(REQUEST_HOURS) < now {
            return Err(CeremonyError::Old { made });
        }
        if now.plus_hours(SKEW_HOURS) < made {
            return Err(CeremonyError::Future { made });
        }
        Ok(())
    }

    /// What is read out so that nobody can put another key in the place of `key`.
    fn exchange_words(&self, key: &LinkageKey) -> SpokenWords {
        let check = key.epoch(&self.project, self.epoch).check();
        let epoch = self.epoch.number().to_le_bytes();
        let [agency, project, recipient, _] = self.parts();
        SpokenWords::of(EXCHANGE_WORDS, &[agency, project, recipient, &epoch, check.as_bytes()])
    }
}

/// The words by which agencies that hold a linkage key can compare it at any time.
#[must_use]
pub fn key_words(key: &LinkageKey, project: &ProjectId, epoch: Epoch) -> SpokenWords {
    let check = key.epoch(project, epoch).check();
    SpokenWords::of(
        KEY_WORDS,
        &[project.as_str().as_bytes(), &epoch.number().to_le_bytes(), check.as_bytes()],
    )
}

/// Step 3, at the agency that holds the key: the exchange file for a request whose words were heard, and the words
/// to be read out in turn.
///
/// # Errors
/// [`CeremonyError::Words`], [`CeremonyError::Old`], [`CeremonyError::Future`], [`CeremonyError::Own`],
/// [`CeremonyError::Encrypt`].
pub fn invite(
    key: &LinkageKey,
    from: &AgencyId,
    request: &Request,
    heard: &SpokenWords,
    people: &People,
    now: UtcTime,
) -> Result<(String, SpokenWords), CeremonyError> {
    if !request.words().agree(heard) {
        return Err(CeremonyError::Words);
    }
    if *from == request.agency {
        return Err(CeremonyError::Own);
    }
    request.check_age(now)?;
    let recipient: x25519::Recipient = request.recipient.parse().map_err(|_| CeremonyError::Request)?;
    let Request { agency, project, epoch, recipient: to, .. } = request;
    let People { person, witness } = people;
    let line = key.to_text();
    let head = [EXCHANGE_KIND, from.as_str(), agency.as_str(), project.as_str()].join("\n");
    let mut plain = Zeroizing::new(Vec::with_capacity(2_048));
    for part in
        [&head, "\n", &epoch.to_string(), "\n", to, "\n", person.as_str(), "\n", witness.as_str(), "\n"]
    {
        plain.extend_from_slice(part.as_bytes());
    }
    plain.extend_from_slice(line.as_bytes());
    let sealed = age::encrypt_and_armor(&recipient, &plain).map_err(|_| CeremonyError::Encrypt)?;
    Ok((sealed, request.exchange_words(key)))
}

/// Who sent the key that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// Which agency.
    pub agency: AgencyId,
    /// Who did it there.
    pub people: People,
}

/// Step 4, at the agency that joins: the linkage key of an exchange whose words were heard.
///
/// # Errors
/// [`CeremonyError::Exchange`], [`CeremonyError::Other`], [`CeremonyError::Words`], [`CeremonyError::OnePerson`].
pub fn join(
    request: &Request,
    identity: &Identity,
    exchange: &str,
    heard: &SpokenWords,
) -> Result<(LinkageKey, Sender), CeremonyError> {
    if identity.0.to_public().to_string() != request.recipient {
        return Err(CeremonyError::Identity);
    }
    let plain = age::decrypt(&identity.0, exchange.as_bytes()).map(Zeroizing::new);
    let plain = plain.map_err(|_| CeremonyError::Exchange)?;
    let text = std::str::from_utf8(&plain).map_err(|_| CeremonyError::Exchange)?;
    let lines: Vec<&str> = text.lines().collect();
    let [kind, from, to, project, epoch, recipient, person, witness, key] = lines[..] else {
        return Err(CeremonyError::Exchange);
    };
    if kind != EXCHANGE_KIND {
        return Err(CeremonyError::Exchange);
    }
    let wanted = [
        (to, request.agency.as_str(), "agency"),
        (project, request.project.as_str(), "project"),
        (epoch, &*request.epoch.to_string(), "epoch"),
        (recipient, &*request.recipient, "request"),
    ];
    if let Some((_, _, what)) = wanted.into_iter().find(|(found, expected, _)| found != expected) {
        return Err(CeremonyError::Other { what });
    }
    let key = LinkageKey::from_text(key)?;
    if !request.exchange_words(&key).agree(heard) {
        return Err(CeremonyError::Words);
    }
    let name = |text: &str| text.parse::<Line>().map_err(|_| CeremonyError::Exchange);
    let people = People::new(name(person)?, name(witness)?)?;
    let agency = from.parse().map_err(|_| CeremonyError::Exchange)?;
    Ok((key, Sender { agency, people }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people(person: &str, witness: &str) -> People {
        People::new(person.parse().unwrap(), witness.parse().unwrap()).unwrap()
    }
    fn at(text: &str) -> UtcTime {
        text.parse().unwrap()
    }
    fn request(agency: &str) -> (Request, Identity) {
        let (project, people) = ("mash".parse().unwrap(), people("A. Officer", "B. Manager"));
        Request::new(agency.parse().unwrap(), project, Epoch::FIRST, people, at("2026-03-01T09:00:00Z"))
    }
    fn answer(key: &LinkageKey, request: &Request) -> (String, SpokenWords) {
        let (from, now) = ("council".parse().unwrap(), at("2026-03-02T09:00:00Z"));
        invite(key, &from, request, &request.words(), &people("C. Keeper", "D. Witness"), now).unwrap()
    }

    #[test]
    fn the_key_arrives_whole_and_only_where_it_was_asked_for() {
        let key = LinkageKey::generate().unwrap();
        let (request, identity) = request("police");
        let file = Request::from_text(&request.to_text().unwrap()).unwrap();
        assert_eq!(file, request);
        let (exchange, words) = answer(&key, &file);
        assert!(exchange.starts_with("-----BEGIN AGE ENCRYPTED FILE-----"));
        let line = key.to_text();
        let digits = line.trim_end().split(' ').nth(1).unwrap();
        assert!(!exchange.contains(digits) && !exchange.contains("police"), "in clear");
        let identity = Identity::from_text(&identity.to_text()).unwrap();
        let heard = words.to_string().parse().unwrap();
        let (came, sender) = join(&request, &identity, &exchange, &heard).unwrap();
        assert!(came == key);
        assert_eq!(sender.agency.as_str(), "council");
        assert_eq!(sender.people, people("C. Keeper", "D. Witness"));
        let same = |epoch| key_words(&came, &request.project, epoch);
        assert!(same(Epoch::FIRST).agree(&key_words(&key, &request.project, Epoch::FIRST)));
        assert!(!same(Epoch::FIRST).agree(&same(Epoch::try_from(2).unwrap())));
        for shown in [format!("{identity:?}"), format!("{request:?}"), format!("{sender:?}")] {
            assert!(!shown.contains(digits) && !shown.contains("SECRET"), "{shown}");
        }
    }

    #[test]
    fn a_request_or_key_put_in_anothers_place_is_found_by_its_words() {
        let key = LinkageKey::generate().unwrap();
        let (honest, identity) = request("police");
        let (forged, forger) = request("police");
        let (from, now) = ("council".parse().unwrap(), at("2026-03-02T09:00:00Z"));
        let two = people("C", "D");
        let refused = invite(&key, &from, &forged, &honest.words(), &two, now).unwrap_err();
        assert!(matches!(refused, CeremonyError::Words));
        // Somebody in the middle encrypts a key of their own to the honest request.
        let (exchange, words) = answer(&key, &honest);
        let (planted, _) = answer(&LinkageKey::generate().unwrap(), &honest);
        assert!(matches!(join(&honest, &identity, &planted, &words), Err(CeremonyError::Words)));
        assert!(matches!(join(&honest, &forger, &exchange, &words), Err(CeremonyError::Identity)));
        assert!(matches!(join(&forged, &forger, &exchange, &words), Err(CeremonyError::Exchange)));
        join(&honest, &identity, &exchange, &words).unwrap();
    }

    #[test]
    fn people_times_and_places_are_checked() {
        let one = |a: &str, b: &str| People::new(a.parse().unwrap(), b.parse().unwrap());
        assert!(matches!(one("A. Officer", "a.  officer"), Err(CeremonyError::OnePerson)));
        let key = LinkageKey::generate().unwrap();
        let (request, identity) = request("police");
        let by = |from: &str, now: &str| {
            invite(&key, &from.parse().unwrap(), &request, &request.words(), &people("C", "D"), at(now))
        };
        assert!(matches!(by("council", "2026-03-08T09:00:01Z"), Err(CeremonyError::Old { .. })));
        assert!(matches!(by("council", "2026-02-28T08:59:59Z"), Err(CeremonyError::Future { .. })));
        assert!(matches!(by("police", "2026-03-02T09:00:00Z"), Err(CeremonyError::Own)));
        let (exchange, words) = by("council", "2026-03-02T09:00:00Z").unwrap();
        for (what, other) in [
            ("agency", Request { agency: "health".parse().unwrap(), ..request.clone() }),
            ("project", Request { project: "other".parse().unwrap(), ..request.clone() }),
            ("epoch", Request { epoch: Epoch::try_from(2).unwrap(), ..request.clone() }),
        ] {
            match join(&other, &identity, &exchange, &words) {
                Err(CeremonyError::Other { what: found }) => assert_eq!(found, what),
                other => panic!("{what}: {other:?}"),
            }
        }
    }

    #[test]
    fn damaged_files_are_refused_and_show_nothing() {
        let key = LinkageKey::generate().unwrap();
        let (request, identity) = request("police");
        let (exchange, words) = answer(&key, &request);
        for at in (0..exchange.len()).step_by(37) {
            let mut bad = exchange.clone().into_bytes();
            bad[at] = if bad[at] == b'A' { b'B' } else { b'A' };
            let bad = String::from_utf8(bad).unwrap();
            assert!(join(&request, &identity, &bad, &words).is_err(), "byte {at}");
            assert!(join(&request, &identity, &exchange[..at], &words).is_err(), "cut at {at}");
        }
        let text = request.to_text().unwrap();
        for bad in [
            String::new(),
            "{}".to_owned(),
            text.replace("key request 1", "key request 2"),
            text.replace("age1", "age2"),
            text.replace("\"agency\"", "\"surname\""),
            text.replace("B. Manager", "A. Officer"),
        ] {
            assert!(Request::from_text(&bad).is_err(), "{bad}");
        }
        assert!(matches!(Identity::from_text("AGE-SECRET-KEY-1AAAA"), Err(CeremonyError::Identity)));
    }
}
