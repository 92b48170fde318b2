//! One agency's record of one child: which identity it shows, what went wrong in it, how it is written.
//!
//! May see: families, agencies, edits. A record's draws come from a stream of the agency and the family alone, so one
//! agency's file does not depend on which other agencies there are.

use super::Sex;
use super::agency::AgencySpec;
use super::day::Day;
use super::edit;
use super::event::Event;
use super::family::Child;
use super::rng::Stream;
use super::tables::{Alternative, Tables};
use std::fmt;

/// Header of a truth file.
pub const TRUTH_HEADER: [&str; 7] =
    ["agency", "record_id", "entity_id", "family_id", "twin", "origin", "events"];

/// What is true of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Truth {
    /// The record's id in its agency.
    pub record_id: String,
    /// The child.
    pub entity_id: String,
    /// The child's family.
    pub family_id: String,
    /// Whether the child is one of twins.
    pub twin: bool,
    /// Name origin group of the family.
    pub origin: &'static str,
    /// What happened, in the order of [`Event::ALL`].
    pub events: Vec<Event>,
}

impl Truth {
    /// The cells of a truth row, in the order of [`TRUTH_HEADER`].
    #[must_use]
    pub fn cells(&self, agency: &str) -> [String; 7] {
        let events: Vec<&str> = self.events.iter().map(|event| event.name()).collect();
        let twin = if self.twin { "twin" } else { "" };
        [
            agency.to_owned(),
            self.record_id.clone(),
            self.entity_id.clone(),
            self.family_id.clone(),
            twin.to_owned(),
            self.origin.to_owned(),
            events.join(";"),
        ]
    }
}

/// A record as an agency writes it.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// Which of [`super::Config::agencies`].
    pub agency: usize,
    /// Cells in the order of the agency's columns.
    pub cells: Vec<String>,
    /// What is true of it.
    pub truth: Truth,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("agency", &self.agency)
            .field("cells", &self.cells.len())
            .finish_non_exhaustive()
    }
}

/// Mistakes per million records, at usual noise and carelessness.
mod rate {
    pub(super) const MOVE_KNOWN: u32 = 600_000;
    pub(super) const ADOPTION_KNOWN: u32 = 650_000;
    pub(super) const FORMER_FAMILY: u32 = 500_000;
    pub(super) const FORMER_KEPT: u32 = 500_000;
    pub(super) const CARE_KNOWN: u32 = 600_000;
    pub(super) const HALF_NAME: u32 = 330_000;
    pub(super) const VARIANT: u32 = 35_000;
    pub(super) const TRANSLIT: u32 = 75_000;
    pub(super) const MIDDLE_AS_FIRST: u32 = 16_000;
    pub(super) const SWAPPED: u32 = 8_500;
    pub(super) const TYPO: u32 = 15_500;
    pub(super) const HEARD: u32 = 10_000;
    pub(super) const MISREAD: u32 = 7_500;
    pub(super) const DOB_SWAP: u32 = 12_000;
    pub(super) const DOB_ERROR: u32 = 11_500;
    pub(super) const DOB_DEFAULT: u32 = 1_200;
    pub(super) const DOB_MISSING: u32 = 5_500;
    pub(super) const SEX_MISSING: u32 = 3_500;
    pub(super) const POSTCODE: u32 = 11_500;
}

/// A record in the making.
pub(super) struct Draft<'a> {
    pub(super) given: String,
    pub(super) middle: Option<String>,
    pub(super) known_as: Option<String>,
    /// A family name of before, where the agency keeps it.
    pub(super) former_family: Option<&'a str>,
    pub(super) family: String,
    pub(super) birth: Option<Day>,
    pub(super) estimated: bool,
    pub(super) sex: Option<Sex>,
    pub(super) street: &'a str,
    pub(super) postcode: String,
    pub(super) nhs_number: Option<&'a str>,
    pub(super) upn: Option<&'a str>,
    pub(super) events: Vec<Event>,
}

/// Writes records of one agency.
pub(super) struct Writer<'a> {
    pub(super) spec: &'a AgencySpec,
    /// Which agency of the configuration.
    pub(super) agency: usize,
    pub(super) noise_percent: u32,
    pub(super) today: Day,
}

impl Writer<'_> {
    /// Whether the agency knows the child.
    pub(super) fn knows(&self, child: &Child, stream: &mut Stream) -> bool {
        let age = child.person.birth.age(self.today);
        let usual = self.spec.kind.coverage_ppm(age, child.family_in_need);
        stream.chance(usual / 100 * self.spec.coverage_percent.min(100))
    }

    /// The agency's record of the child under `record_id`.
    pub(super) fn record(
        &self,
        child: &Child,
        record_id: u64,
        duplicate: bool,
        stream: &mut Stream,
    ) -> Record {
        let mut draft = self.identity(child, stream);
        if duplicate {
            draft.events.push(Event::Duplicate);
        }
        self.misname(&mut draft, child, stream);
        self.misspell(&mut draft, stream);
        self.misdate(&mut draft, stream);
        self.misplace(&mut draft, stream);
        draft.events.sort_unstable();
        draft.events.dedup();
        let style = self.spec.kind.style();
        let record_id = format!("{}{record_id:010x}", style.id_prefix);
        let columns = self.spec.kind.columns();
        let cells = columns.iter().map(|c| draft.cell(c.role, &style, &record_id)).collect();
        Record {
            agency: self.agency,
            cells,
            truth: Truth {
                record_id,
                entity_id: child.person.entity_id.clone(),
                family_id: child.person.family_id.clone(),
                twin: child.person.twin,
                origin: child.person.origin,
                events: draft.events,
            },
        }
    }

    /// Noise: `ppm` scaled by the population's noise and the agency's carelessness.
    fn errs(&self, ppm: u32, stream: &mut Stream) -> bool {
        let scale = u64::from(self.noise_percent) * u64::from(self.spec.kind.habits().carelessness);
        let scaled = u64::from(ppm) * scale / 10_000;
        stream.chance(scaled.min(1_000_000) as u32)
    }

    /// Which of the child's identities, names and homes the agency knows.
    fn identity<'c>(&self, child: &'c Child, stream: &mut Stream) -> Draft<'c> {
        let person = &child.person;
        let habits = self.spec.kind.habits();
        let mut events = Vec::new();
        let mut family = &person.family;
        let (mut street, mut postcode) = (&person.street, &person.postcode);
        let (mut nhs_number, mut upn) = (person.nhs_number.as_deref(), person.upn.as_str());
        match &child.before_adoption {
            Some(before) if !stream.chance(rate::ADOPTION_KNOWN) => {
                family = &before.family;
                (street, postcode) = (&before.home.street, &before.home.postcode);
                nhs_number = before.nhs_number.as_deref();
                upn = &before.upn;
            }
            Some(_) => events.push(Event::Adopted),
            None => {}
        }
        if let Some(former) = child.former_family.as_ref().filter(|_| stream.chance(rate::FORMER_FAMILY)) {
            family = former;
            events.push(Event::SurnameChange);
        }
        // Who knows the new name often keeps the old one beside it.
        let former = child.former_family.as_deref();
        let former_family = former.filter(|former| former != family && stream.chance(rate::FORMER_KEPT));
        let care = child.care_home.as_ref().filter(|_| stream.chance(rate::CARE_KNOWN));
        if let Some(home) = care {
            (street, postcode) = (&home.street, &home.postcode);
            events.push(Event::InCare);
        } else if let Some(home) = &child.former_home {
            if stream.chance(rate::MOVE_KNOWN) {
                events.push(Event::Moved);
            } else {
                (street, postcode) = (&home.street, &home.postcode);
            }
        }
        let schooled = person.birth.age(self.today) >= 3;
        Draft {
            given: person.given.clone(),
            middle: person.middle.clone().filter(|_| stream.chance(habits.middle_kept)),
            known_as: person.known_as.clone(),
            former_family,
            family: family.clone(),
            birth: Some(person.birth),
            estimated: false,
            sex: Some(person.sex),
            street,
            postcode: postcode.clone(),
            nhs_number: nhs_number.filter(|_| stream.chance(habits.nhs_number)),
            upn: Some(upn).filter(|_| schooled && stream.chance(habits.upn)),
            events,
        }
    }

    /// Other names for the child: short, other spelling, other order, half, none yet.
    fn misname(&self, draft: &mut Draft<'_>, child: &Child, stream: &mut Stream) {
        let habits = self.spec.kind.habits();
        let tables = Tables::shared();
        let short = draft.known_as.clone().filter(|_| self.errs(habits.nickname, stream));
        if let Some(short) = short {
            draft.given = short;
            draft.events.push(Event::Nickname);
        }
        for (kind, ppm, event) in [
            (Alternative::Variant, rate::VARIANT, Event::Variant),
            (Alternative::Translit, rate::TRANSLIT, Event::Translit),
        ] {
            for name in [&mut draft.given, &mut draft.family] {
                if self.errs(ppm, stream)
                    && let Some(other) = tables.alternative(kind, name, stream)
                {
                    *name = other.to_owned();
                    draft.events.push(event);
                }
            }
        }
        if let Some((first, second)) = draft.family.split_once('-')
            && self.errs(rate::HALF_NAME, stream)
        {
            let half = if stream.chance(500_000) { first } else { second };
            draft.family = half.to_owned();
            draft.events.push(Event::DoubleBarrelCut);
        }
        if self.errs(rate::MIDDLE_AS_FIRST, stream)
            && let Some(middle) = &child.person.middle
        {
            draft.middle = draft.middle.take().map(|_| draft.given.clone());
            draft.given = middle.clone();
            draft.events.push(Event::MiddleAsFirst);
        }
        let infant = child.person.birth.age(self.today) == 0;
        if self.errs(habits.placeholder * if infant { 12 } else { 1 }, stream) {
            let names =
                if child.person.twin { ["Twin 1", "Twin 2", "Baby"] } else { ["Baby", "Infant", "Unknown"] };
            draft.given = stream.pick(&names).copied().unwrap_or("Baby").to_owned();
            draft.middle = None;
            draft.known_as = None;
            draft.events.push(Event::Placeholder);
        }
    }

    /// Slips in the names as they now stand; and the two in each other's column.
    fn misspell(&self, draft: &mut Draft<'_>, stream: &mut Stream) {
        type Slip = fn(&str, &mut Stream) -> Option<String>;
        let slips: [(Slip, u32, [Event; 2]); 3] = [
            (edit::typed, rate::TYPO, [Event::TypoFirst, Event::TypoLast]),
            (edit::heard, rate::HEARD, [Event::PhoFirst, Event::PhoLast]),
            (edit::misread, rate::MISREAD, [Event::OcrFirst, Event::OcrLast]),
        ];
        let placeholder = draft.events.contains(&Event::Placeholder);
        for (slip, ppm, events) in slips {
            for (name, event) in [&mut draft.given, &mut draft.family].into_iter().zip(events) {
                let spared = placeholder && event == events[0];
                if self.errs(ppm, stream)
                    && !spared
                    && let Some(wrong) = slip(name, stream)
                {
                    *name = wrong;
                    draft.events.push(event);
                }
            }
        }
        if self.errs(rate::SWAPPED, stream) && !placeholder {
            std::mem::swap(&mut draft.given, &mut draft.family);
            draft.events.push(Event::SwappedNames);
        }
    }

    fn misdate(&self, draft: &mut Draft<'_>, stream: &mut Stream) {
        let Some(born) = draft.birth else { return };
        if self.errs(rate::DOB_MISSING, stream) {
            draft.birth = None;
            draft.events.push(Event::DobMissing);
        } else if self.errs(rate::DOB_DEFAULT, stream) {
            let year = if stream.chance(500_000) { born.year } else { 1900 };
            draft.birth = Day::new(year, 1, 1);
            draft.estimated = true;
            draft.events.push(Event::DobDefault);
        } else if self.errs(rate::DOB_ERROR, stream) {
            if let Some(wrong) = wrong_part(born, self.today, stream) {
                draft.birth = Some(wrong);
                draft.events.push(Event::DobError);
            }
        } else if self.errs(rate::DOB_SWAP, stream) && born.day != born.month {
            // Only a day of 1 to 12 can stand as a month, and nobody is born tomorrow.
            if let Some(swapped) = Day::new(born.year, born.day, born.month).filter(|day| *day <= self.today)
            {
                draft.birth = Some(swapped);
                draft.events.push(Event::DobSwap);
            }
        }
        if self.errs(rate::SEX_MISSING, stream) {
            draft.sex = None;
            draft.events.push(Event::SexMissing);
        }
    }

    fn misplace(&self, draft: &mut Draft<'_>, stream: &mut Stream) {
        if self.errs(self.spec.kind.habits().address_missing, stream) {
            draft.street = "";
            draft.postcode.clear();
            draft.events.push(Event::AddressMissing);
        } else if self.errs(rate::POSTCODE, stream)
            && let Some(wrong) = edit::wrong_postcode(&draft.postcode, stream)
        {
            draft.postcode = wrong;
            draft.events.push(Event::PostcodeError);
        }
    }
}

/// The day with another day, month or year (one off) that the calendar has and that does not lie ahead.
fn wrong_part(born: Day, today: Day, stream: &mut Stream) -> Option<Day> {
    let (mut year, mut month, mut day) = (born.year, born.month, born.day);
    match stream.below(10) {
        0..=4 => day = stream.between(1, 28) as u8,
        5..=7 => month = stream.between(1, 12) as u8,
        8 => year -= 1,
        _ => year += 1,
    }
    Day::new(year, month, day).filter(|wrong| *wrong != born && *wrong <= today)
}
