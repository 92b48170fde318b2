//! A calendar day and the arithmetic that ages need.
//!
//! May see: the calendar library. Days are identifiers once they belong to a child: `Debug` stays with `Day` for
//! configuration only; [`super::Person`] hides them.

use jiff::ToSpan;
use jiff::civil::Date;

/// A day of the calendar, 1900 to 2199.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day {
    /// Year, 1900 to 2199.
    pub year: u16,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day, 1 to 31.
    pub day: u8,
}

impl Day {
    /// The day, if the calendar has it and its year is 1900 to 2199.
    #[must_use]
    pub fn new(year: u16, month: u8, day: u8) -> Option<Self> {
        let found = Self { year, month, day };
        ((1900..=2199).contains(&year) && found.date().is_some()).then_some(found)
    }

    fn date(self) -> Option<Date> {
        Date::new(self.year as i16, self.month as i8, self.day as i8).ok()
    }

    /// The day `days` earlier; the day itself where that would leave the calendar.
    pub(super) fn minus(self, days: u32) -> Self {
        let earlier = self.date().and_then(|date| date.checked_sub(i64::from(days).days()).ok());
        earlier.map_or(self, |date| Self {
            year: date.year() as u16,
            month: date.month() as u8,
            day: date.day() as u8,
        })
    }

    /// Whole years from this day to `today`; 0 when it lies ahead.
    pub(super) fn age(self, today: Self) -> u32 {
        let years = u32::from(today.year.saturating_sub(self.year));
        let before = (today.month, today.day) < (self.month, self.day);
        years.saturating_sub(u32::from(before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_follow_the_calendar() {
        let leap = Day::new(2024, 3, 1).unwrap().minus(1);
        assert_eq!(leap, Day::new(2024, 2, 29).unwrap());
        assert!(Day::new(2023, 2, 29).is_none() && Day::new(1899, 1, 1).is_none());
        let today = Day::new(2026, 9, 1).unwrap();
        assert_eq!(Day::new(2020, 9, 1).unwrap().age(today), 6);
        assert_eq!(Day::new(2020, 9, 2).unwrap().age(today), 5);
    }
}
