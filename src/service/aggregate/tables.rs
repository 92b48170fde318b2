//! Which tables there are, and how each is counted from a frozen run. Pure.
//!
//! | name | rows | columns | adds up |
//! |---|---|---|---|
//! | `overlap` | each agency, each two agencies | matched, to review | no |
//! | `known-to` | exactly 1, 2, .. agencies | children | no |
//! | `at-least` | at least 1, 2, .. agencies | children | no |
//! | `area` | area | known to 1, 2, 3 or more | yes |
//! | `month` | months since last active | known to 1, 2, 3 or more | yes |
//! | `absence` | age band | on the roll of `absent`, on none | yes |
//!
//! `absence` counts children known to `present`. Rows of areas and age bands are those of the first release; what comes
//! later is counted under `other`, so that a new row never shows who is new.

use super::count::{Child, Frozen, WhatIf};
use crate::service::error::ApiError;
use crate::wire::{AgencyId, Month};
use std::collections::BTreeSet;
use std::fmt;

/// Rows of areas and age bands.
const LABELS_MAX: usize = 400;
const MONTHS: u32 = 12;
const OTHER: &str = "other";
const NONE: &str = "not given";

/// A table and what is supposed of it; as text `known-to?without=police`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::service) struct TableName {
    kind: Kind,
    /// Matches need this Dice similarity, or this many hundredths of a bit.
    score_min: Option<ScoreMin>,
    without: BTreeSet<AgencyId>,
    present: Option<AgencyId>,
    absent: Option<AgencyId>,
}

/// A supposed threshold, on a grid so that few of them can be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ScoreMin {
    /// Hundredths of Dice similarity, 1 to 100.
    Dice(u32),
    /// Whole bits of evidence.
    Bits(i32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Overlap,
    KnownTo,
    AtLeast,
    Area,
    Month,
    Absence,
}

const KINDS: [(&str, Kind); 6] = [
    ("overlap", Kind::Overlap),
    ("known-to", Kind::KnownTo),
    ("at-least", Kind::AtLeast),
    ("area", Kind::Area),
    ("month", Kind::Month),
    ("absence", Kind::Absence),
];

/// A counted table, not suppressed yet: stays inside.
pub(in crate::service) struct Table {
    pub(super) rows: Vec<String>,
    pub(super) columns: Vec<String>,
    pub(super) counts: Vec<u64>,
}

impl TableName {
    /// A table as the run is.
    ///
    /// # Errors
    /// [`ApiError::NotFound`] for a name that no table has.
    pub(super) fn plain(name: &str) -> Result<Self, ApiError> {
        Self::parse(name, &[])
    }

    /// A table's name from the path and the query's pairs.
    ///
    /// # Errors
    /// [`ApiError::NotFound`] for a name that no table has, [`ApiError::Malformed`] for what it does not take.
    pub(in crate::service) fn parse(name: &str, query: &[(String, String)]) -> Result<Self, ApiError> {
        let kind = KINDS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
        let kind = kind.ok_or(ApiError::NotFound)?;
        let mut found = Self { kind, score_min: None, without: BTreeSet::new(), present: None, absent: None };
        let wrong = |what: &str| ApiError::Malformed(what.to_owned());
        let agency = |text: &str| text.parse::<AgencyId>().map_err(|_| wrong("an agency is named by its id"));
        for (field, value) in query {
            let once = match field.as_str() {
                "threshold" => found.score_min.replace(score_min(value)?).is_none(),
                "without" => found.without.insert(agency(value)?),
                "present" => found.present.replace(agency(value)?).is_none(),
                "absent" => found.absent.replace(agency(value)?).is_none(),
                _ => return Err(wrong("a table takes threshold, without, present and absent")),
            };
            if !once {
                return Err(wrong("the same thing is said twice"));
            }
        }
        let pair = (&found.present, &found.absent);
        let fits = match kind {
            Kind::Absence => matches!(pair, (Some(present), Some(absent)) if present != absent),
            _ => pair == (&None, &None),
        };
        if !fits {
            return Err(wrong(
                "absence takes present and absent, two different agencies; no other table does",
            ));
        }
        Ok(found)
    }

    /// Whether rows and columns are parts of a whole, so that totals mean something.
    pub(super) const fn adds_up(&self) -> bool {
        matches!(self.kind, Kind::Area | Kind::Month | Kind::Absence)
    }

    /// What stands above the table.
    pub(super) fn title(&self) -> String {
        match (self.kind, &self.present, &self.absent) {
            (Kind::Overlap, ..) => "Records of each agency, and children in common".to_owned(),
            (Kind::KnownTo, ..) => "Children known to exactly so many agencies".to_owned(),
            (Kind::AtLeast, ..) => "Children known to at least so many agencies".to_owned(),
            (Kind::Area, ..) => "Children by area and number of agencies that know them".to_owned(),
            (Kind::Month, ..) => "Children by months since last active".to_owned(),
            (Kind::Absence, Some(present), Some(absent)) => {
                format!("Children known to {present}, by age band, and whether {absent} knows them")
            }
            (Kind::Absence, ..) => "Children by age band".to_owned(),
        }
    }

    /// What is supposed, in the numbers of a run.
    ///
    /// # Errors
    /// [`ApiError::Rule`] for an agency that is not in the run, or when none would be left.
    pub(super) fn what_if(&self, agencies: &[AgencyId]) -> Result<WhatIf, ApiError> {
        let mut what_if = WhatIf { score_min: self.score_min.map(ScoreMin::rounded), ..WhatIf::default() };
        for agency in &self.without {
            what_if.without.push(position(agencies, agency)?);
        }
        if what_if.without.len() + 1 >= agencies.len() && !what_if.without.is_empty() {
            return Err(ApiError::Rule("at least two agencies must be left"));
        }
        Ok(what_if)
    }
}

fn position(agencies: &[AgencyId], agency: &AgencyId) -> Result<u16, ApiError> {
    let found = agencies.iter().position(|other| other == agency).and_then(|at| u16::try_from(at).ok());
    found.ok_or(ApiError::Rule("this agency is not in the run that is counted"))
}

fn score_min(text: &str) -> Result<ScoreMin, ApiError> {
    let wrong =
        || ApiError::Malformed("a threshold is a similarity such as 0.85, or bits such as 18b".to_owned());
    if let Some(bits) = text.strip_suffix('b') {
        return bits
            .parse()
            .ok()
            .filter(|bits| (-100..=100).contains(bits))
            .map(ScoreMin::Bits)
            .ok_or_else(wrong);
    }
    if text == "1" {
        return Ok(ScoreMin::Dice(100));
    }
    let digits =
        text.strip_prefix("0.").filter(|digits| (1..=2).contains(&digits.len())).ok_or_else(wrong)?;
    let number: u32 = digits.parse().map_err(|_| wrong())?;
    let hundredths = if digits.len() == 1 { number * 10 } else { number };
    if hundredths == 0 { Err(wrong()) } else { Ok(ScoreMin::Dice(hundredths)) }
}

impl ScoreMin {
    /// As the store rounds scores.
    const fn rounded(self) -> i64 {
        match self {
            Self::Dice(hundredths) => hundredths as i64 * 10_000,
            Self::Bits(bits) => bits as i64 * 100,
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = KINDS.iter().find(|(_, kind)| *kind == self.kind).map_or("", |(name, _)| *name);
        let mut words = Vec::new();
        words.extend(self.present.iter().map(|agency| format!("present={agency}")));
        words.extend(self.absent.iter().map(|agency| format!("absent={agency}")));
        words.extend(self.score_min.map(|min| match min {
            ScoreMin::Dice(hundredths) => format!("threshold={}.{:02}", hundredths / 100, hundredths % 100),
            ScoreMin::Bits(bits) => format!("threshold={bits}b"),
        }));
        words.extend(self.without.iter().map(|agency| format!("without={agency}")));
        let mark = if words.is_empty() { "" } else { "?" };
        write!(f, "{name}{mark}{}", words.join("&"))
    }
}

impl Table {
    /// Counts `name`; `labels` are the rows of its first release.
    ///
    /// # Errors
    /// [`ApiError::Rule`] for an agency that is not in the run.
    pub(super) fn count(
        frozen: &Frozen,
        name: &TableName,
        what_if: &WhatIf,
        labels: Option<&[String]>,
    ) -> Result<Self, ApiError> {
        Ok(match name.kind {
            Kind::Overlap => overlap(frozen, what_if),
            Kind::KnownTo => known_to(frozen, what_if, false),
            Kind::AtLeast => known_to(frozen, what_if, true),
            Kind::Area => {
                let children = frozen.children(what_if);
                let of = |child: &Child| child.area.map(|area| area.as_str().to_owned());
                let spread = labelled(&children, labels, of);
                by_agencies(&children, spread)
            }
            Kind::Month => {
                let children = frozen.children(what_if);
                let spread = by_month(&children);
                by_agencies(&children, spread)
            }
            Kind::Absence => absence(frozen, name, what_if, labels)?,
        })
    }
}

fn overlap(frozen: &Frozen, what_if: &WhatIf) -> Table {
    let (records, pairs) = (frozen.records(what_if), frozen.pairs(what_if));
    let (mut rows, mut counts) = (Vec::new(), Vec::new());
    for (a, agency) in (0u16..).zip(&frozen.agencies) {
        rows.push(agency.to_string());
        counts.extend([records.get(usize::from(a)).copied().unwrap_or(0), 0]);
        for (b, other) in (0u16..).zip(&frozen.agencies).skip(usize::from(a) + 1) {
            rows.push(format!("{agency} and {other}"));
            let (matched, review) = pairs.get(&(a, b)).copied().unwrap_or_default();
            counts.extend([matched, review]);
        }
    }
    let columns = vec!["matched".to_owned(), "to review".to_owned()];
    Table { rows, columns, counts }
}

fn known_to(frozen: &Frozen, what_if: &WhatIf, at_least: bool) -> Table {
    let children = frozen.children(what_if);
    let most = u32::try_from(frozen.agencies.len()).unwrap_or(u32::MAX);
    let wanted = |child: &Child, k: u32| if at_least { child.agencies() >= k } else { child.agencies() == k };
    let count = |k: u32| children.iter().filter(|child| wanted(child, k)).count() as u64;
    Table {
        rows: (1..=most).map(|k| k.to_string()).collect(),
        columns: vec!["children".to_owned()],
        counts: (1..=most).map(count).collect(),
    }
}

/// Rows and, for each child, its row.
type Spread = (Vec<String>, Vec<usize>);

fn labelled(children: &[Child], labels: Option<&[String]>, of: impl Fn(&Child) -> Option<String>) -> Spread {
    let rows = labels.map(<[String]>::to_vec).unwrap_or_else(|| {
        let found: BTreeSet<String> = children.iter().filter_map(&of).collect();
        let mut rows: Vec<String> = found.into_iter().take(LABELS_MAX).collect();
        rows.extend([OTHER.to_owned(), NONE.to_owned()]);
        rows
    });
    let last = rows.len() - 1;
    let known: std::collections::HashMap<&str, usize> =
        rows[..last].iter().enumerate().map(|(at, row)| (row.as_str(), at)).collect();
    let row = |child: &Child| match of(child) {
        None => last,
        // Before the last stands what the first release did not have.
        Some(label) => known.get(label.as_str()).copied().unwrap_or(last.saturating_sub(1)),
    };
    let at = children.iter().map(row).collect();
    (rows, at)
}

/// Months before the latest month of the run; the rows never change.
fn by_month(children: &[Child]) -> Spread {
    let number = |month: Month| u32::from(month) / 100 * 12 + u32::from(month) % 100;
    let latest = children.iter().filter_map(|child| child.last_seen).max().map_or(0, number);
    let mut rows: Vec<String> = (0..MONTHS).map(|months| format!("{months} months before")).collect();
    rows.extend(["longer before".to_owned(), NONE.to_owned()]);
    let row = |child: &Child| match child.last_seen {
        None => MONTHS as usize + 1,
        Some(month) => (latest - number(month)).min(MONTHS) as usize,
    };
    let at = children.iter().map(row).collect();
    (rows, at)
}

fn by_agencies(children: &[Child], (rows, at): Spread) -> Table {
    let columns = ["1 agency", "2 agencies", "3 or more"].map(str::to_owned).to_vec();
    let mut counts = vec![0; rows.len() * columns.len()];
    for (child, row) in children.iter().zip(at) {
        let column = child.agencies().clamp(1, 3) as usize - 1;
        counts[row * columns.len() + column] += 1;
    }
    Table { rows, columns, counts }
}

fn absence(
    frozen: &Frozen,
    name: &TableName,
    what_if: &WhatIf,
    labels: Option<&[String]>,
) -> Result<Table, ApiError> {
    let (Some(present), Some(absent)) = (&name.present, &name.absent) else { return Err(ApiError::NotFound) };
    let (here, there) = (position(&frozen.agencies, present)?, position(&frozen.agencies, absent)?);
    if what_if.without.contains(&here) || what_if.without.contains(&there) {
        return Err(ApiError::Rule("an agency that is left out knows nobody"));
    }
    let children: Vec<Child> =
        frozen.children(what_if).into_iter().filter(|child| child.is_known_to(here)).collect();
    let (rows, at) = labelled(&children, labels, |child| child.age_band.map(|band| band.as_str().to_owned()));
    let mut counts = vec![0; rows.len() * 2];
    for (child, row) in children.iter().zip(at) {
        counts[row * 2 + usize::from(!child.is_known_to(there))] += 1;
    }
    Ok(Table { rows, columns: vec![format!("known to {absent}"), format!("not known to {absent}")], counts })
}

#[cfg(test)]
mod tests {
    use super::super::count::tests::frozen;
    use super::*;

    fn name(table: &str, query: &[(&str, &str)]) -> Result<TableName, ApiError> {
        let query: Vec<_> = query.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        TableName::parse(table, &query)
    }
    fn counted(frozen: &Frozen, table: &str, query: &[(&str, &str)]) -> Table {
        let name = name(table, query).unwrap();
        let what_if = name.what_if(&frozen.agencies).unwrap();
        Table::count(frozen, &name, &what_if, None).unwrap()
    }

    #[test]
    fn names_are_read_strictly_and_written_the_same_again() {
        let known = name("known-to", &[("without", "police"), ("threshold", "0.85")]).unwrap();
        assert_eq!(known.to_string(), "known-to?threshold=0.85&without=police");
        let absence = name("absence", &[("absent", "police"), ("present", "health")]).unwrap();
        assert_eq!(absence.to_string(), "absence?present=health&absent=police");
        assert_eq!(name("known-to", &[("threshold", "18b")]).unwrap().to_string(), "known-to?threshold=18b");
        assert_eq!(name("surname", &[]), Err(ApiError::NotFound));
        for (table, query) in [
            ("known-to", &[("surname", "x")][..]),
            ("known-to", &[("threshold", "0.855")]),
            ("known-to", &[("threshold", "2")]),
            ("known-to", &[("threshold", "500b")]),
            ("known-to", &[("without", "police"), ("without", "police")]),
            ("known-to", &[("present", "police")]),
            ("absence", &[("present", "police")]),
            ("absence", &[("present", "police"), ("absent", "police")]),
        ] {
            assert!(matches!(name(table, query), Err(ApiError::Malformed(_))), "{table} {query:?}");
        }
    }

    #[test]
    fn tables_count_what_they_say() {
        let frozen = frozen([&[1, 2, 3, 4], &[3, 4, 5, 8], &[4, 6]], |_| 950_000);
        let overlap = counted(&frozen, "overlap", &[]);
        assert_eq!(overlap.rows[..2], ["council", "council and health"]);
        assert_eq!(overlap.counts, [4, 0, 2, 0, 1, 0, 4, 0, 1, 0, 2, 0]);
        assert_eq!(counted(&frozen, "known-to", &[]).counts, [5, 1, 1]);
        assert_eq!(counted(&frozen, "at-least", &[]).counts, [7, 2, 1]);
        assert_eq!(counted(&frozen, "known-to", &[("without", "police")]).counts, [4, 2, 0]);
        assert_eq!(counted(&frozen, "known-to", &[("threshold", "0.96")]).counts, [10, 0, 0]);
        let area = counted(&frozen, "area", &[]);
        assert_eq!(area.rows, ["area0", "area1", "other", "not given"]);
        assert_eq!(area.counts, [3, 0, 1, 2, 1, 0, 0, 0, 0, 0, 0, 0]);
        // Children 4 and 8 are of the band 0-4; health knows both, the council knows 4.
        let absence = counted(&frozen, "absence", &[("present", "health"), ("absent", "council")]);
        assert_eq!(absence.rows, ["0-4", "5-9", "other", "not given"]);
        assert_eq!(absence.counts, [1, 1, 1, 1, 0, 0, 0, 0]);
        let month = counted(&frozen, "month", &[]);
        assert_eq!((month.rows.len(), month.counts.iter().sum::<u64>()), (14, 7));
    }

    #[test]
    fn rows_of_the_first_release_stay() {
        let first = frozen([&[1, 3], &[1], &[]], |_| 950_000);
        let rows = counted(&first, "area", &[]).rows;
        assert_eq!(rows, ["area1", "other", "not given"]);
        let later = frozen([&[1, 2, 3], &[1], &[]], |_| 950_000);
        let table =
            Table::count(&later, &name("area", &[]).unwrap(), &WhatIf::default(), Some(&rows)).unwrap();
        assert_eq!(table.rows, rows);
        assert_eq!(table.counts, [1, 1, 0, 1, 0, 0, 0, 0, 0], "who is new is under other");
    }
}
