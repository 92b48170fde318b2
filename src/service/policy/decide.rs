//! Decisions: agreement, request and today in; a proof of permission or the reason of refusal out.

use super::{Agreement, AnswerLevel, Day};
use crate::wire::messages::CaseReference;
use crate::wire::{AgencyId, LawfulBasis, ProjectId, PurposeCode};
use std::collections::BTreeMap;

/// Whom a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskKind {
    /// A record of the asking agency.
    OwnRecord,
    /// Somebody who is not on the asker's system: front-door role only.
    FrontDoor,
}

/// A question as far as policy sees it: never the record, never the encoding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LookupAsk<'a> {
    /// Who asks.
    pub asker: &'a AgencyId,
    /// Whom it is about.
    pub kind: AskKind,
    /// Why.
    pub purpose: Option<&'a PurposeCode>,
    /// For which case.
    pub case: Option<&'a CaseReference>,
    /// On which lawful basis.
    pub lawful_basis: Option<&'a LawfulBasis>,
    /// Whether detriment to the child was considered; absent when not stated.
    pub detriment_considered: Option<bool>,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The agency is no party. Answered like an unknown project.
    #[error("no such project")]
    NotAParty,
    /// Before the first day.
    #[error("the agreement begins on {starts}")]
    NotBegun {
        /// Its first day.
        starts: Day,
    },
    /// After the last day.
    #[error("the agreement ended on {ends}: ask the operator for a new one")]
    Ended {
        /// Its last day.
        ends: Day,
    },
    /// No purpose was given.
    #[error("a look-up must say why: give one of the agreement's purpose codes")]
    NoPurpose,
    /// The purpose is not the agreement's.
    #[error("purpose {purpose} is not one of this agreement's")]
    ForeignPurpose {
        /// What was given.
        purpose: PurposeCode,
    },
    /// A statement is missing that the purpose asks for.
    #[error("purpose {purpose} needs {missing}")]
    Missing {
        /// The purpose.
        purpose: PurposeCode,
        /// What is missing.
        missing: &'static str,
    },
    /// The lawful basis is not one the purpose allows.
    #[error("the lawful basis given is not one that purpose {purpose} allows")]
    ForeignBasis {
        /// The purpose.
        purpose: PurposeCode,
    },
    /// The agency or the purpose has no front door.
    #[error("asking about somebody who is not on your system is for front-door roles and purposes")]
    NoFrontDoor,
}

impl Refusal {
    /// The HTTP status: 404, 403 or 422.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::NotAParty => 404,
            Self::NotBegun { .. }
            | Self::Ended { .. }
            | Self::ForeignPurpose { .. }
            | Self::ForeignBasis { .. }
            | Self::NoFrontDoor => 403,
            Self::NoPurpose | Self::Missing { .. } => 422,
        }
    }
    /// A code for problem types, metrics and the ledger's result class.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotAParty => "not-found",
            Self::NotBegun { .. } => "agreement-not-begun",
            Self::Ended { .. } => "agreement-ended",
            Self::NoPurpose => "purpose-missing",
            Self::ForeignPurpose { .. } => "purpose-not-agreed",
            Self::Missing { .. } => "statement-missing",
            Self::ForeignBasis { .. } => "basis-not-agreed",
            Self::NoFrontDoor => "no-front-door",
        }
    }
}

/// Proof that a look-up may be answered, and how far. Only [`decide_lookup`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "the operation demands this proof"]
pub struct AllowedLookup {
    project: ProjectId,
    asker: AgencyId,
    kind: AskKind,
    purpose: PurposeCode,
    holders: BTreeMap<AgencyId, AnswerLevel>,
}

impl AllowedLookup {
    /// In which project.
    #[must_use]
    pub const fn project(&self) -> &ProjectId {
        &self.project
    }
    /// Who asks.
    #[must_use]
    pub const fn asker(&self) -> &AgencyId {
        &self.asker
    }
    /// Whom it is about.
    #[must_use]
    pub const fn kind(&self) -> AskKind {
        self.kind
    }
    /// Why.
    #[must_use]
    pub const fn purpose(&self) -> &PurposeCode {
        &self.purpose
    }
    /// What the answer may say about `holder`; `None`: nothing at all, as if it knew nobody.
    #[must_use]
    pub fn answer_level(&self, holder: &AgencyId) -> Option<AnswerLevel> {
        self.holders.get(holder).copied()
    }
}

/// Whether a look-up may be answered.
///
/// # Errors
/// The first [`Refusal`] in this order: party, dates, purpose, front door, statements.
pub fn decide_lookup(
    agreement: &Agreement,
    ask: &LookupAsk<'_>,
    today: Day,
) -> Result<AllowedLookup, Refusal> {
    let party = agreement.party(ask.asker).ok_or(Refusal::NotAParty)?;
    in_force(agreement, today)?;
    let code = ask.purpose.ok_or(Refusal::NoPurpose)?;
    let purpose = agreement.purpose(code).ok_or_else(|| Refusal::ForeignPurpose { purpose: code.clone() })?;
    if ask.kind == AskKind::FrontDoor && !(party.front_door && purpose.front_door) {
        return Err(Refusal::NoFrontDoor);
    }
    let missing = |missing| Err(Refusal::Missing { purpose: code.clone(), missing });
    // Who is not on the own system cannot be asked about without a case.
    if ask.case.is_none() && (purpose.asks.case || ask.kind == AskKind::FrontDoor) {
        return missing("a case reference");
    }
    if purpose.asks.detriment && ask.detriment_considered != Some(true) {
        return missing("the statement that detriment to the child was considered");
    }
    match ask.lawful_basis {
        None if !purpose.lawful_bases.is_empty() => return missing("a lawful basis"),
        Some(basis) if !purpose.lawful_bases.is_empty() && !purpose.lawful_bases.contains(basis) => {
            return Err(Refusal::ForeignBasis { purpose: code.clone() });
        }
        _ => {}
    }
    let others = agreement.terms().parties.iter().map(|party| &party.agency);
    let holders =
        others.filter_map(|other| Some((other.clone(), agreement.pair(ask.asker, other)?))).collect();
    Ok(AllowedLookup {
        project: agreement.terms().project.clone(),
        asker: ask.asker.clone(),
        kind: ask.kind,
        purpose: code.clone(),
        holders,
    })
}

/// Proof that an agency may upload encodings. Only [`decide_submit`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "the operation demands this proof"]
pub struct AllowedSubmit {
    agency: AgencyId,
    exact_tokens: bool,
}

impl AllowedSubmit {
    /// Who uploads.
    #[must_use]
    pub const fn agency(&self) -> &AgencyId {
        &self.agency
    }
    /// Whether the upload may hold exact tokens.
    #[must_use]
    pub const fn exact_tokens(&self) -> bool {
        self.exact_tokens
    }
}

/// Whether an agency may upload.
///
/// # Errors
/// [`Refusal::NotAParty`], [`Refusal::NotBegun`], [`Refusal::Ended`].
pub fn decide_submit(agreement: &Agreement, agency: &AgencyId, today: Day) -> Result<AllowedSubmit, Refusal> {
    let party = agreement.party(agency).ok_or(Refusal::NotAParty)?;
    in_force(agreement, today)?;
    Ok(AllowedSubmit { agency: party.agency.clone(), exact_tokens: agreement.terms().exact_tokens })
}

/// Whether an agency may read what follows from the agreement: its links, who asked about its records.
///
/// # Errors
/// As [`decide_submit`].
pub fn decide_read(agreement: &Agreement, agency: &AgencyId, today: Day) -> Result<(), Refusal> {
    agreement.party(agency).ok_or(Refusal::NotAParty)?;
    in_force(agreement, today)
}

fn in_force(agreement: &Agreement, today: Day) -> Result<(), Refusal> {
    let terms = agreement.terms();
    if today < terms.starts {
        return Err(Refusal::NotBegun { starts: terms.starts });
    }
    if today > terms.ends {
        return Err(Refusal::Ended { ends: terms.ends });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::agreement::tests::example;
    use super::*;

    struct Case {
        asker: &'static str,
        kind: AskKind,
        purpose: &'static str,
        case: bool,
        basis: &'static str,
        detriment: Option<bool>,
        today: &'static str,
    }
    const GOOD: Case = Case {
        asker: "council",
        kind: AskKind::OwnRecord,
        purpose: "s47-enquiry",
        case: true,
        basis: "public-task",
        detriment: Some(true),
        today: "2026-06-01",
    };

    fn decide(case: &Case) -> Result<AllowedLookup, Refusal> {
        let purpose: Option<PurposeCode> = (!case.purpose.is_empty()).then(|| case.purpose.parse().unwrap());
        let reference: CaseReference = "C-17".parse().unwrap();
        let basis: Option<LawfulBasis> = (!case.basis.is_empty()).then(|| case.basis.parse().unwrap());
        let ask = LookupAsk {
            asker: &case.asker.parse().unwrap(),
            kind: case.kind,
            purpose: purpose.as_ref(),
            case: case.case.then_some(&reference),
            lawful_basis: basis.as_ref(),
            detriment_considered: case.detriment,
        };
        decide_lookup(&example(), &ask, case.today.parse().unwrap())
    }

    #[test]
    fn a_good_question_learns_only_what_the_pair_allows() {
        let allowed = decide(&GOOD).unwrap();
        let level = |agency: &str| allowed.answer_level(&agency.parse().unwrap());
        assert_eq!(level("health"), Some(AnswerLevel::Contact));
        assert_eq!(level("police"), Some(AnswerLevel::YesNo));
        assert_eq!(level("council"), None);
        assert_eq!(level("stranger"), None);
        let health = decide(&Case { asker: "health", ..GOOD }).unwrap();
        assert_eq!(health.answer_level(&"police".parse().unwrap()), None, "they are no pair");
    }

    #[test]
    fn every_refusal_has_its_status() {
        let early = Case { purpose: "early-help", case: false, basis: "", detriment: None, ..GOOD };
        assert!(decide(&early).is_ok());
        for (case, status, code) in [
            (Case { purpose: "", ..GOOD }, 422, "purpose-missing"),
            (Case { purpose: "marketing", ..GOOD }, 403, "purpose-not-agreed"),
            (Case { today: "2027-04-01", ..GOOD }, 403, "agreement-ended"),
            (Case { today: "2025-12-31", ..GOOD }, 403, "agreement-not-begun"),
            (Case { asker: "stranger", ..GOOD }, 404, "not-found"),
            (Case { asker: "stranger", today: "2027-04-01", ..GOOD }, 404, "not-found"),
            (Case { case: false, ..GOOD }, 422, "statement-missing"),
            (Case { detriment: None, ..GOOD }, 422, "statement-missing"),
            (Case { detriment: Some(false), ..GOOD }, 422, "statement-missing"),
            (Case { basis: "", ..GOOD }, 422, "statement-missing"),
            (Case { basis: "curiosity", ..GOOD }, 403, "basis-not-agreed"),
            (Case { asker: "health", kind: AskKind::FrontDoor, ..GOOD }, 403, "no-front-door"),
            (Case { kind: AskKind::FrontDoor, ..early }, 403, "no-front-door"),
        ] {
            let refusal = decide(&case).unwrap_err();
            assert_eq!((refusal.status(), refusal.code()), (status, code), "{refusal}");
        }
    }

    #[test]
    fn first_and_last_day_count() {
        for today in ["2026-01-01", "2027-03-31"] {
            assert!(decide(&Case { today, ..GOOD }).is_ok());
        }
    }

    #[test]
    fn only_parties_upload_and_only_while_it_holds() {
        let submit = |agency: &str, today: &str| {
            decide_submit(&example(), &agency.parse().unwrap(), today.parse().unwrap())
        };
        assert!(!submit("police", "2026-05-05").unwrap().exact_tokens());
        assert_eq!(submit("school", "2026-05-05"), Err(Refusal::NotAParty));
        assert!(matches!(submit("police", "2027-05-05"), Err(Refusal::Ended { .. })));
    }
}
