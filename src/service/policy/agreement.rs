//! The agreement between the agencies of a project: one versioned, machine-readable document.
//!
//! What is not written in it is not allowed. It is parsed once; an [`Agreement`] that exists is valid.

use crate::wire::messages::Line;
use crate::wire::{AgencyId, LawfulBasis, ProjectId, PurposeCode, UtcTime, limits};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// Version of the document's format.
pub const AGREEMENT_FORMAT_VERSION: u32 = 1;
/// Longest retention: from birth to the twenty-fifth birthday.
pub const RETENTION_MONTHS_MAX: u16 = 300;
const PURPOSES_MAX: usize = 64;
/// Budgets of a trial.
const TRIAL_BUDGETS: BudgetTerms = BudgetTerms {
    user_day: 200,
    agency_month: 10_000,
    project: 100_000,
    front_door_user_day: 1,
    front_door_agency_day: 1,
    front_door_agency_month: 1,
    misses_user_day: 1,
};

/// A calendar day, UTC; as text `2026-03-01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(jiff::civil::Date);

impl Day {
    /// The day of a point in time, in UTC.
    #[must_use]
    pub fn of(time: UtcTime) -> Self {
        let start = jiff::Timestamp::from_millisecond(time.millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        Self(start.to_zoned(jiff::tz::TimeZone::UTC).date())
    }
    /// Year, month from 1, day from 1.
    #[must_use]
    pub fn parts(self) -> (i32, u8, u8) {
        (self.0.year().into(), self.0.month().unsigned_abs(), self.0.day().unsigned_abs())
    }
    /// `year * 100 + month`, as [`crate::wire::Month`] counts.
    #[must_use]
    pub fn month_number(self) -> u32 {
        u32::from(self.0.year().unsigned_abs()) * 100 + u32::from(self.0.month().unsigned_abs())
    }
}
impl FromStr for Day {
    type Err = AgreementError;
    fn from_str(text: &str) -> Result<Self, AgreementError> {
        let shaped = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let date: Option<jiff::civil::Date> = shaped.then(|| text.parse().ok()).flatten();
        date.map(Self).ok_or(AgreementError::Day)
    }
}
impl TryFrom<String> for Day {
    type Error = AgreementError;
    fn try_from(text: String) -> Result<Self, AgreementError> {
        text.parse()
    }
}
impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What an answer may say about another agency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerLevel {
    /// That some agency knows the child; not which.
    YesNo,
    /// Which agency.
    Agency,
    /// Which agency and whom to call.
    Contact,
}

/// An agency of the agreement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// The agency.
    pub agency: AgencyId,
    /// Whether its front door (MASH) may ask about somebody who is not on its own system.
    #[serde(default)]
    pub front_door: bool,
}

/// What a request for a purpose must state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asks {
    /// A case reference.
    #[serde(default)]
    pub case: bool,
    /// That detriment to the child was considered.
    #[serde(default)]
    pub detriment: bool,
}

/// Why a party may ask.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PurposeTerms {
    /// Its code.
    pub code: PurposeCode,
    /// In words.
    pub title: Line,
    /// Lawful bases of which a request must name one; none need be named when empty.
    #[serde(default)]
    pub lawful_bases: Vec<LawfulBasis>,
    /// What else a request must state.
    #[serde(default)]
    pub asks: Asks,
    /// Whether the front door may ask for it.
    #[serde(default)]
    pub front_door: bool,
}

/// Two agencies whose records may be linked; pairs not listed never are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairTerms {
    /// The two.
    pub between: [AgencyId; 2],
    /// What each may learn of the other.
    pub answer: AnswerLevel,
}

/// How much may be asked. Every figure is at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BudgetTerms {
    /// Own records one user may ask about in a day.
    pub user_day: u32,
    /// Own records one agency may ask about in a month.
    pub agency_month: u32,
    /// Questions of all agencies over the project's life.
    pub project: u32,
    /// People not on the own system one front-door user may ask about in a day.
    pub front_door_user_day: u32,
    /// The same for all users of one front door together: user names are the agency's to invent.
    pub front_door_agency_day: u32,
    /// The same in a month.
    pub front_door_agency_month: u32,
    /// Front-door questions in a day that found nobody, or almost somebody, before the user is stopped.
    pub misses_user_day: u32,
}

/// The document as written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgreementDocument {
    /// [`AGREEMENT_FORMAT_VERSION`].
    pub format_version: u32,
    /// The project it governs.
    pub project: ProjectId,
    /// Counts from 1; each change is a new revision.
    pub revision: u32,
    /// For people.
    pub title: Line,
    /// First day on which it holds.
    pub starts: Day,
    /// Last day on which it holds. There is no agreement without an end.
    pub ends: Day,
    /// Its agencies, at least two.
    pub parties: Vec<Party>,
    /// Its purposes, at least one.
    pub purposes: Vec<PurposeTerms>,
    /// Which pairs may be linked, at least one.
    pub pairs: Vec<PairTerms>,
    /// Months an encoding is kept after its last upload, 1 to [`RETENTION_MONTHS_MAX`].
    pub retention_months: u16,
    /// Counts below this are suppressed: 5 or more.
    pub suppress_below: u32,
    /// How much may be asked.
    pub budgets: BudgetTerms,
    /// One front-door question in this many is put before a second person; 0 for none.
    pub second_look_every: u32,
    /// Whether keyed exact tokens (NHS number, UPN) may be uploaded.
    #[serde(default)]
    pub exact_tokens: bool,
    /// Whether encodings stand between runs; otherwise a run's answers are given and they are erased.
    #[serde(default)]
    pub standing: bool,
}

/// Why a document is no agreement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgreementError {
    /// Not a [`Day`].
    #[error("a day is YYYY-MM-DD")]
    Day,
    /// Written for another program version.
    #[error(
        "format_version must be {AGREEMENT_FORMAT_VERSION}: convert the agreement or update this program"
    )]
    Version,
    /// A figure outside its range.
    #[error("{field} must be {range}")]
    Range {
        /// Which field.
        field: &'static str,
        /// What it may be.
        range: &'static str,
    },
    /// The same thing twice.
    #[error("{field} has {id} twice: keep one")]
    Twice {
        /// Which list.
        field: &'static str,
        /// Which id.
        id: String,
    },
    /// A pair names an agency that is no party, or one agency twice.
    #[error("pairs has {a} with {b}: both must be parties, and two different ones")]
    Pair {
        /// One.
        a: AgencyId,
        /// The other.
        b: AgencyId,
    },
    /// A front door without a purpose, or the reverse.
    #[error("a front-door purpose needs a front-door party and the reverse: set both or neither")]
    FrontDoor,
    /// A front door where encodings are erased after their run would say "nobody" of everybody.
    #[error("a front door compares with what is kept: it needs standing = true")]
    FrontDoorStanding,
}

/// A valid agreement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "AgreementDocument", into = "AgreementDocument")]
pub struct Agreement(AgreementDocument);

impl Agreement {
    /// The document.
    #[must_use]
    pub const fn terms(&self) -> &AgreementDocument {
        &self.0
    }
    /// The party, if the agency is one.
    #[must_use]
    pub fn party(&self, agency: &AgencyId) -> Option<&Party> {
        self.0.parties.iter().find(|party| party.agency == *agency)
    }
    /// The terms of a purpose, if it is one of the agreement's.
    #[must_use]
    pub fn purpose(&self, code: &PurposeCode) -> Option<&PurposeTerms> {
        self.0.purposes.iter().find(|purpose| purpose.code == *code)
    }
    /// What the two may learn of each other; `None`: their records must never be linked. Give this to the
    /// engine's choice of dataset pairs, not only to the answer.
    #[must_use]
    pub fn pair(&self, a: &AgencyId, b: &AgencyId) -> Option<AnswerLevel> {
        let same = |pair: &&PairTerms| {
            let [x, y] = &pair.between;
            (x == a && y == b) || (x == b && y == a)
        };
        self.0.pairs.iter().find(same).map(|pair| pair.answer)
    }
}

impl Agreement {
    /// What holds in a project for which nobody has proposed an agreement: a trial among `parties`, each pair
    /// linked and answered in full, small budgets, no front door. It may have fewer than two parties.
    #[must_use]
    pub fn trial(
        project: &ProjectId,
        title: &Line,
        purposes: &[PurposeCode],
        parties: &[AgencyId],
        [starts, ends]: [Day; 2],
    ) -> Self {
        let purpose = |code: &PurposeCode| PurposeTerms {
            code: code.clone(),
            title: title.clone(),
            lawful_bases: Vec::new(),
            asks: Asks::default(),
            front_door: false,
        };
        let pairs = parties.iter().enumerate().flat_map(|(at, a)| {
            let with =
                |b: &AgencyId| PairTerms { between: [a.clone(), b.clone()], answer: AnswerLevel::Contact };
            parties[at + 1..].iter().map(with)
        });
        Self(AgreementDocument {
            format_version: AGREEMENT_FORMAT_VERSION,
            project: project.clone(),
            revision: 0,
            title: title.clone(),
            starts,
            ends,
            parties: parties.iter().map(|id| Party { agency: id.clone(), front_door: false }).collect(),
            purposes: purposes.iter().map(purpose).collect(),
            pairs: pairs.collect(),
            retention_months: RETENTION_MONTHS_MAX,
            suppress_below: 5,
            budgets: TRIAL_BUDGETS,
            second_look_every: 1,
            exact_tokens: true,
            standing: true,
        })
    }
}

impl TryFrom<AgreementDocument> for Agreement {
    type Error = AgreementError;
    fn try_from(document: AgreementDocument) -> Result<Self, AgreementError> {
        check_figures(&document).and_then(|()| check_lists(&document))?;
        let agreement = Self(document);
        let foreign =
            |[a, b]: &&[AgencyId; 2]| a == b || agreement.party(a).is_none() || agreement.party(b).is_none();
        if let Some([a, b]) = agreement.0.pairs.iter().map(|pair| &pair.between).find(foreign) {
            return Err(AgreementError::Pair { a: a.clone(), b: b.clone() });
        }
        let door = agreement.0.parties.iter().any(|party| party.front_door);
        match agreement.0.purposes.iter().any(|purpose| purpose.front_door) {
            purpose if purpose != door => Err(AgreementError::FrontDoor),
            true if !agreement.0.standing => Err(AgreementError::FrontDoorStanding),
            _ => Ok(agreement),
        }
    }
}
impl From<Agreement> for AgreementDocument {
    fn from(agreement: Agreement) -> Self {
        agreement.0
    }
}

fn check_figures(document: &AgreementDocument) -> Result<(), AgreementError> {
    if document.format_version != AGREEMENT_FORMAT_VERSION {
        return Err(AgreementError::Version);
    }
    let BudgetTerms {
        user_day,
        agency_month,
        project,
        front_door_user_day,
        front_door_agency_day,
        front_door_agency_month,
        misses_user_day,
    } = document.budgets;
    let budgets = [
        ("budgets.user_day", user_day),
        ("budgets.agency_month", agency_month),
        ("budgets.project", project),
        ("budgets.front_door_user_day", front_door_user_day),
        ("budgets.front_door_agency_day", front_door_agency_day),
        ("budgets.front_door_agency_month", front_door_agency_month),
        ("budgets.misses_user_day", misses_user_day),
    ];
    let retention = (1..=RETENTION_MONTHS_MAX).contains(&document.retention_months);
    let ranges = [
        ("revision", document.revision >= 1, "1 or more"),
        ("ends", document.ends >= document.starts, "on or after starts"),
        ("parties", (2..=limits::AGENCIES_MAX).contains(&document.parties.len()), "2 to 64 agencies"),
        ("purposes", (1..=PURPOSES_MAX).contains(&document.purposes.len()), "1 to 64 purposes"),
        ("pairs", !document.pairs.is_empty(), "at least one pair"),
        ("retention_months", retention, "1 to 300"),
        ("suppress_below", (5..=100).contains(&document.suppress_below), "5 to 100"),
    ];
    let zero = budgets.into_iter().map(|(field, figure)| (field, figure >= 1, "1 or more"));
    match ranges.into_iter().chain(zero).find(|(_, holds, _)| !holds) {
        Some((field, _, range)) => Err(AgreementError::Range { field, range }),
        None => Ok(()),
    }
}

fn check_lists(document: &AgreementDocument) -> Result<(), AgreementError> {
    once("parties", document.parties.iter().map(|party| party.agency.to_string()))?;
    once("purposes", document.purposes.iter().map(|purpose| purpose.code.to_string()))?;
    let named = |[a, b]: &[AgencyId; 2]| format!("{} with {}", a.min(b), a.max(b));
    once("pairs", document.pairs.iter().map(|pair| named(&pair.between)))
}

fn once(field: &'static str, ids: impl Iterator<Item = String>) -> Result<(), AgreementError> {
    let mut seen = BTreeSet::new();
    for id in ids {
        if let Some(id) = seen.replace(id) {
            return Err(AgreementError::Twice { field, id });
        }
    }
    Ok(())
}

#[cfg(test)]
pub(in crate::service) mod tests {
    use super::*;

    pub(in crate::service) const EXAMPLE: &str = include_str!("../../../testdata/agreements/mash.toml");

    pub(in crate::service) fn example() -> Agreement {
        toml::from_str(EXAMPLE).unwrap()
    }
    fn changed(from: &str, to: &str) -> Result<Agreement, toml::de::Error> {
        assert!(EXAMPLE.contains(from), "{from}");
        toml::from_str(&EXAMPLE.replacen(from, to, 1))
    }

    #[test]
    fn the_example_is_valid_and_round_trips() {
        let agreement = example();
        let json = serde_json::to_string(&agreement).unwrap();
        assert_eq!(serde_json::from_str::<Agreement>(&json).unwrap(), agreement);
        let (council, health) = ("council".parse().unwrap(), "health".parse().unwrap());
        assert_eq!(agreement.pair(&health, &council), Some(AnswerLevel::Contact));
        assert_eq!(agreement.pair(&health, &"police".parse().unwrap()), None);
        assert_eq!(agreement.pair(&health, &health), None);
    }

    #[test]
    fn bad_documents_are_refused_with_the_field() {
        for (from, to, said) in [
            ("format_version = 1", "format_version = 2", "format_version"),
            ("revision = 3", "revision = 0", "revision"),
            ("ends = \"2027-03-31\"", "ends = \"2025-03-31\"", "ends"),
            ("ends = \"2027-03-31\"", "ends = \"31/03/2027\"", "YYYY-MM-DD"),
            ("ends = \"2027-03-31\"", "ends = \"2027-02-30\"", "YYYY-MM-DD"),
            ("retention_months = 13", "retention_months = 301", "retention_months"),
            ("suppress_below = 5", "suppress_below = 4", "suppress_below"),
            ("user_day = 40", "user_day = 0", "budgets.user_day"),
            ("agency = \"police\"", "agency = \"health\"", "twice"),
            ("[\"council\", \"police\"]", "[\"council\", \"council\"]", "two different"),
            ("[\"council\", \"police\"]", "[\"council\", \"school\"]", "must be parties"),
            ("[\"council\", \"police\"]", "[\"health\", \"council\"]", "twice"),
            ("front_door = true", "front_door = false", "front-door"),
            ("standing = true", "standing = false", "standing"),
            ("exact_tokens = false", "exact_token = false", "unknown field"),
            ("answer = \"contact\"", "answer = \"everything\"", "unknown variant"),
        ] {
            let error = changed(from, to).expect_err(to).to_string();
            assert!(error.contains(said), "{to}: {error}");
        }
    }

    #[test]
    fn days_follow_utc() {
        let time: UtcTime = "2026-02-28T23:59:59.999Z".parse().unwrap();
        assert_eq!(Day::of(time).to_string(), "2026-02-28");
        assert_eq!(Day::of(time).month_number(), 202_602);
        assert!("2026-2-28".parse::<Day>().is_err());
    }
}
