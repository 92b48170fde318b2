//! Cells as an agency writes them: case, accents, dates, codes.
//!
//! May see: the draft of a record and the agency's style. Draws nothing: the same draft is always written the same.

use super::agency::{Case, ColumnRole, Style};
use super::day::Day;
use super::edit;
use super::record::Draft;

impl Draft<'_> {
    /// What stands in a column.
    pub(super) fn cell(&self, role: ColumnRole, style: &Style, record_id: &str) -> String {
        let optional = |name: &Option<String>, family| match name {
            Some(name) => name_as_written(name, style, family),
            None => String::new(),
        };
        match role {
            ColumnRole::LocalId => record_id.to_owned(),
            ColumnRole::Given => name_as_written(&self.given, style, false),
            ColumnRole::GivenAndMiddle => match &self.middle {
                Some(middle) => name_as_written(&format!("{} {middle}", self.given), style, false),
                None => name_as_written(&self.given, style, false),
            },
            ColumnRole::Middle => optional(&self.middle, false),
            ColumnRole::KnownAs => optional(&self.known_as, false),
            ColumnRole::Alias => self.alias(style),
            ColumnRole::Family => name_as_written(&self.family, style, true),
            ColumnRole::Birth => self.birth.map(|day| date_as_written(day, style)).unwrap_or_default(),
            ColumnRole::BirthEstimated => if self.estimated { "Y" } else { "N" }.to_owned(),
            ColumnRole::Sex => self.sex.map_or("", |sex| style.sex_code(sex)).to_owned(),
            ColumnRole::Street if style.plain => edit::plain(self.street),
            ColumnRole::Street => self.street.to_owned(),
            ColumnRole::Postcode if style.tight_postcode => self.postcode.replace(' ', ""),
            ColumnRole::Postcode => self.postcode.clone(),
            ColumnRole::NhsNumber => self.nhs_number.unwrap_or_default().to_owned(),
            ColumnRole::Upn => self.upn.unwrap_or_default().to_owned(),
            ColumnRole::Team => {
                format!("T{}", record_id.len() + record_id.bytes().map(usize::from).sum::<usize>() % 7)
            }
        }
    }

    /// Given and family name by which the child is or was also known.
    fn alias(&self, style: &Style) -> String {
        let given = self.known_as.as_ref().filter(|name| **name != self.given);
        if given.is_none() && self.former_family.is_none() {
            return String::new();
        }
        let family = self.former_family.unwrap_or(&self.family);
        let alias = format!("{} {family}", given.unwrap_or(&self.given));
        name_as_written(&alias, style, false)
    }
}

fn name_as_written(name: &str, style: &Style, family: bool) -> String {
    let mut text = if style.plain { edit::plain(name) } else { name.to_owned() };
    if style.spaced {
        text = text.replace('-', " ");
    }
    match style.case {
        Case::Upper => text.to_uppercase(),
        Case::FamilyUpper if family => text.to_uppercase(),
        _ => text,
    }
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The few strftime signs that agencies' formats use, written out: formatting is most of the work of a million rows.
fn date_as_written(date: Day, style: &Style) -> String {
    let mut out = String::with_capacity(11);
    let mut signs = style.date.chars();
    while let Some(sign) = signs.next() {
        if sign != '%' {
            out.push(sign);
            continue;
        }
        match signs.next() {
            Some('Y') => out.push_str(&date.year.to_string()),
            Some('b') => out.push_str(MONTHS[usize::from(date.month.clamp(1, 12) - 1)]),
            Some('m') => two_digits(date.month, &mut out),
            _ => two_digits(date.day, &mut out),
        }
    }
    out
}

fn two_digits(number: u8, out: &mut String) {
    out.push(char::from(b'0' + number / 10 % 10));
    out.push(char::from(b'0' + number % 10));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::AgencyKind;

    #[test]
    fn each_agency_writes_in_its_own_way() {
        let day = Day::new(2014, 3, 7).unwrap();
        let written = |kind: AgencyKind| {
            let style = kind.style();
            let name = name_as_written("Zoë-Mae O'Neill", &style, true);
            format!("{name} {}", date_as_written(day, &style))
        };
        assert_eq!(written(AgencyKind::Health), "ZOË-MAE O'NEILL 07-Mar-2014");
        assert_eq!(written(AgencyKind::Education), "Zoë-Mae O'Neill 07/03/2014");
        assert_eq!(written(AgencyKind::SocialCare), "Zoe-Mae ONeill 2014-03-07");
        assert_eq!(written(AgencyKind::YouthJustice), "ZOE MAE ONEILL 20140307");
        assert_eq!(written(AgencyKind::EarlyYears), "Zoë-Mae O'Neill 07.03.2014");
    }

    #[test]
    fn dates_are_as_their_format_says() {
        let day = Day::new(2011, 12, 30).unwrap();
        let date = jiff::civil::date(2011, 12, 30);
        for kind in AgencyKind::ALL {
            let expected = date.strftime(kind.date_format()).to_string();
            assert_eq!(date_as_written(day, &kind.style()), expected);
        }
    }
}
