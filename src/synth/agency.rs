//! The agencies: whom they know, which columns they keep and how they write.
//!
//! May see: nothing but its own constants. The column roles are named as an agency's column map names fields.

use super::{Day, Sex};

/// A kind of agency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AgencyKind {
    /// Child health: nearly everybody.
    Health,
    /// Schools: 3 to 17 years.
    Education,
    /// Social care: families in need.
    SocialCare,
    /// Police and youth justice: 10 to 17 years.
    YouthJustice,
    /// Nurseries and children's centres: 0 to 5 years.
    EarlyYears,
}

/// One agency of a population.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgencySpec {
    /// Its name, as in the truth and in file names; unique in a configuration.
    pub name: String,
    /// What it is.
    pub kind: AgencyKind,
    /// Share of the kind's usual coverage, in percent: at most 100. Two schools' systems at 50 each know half each.
    pub coverage_percent: u32,
}

impl AgencySpec {
    /// An agency named after its kind, with the kind's coverage.
    #[must_use]
    pub fn usual(kind: AgencyKind) -> Self {
        Self { name: kind.name().to_owned(), kind, coverage_percent: 100 }
    }
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnRole {
    /// The agency's id of the record.
    LocalId,
    /// Given name.
    Given,
    /// Given name and middle name in one cell.
    GivenAndMiddle,
    /// Middle name.
    Middle,
    /// Preferred name.
    KnownAs,
    /// Given and family name by which the child is or was also known.
    Alias,
    /// Family name.
    Family,
    /// Date of birth.
    Birth,
    /// `Y` where the date is an estimate, else `N`.
    BirthEstimated,
    /// Sex.
    Sex,
    /// House and street.
    Street,
    /// Postcode.
    Postcode,
    /// NHS number.
    NhsNumber,
    /// Unique pupil number.
    Upn,
    /// A team's or setting's code, which no schema reads.
    Team,
}

impl ColumnRole {
    /// The field's name in a column mapping (`given_name`); none for columns that no schema reads.
    #[must_use]
    pub fn field(self) -> Option<&'static str> {
        Some(match self {
            Self::LocalId => "record_id",
            Self::Given | Self::GivenAndMiddle => "given_name",
            Self::Middle => "middle_names",
            Self::KnownAs => "known_as_given",
            Self::Alias => "alias",
            Self::Family => "family_name",
            Self::Birth => "date_of_birth",
            Self::BirthEstimated => "date_estimated",
            Self::Sex => "sex",
            Self::Street => "address",
            Self::Postcode => "postcode",
            Self::NhsNumber => "nhs_number",
            Self::Upn => "upn",
            Self::Team => return None,
        })
    }
}

/// One column of an agency's extract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// The header.
    pub header: &'static str,
    /// What stands in it.
    pub role: ColumnRole,
}

const fn column(header: &'static str, role: ColumnRole) -> Column {
    Column { header, role }
}

/// Letters' case in an agency's names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Case {
    AsIs,
    Upper,
    FamilyUpper,
}

/// How an agency writes.
pub(super) struct Style {
    pub(super) case: Case,
    /// Accents and apostrophes are lost.
    pub(super) plain: bool,
    /// Hyphens become spaces.
    pub(super) spaced: bool,
    /// Codes for female and male.
    pub(super) sex: [&'static str; 2],
    pub(super) id_prefix: &'static str,
    /// strftime pattern.
    pub(super) date: &'static str,
    /// Postcodes without their space.
    pub(super) tight_postcode: bool,
}

/// How often things are so in an agency, in parts per million.
pub(super) struct Habits {
    /// The preferred name stands as the forename, where there is one.
    pub(super) nickname: u32,
    pub(super) address_missing: u32,
    pub(super) middle_kept: u32,
    pub(super) nhs_number: u32,
    pub(super) upn: u32,
    pub(super) placeholder: u32,
    /// Percent of the usual rate of mistakes in names and dates.
    pub(super) carelessness: u32,
}

use ColumnRole as R;

const HEALTH: [Column; 8] = [
    column("PatientID", R::LocalId),
    column("NHS number", R::NhsNumber),
    column("Family name", R::Family),
    column("Given names", R::GivenAndMiddle),
    column("Date of birth", R::Birth),
    column("Sex", R::Sex),
    column("Address", R::Street),
    column("Postcode", R::Postcode),
];
const EDUCATION: [Column; 10] = [
    column("Adno", R::LocalId),
    column("UPN", R::Upn),
    column("Legal Surname", R::Family),
    column("Legal Forename", R::Given),
    column("Middle Name(s)", R::Middle),
    column("Preferred Forename", R::KnownAs),
    column("DOB", R::Birth),
    column("Gender", R::Sex),
    column("Address", R::Street),
    column("Post Code", R::Postcode),
];
const SOCIAL_CARE: [Column; 13] = [
    column("PersonID", R::LocalId),
    column("Surname", R::Family),
    column("Forename", R::Given),
    column("Middle Names", R::Middle),
    column("AKA", R::Alias),
    column("DOB", R::Birth),
    column("DOBEstimated", R::BirthEstimated),
    column("Gender", R::Sex),
    column("NHSNumber", R::NhsNumber),
    column("UPN", R::Upn),
    column("Address", R::Street),
    column("PostCode", R::Postcode),
    column("TeamCode", R::Team),
];
const YOUTH_JUSTICE: [Column; 9] = [
    column("NominalRef", R::LocalId),
    column("Surname", R::Family),
    column("Forename1", R::Given),
    column("Forename2", R::Middle),
    column("DOB", R::Birth),
    column("Sex", R::Sex),
    column("UPN", R::Upn),
    column("Address", R::Street),
    column("PostCode", R::Postcode),
];
const EARLY_YEARS: [Column; 10] = [
    column("Child ref", R::LocalId),
    column("First name", R::Given),
    column("Middle names", R::Middle),
    column("Known as", R::KnownAs),
    column("Last name", R::Family),
    column("Birth date", R::Birth),
    column("Sex", R::Sex),
    column("Home address", R::Street),
    column("Home postcode", R::Postcode),
    column("Setting", R::Team),
];

impl AgencyKind {
    /// All kinds.
    pub const ALL: [Self; 5] =
        [Self::Health, Self::Education, Self::SocialCare, Self::YouthJustice, Self::EarlyYears];

    /// As in file names: `social_care`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Education => "education",
            Self::SocialCare => "social_care",
            Self::YouthJustice => "youth_justice",
            Self::EarlyYears => "early_years",
        }
    }

    /// The columns of its extract, in order.
    #[must_use]
    pub fn columns(self) -> &'static [Column] {
        match self {
            Self::Health => &HEALTH,
            Self::Education => &EDUCATION,
            Self::SocialCare => &SOCIAL_CARE,
            Self::YouthJustice => &YOUTH_JUSTICE,
            Self::EarlyYears => &EARLY_YEARS,
        }
    }

    /// The column mapping of its extract, as TOML: what `--mapping` reads. `today` stands for the day of the extract.
    #[must_use]
    pub fn mapping_toml(self, today: Day) -> String {
        let Day { year, month, day } = today;
        let mut text = format!(
            "# Generated extract: {}.\nreference_date = \"{year}-{month:02}-{day:02}\"\n\n[columns]\n",
            self.name()
        );
        for Column { header, role } in self.columns() {
            let Some(field) = role.field() else { continue };
            let line = match role {
                ColumnRole::Birth => {
                    format!("{field} = {{ column = \"{header}\", format = \"{}\" }}\n", self.date_format())
                }
                _ => format!("{field} = \"{header}\"\n"),
            };
            text.push_str(&line);
        }
        text
    }

    /// The strftime pattern of its dates.
    #[must_use]
    pub fn date_format(self) -> &'static str {
        self.style().date
    }

    /// Share of children it knows, in parts per million, by age and by whether the family is in need.
    pub(super) fn coverage_ppm(self, age: u32, in_need: bool) -> u32 {
        match (self, age) {
            (Self::Health, _) => 980_000,
            (Self::Education, 4..) => 940_000,
            (Self::Education, 3) => 450_000,
            (Self::SocialCare, _) if in_need => 800_000,
            (Self::SocialCare, _) => 90_000,
            (Self::YouthJustice, 10..) if in_need => 280_000,
            (Self::YouthJustice, 10..) => 95_000,
            (Self::EarlyYears, 1..=4) => 720_000,
            (Self::EarlyYears, 0 | 5) => 250_000,
            _ => 0,
        }
    }

    pub(super) fn style(self) -> Style {
        let style = |case, plain, sex, id_prefix, date| Style {
            case,
            plain,
            spaced: false,
            sex,
            id_prefix,
            date,
            tight_postcode: false,
        };
        match self {
            Self::Health => style(Case::FamilyUpper, false, ["2", "1"], "HE", "%d-%b-%Y"),
            Self::Education => style(Case::AsIs, false, ["F", "M"], "ED", "%d/%m/%Y"),
            Self::SocialCare => style(Case::AsIs, true, ["Female", "Male"], "SO", "%Y-%m-%d"),
            Self::YouthJustice => Style {
                spaced: true,
                tight_postcode: true,
                ..style(Case::Upper, true, ["2", "1"], "YJ", "%Y%m%d")
            },
            Self::EarlyYears => style(Case::AsIs, false, ["f", "m"], "EY", "%d.%m.%Y"),
        }
    }

    pub(super) fn habits(self) -> Habits {
        let habits = |ppm: [u32; 6], carelessness| Habits {
            nickname: ppm[0],
            address_missing: ppm[1],
            middle_kept: ppm[2],
            nhs_number: ppm[3],
            upn: ppm[4],
            placeholder: ppm[5],
            carelessness,
        };
        match self {
            Self::Health => habits([70_000, 20_000, 1_000_000, 988_000, 0, 1_500], 95),
            Self::Education => habits([240_000, 48_000, 760_000, 0, 992_000, 0], 100),
            Self::SocialCare => habits([320_000, 71_000, 460_000, 450_000, 700_000, 2_500], 110),
            Self::YouthJustice => habits([300_000, 98_000, 420_000, 0, 300_000, 500], 130),
            Self::EarlyYears => habits([300_000, 45_000, 600_000, 0, 0, 0], 105),
        }
    }
}

impl Style {
    pub(super) fn sex_code(&self, sex: Sex) -> &'static str {
        self.sex[usize::from(sex == Sex::Male)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn columns_differ_within_an_agency_and_mappings_name_them() {
        let today = Day::new(2026, 9, 1).unwrap();
        for kind in AgencyKind::ALL {
            let headers: HashSet<&str> = kind.columns().iter().map(|column| column.header).collect();
            assert_eq!(headers.len(), kind.columns().len());
            let parsed: toml::Table = toml::from_str(&kind.mapping_toml(today)).unwrap();
            let columns = parsed["columns"].as_table().unwrap();
            let mapped = kind.columns().iter().filter(|column| column.role.field().is_some());
            assert_eq!(columns.len(), mapped.count());
            assert_eq!(columns["date_of_birth"]["format"].as_str(), Some(kind.date_format()));
            for column in kind.columns() {
                if let Some(field) = column.role.field().filter(|field| *field != "date_of_birth") {
                    assert_eq!(columns[field].as_str(), Some(column.header));
                }
            }
        }
    }
}
