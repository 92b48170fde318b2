//! What to generate: seed, size, agencies, noise.
//!
//! May see: agency kinds. Must not see: tables.

use super::{AgencyKind, AgencySpec, Day};
use thiserror::Error;

/// Families at most in one population.
pub const FAMILIES_MAX: u32 = 16_000_000;
/// Agencies at most.
pub const AGENCIES_MAX: usize = 64;
/// Children a family, times 1000, on average (measured by the generator's own tests).
const CHILDREN_PER_FAMILY_MILLE: u64 = 1810;

/// How many to generate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// So many families.
    Families(u32),
    /// So many children; the last family may be cut short.
    Children(u32),
}

impl Size {
    /// Children to expect.
    pub(super) fn children_estimate(self) -> u32 {
        match self {
            Self::Children(count) => count,
            Self::Families(count) => {
                let children = u64::from(count) * CHILDREN_PER_FAMILY_MILLE / 1000;
                u32::try_from(children).unwrap_or(u32::MAX)
            }
        }
    }
}

/// A population and the agencies that know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Any text; the same text makes the same population.
    pub seed: String,
    /// How many.
    pub size: Size,
    /// The agencies, in the order of [`super::Record::agency`].
    pub agencies: Vec<AgencySpec>,
    /// Errors per record, in percent of the usual rates: 0 is clean, 100 usual, at most 1000.
    pub noise_percent: u32,
    /// The day of the extracts: children are 0 to 17 years old on it.
    pub today: Day,
    /// Children that share a postcode on average. England: about 12 M children in 1.5 M postcodes.
    pub children_per_postcode: u32,
}

impl Config {
    /// The five usual agencies with usual noise on 1 September 2026.
    #[must_use]
    pub fn new(seed: &str, size: Size) -> Self {
        Self {
            seed: seed.to_owned(),
            size,
            agencies: AgencyKind::ALL.map(AgencySpec::usual).to_vec(),
            noise_percent: 100,
            today: Day { year: 2026, month: 9, day: 1 },
            children_per_postcode: 8,
        }
    }

    /// Refuses what can not be generated.
    ///
    /// # Errors
    /// A bound that is broken, by name.
    pub fn check(&self) -> Result<(), SynthError> {
        let (Size::Families(count) | Size::Children(count)) = self.size;
        if count > FAMILIES_MAX {
            return Err(SynthError::TooMany { count });
        }
        if self.agencies.is_empty() || self.agencies.len() > AGENCIES_MAX {
            let count = self.agencies.len();
            return Err(SynthError::Agencies { count });
        }
        for (index, agency) in self.agencies.iter().enumerate() {
            if self.agencies[..index].iter().any(|other| other.name == agency.name) {
                let name = agency.name.clone();
                return Err(SynthError::SameName { name });
            }
        }
        if self.noise_percent > 1000 {
            let percent = self.noise_percent;
            return Err(SynthError::Noise { percent });
        }
        if Day::new(self.today.year, self.today.month, self.today.day).is_none() || self.today.year < 1920 {
            return Err(SynthError::Today);
        }
        if self.children_per_postcode == 0 {
            return Err(SynthError::Postcodes);
        }
        Ok(())
    }
}

/// Why nothing was generated.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SynthError {
    /// More than [`FAMILIES_MAX`].
    #[error("{count} is too many: at most {FAMILIES_MAX} families or children can be generated")]
    TooMany {
        /// What was asked.
        count: u32,
    },
    /// None, or more than [`AGENCIES_MAX`].
    #[error("{count} agencies: give 1 to {AGENCIES_MAX}")]
    Agencies {
        /// What was asked.
        count: usize,
    },
    /// Two agencies of one name.
    #[error("agency `{name}` is named twice: give each agency a name of its own")]
    SameName {
        /// The name.
        name: String,
    },
    /// Above 1000 %.
    #[error("noise of {percent} %: give 0 to 1000")]
    Noise {
        /// What was asked.
        percent: u32,
    },
    /// Not a day of the calendar from 1920 to 2199.
    #[error("the day of the extracts is not a day of the years 1920 to 2199")]
    Today,
    /// No child per postcode.
    #[error("children per postcode must be at least 1")]
    Postcodes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_bounds_are_refused_by_name() {
        let good = Config::new("s", Size::Families(10));
        assert_eq!(good.check(), Ok(()));
        let with = |change: fn(&mut Config)| {
            let mut config = good.clone();
            change(&mut config);
            config.check().unwrap_err()
        };
        assert!(matches!(with(|c| c.size = Size::Children(FAMILIES_MAX + 1)), SynthError::TooMany { .. }));
        assert!(matches!(with(|c| c.agencies.clear()), SynthError::Agencies { count: 0 }));
        assert!(matches!(with(|c| c.agencies[1] = c.agencies[0].clone()), SynthError::SameName { .. }));
        assert!(matches!(with(|c| c.noise_percent = 1001), SynthError::Noise { .. }));
        assert_eq!(with(|c| c.today.month = 13), SynthError::Today);
        assert_eq!(with(|c| c.children_per_postcode = 0), SynthError::Postcodes);
    }
}
