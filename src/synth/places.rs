//! Addresses: real postcode sectors of a few neighbouring councils, invented units, streets and houses.
//!
//! May see: the tables. A project covers a region, so the number of postcodes follows the number of children.

use super::rng::Stream;
use super::tables::{Sector, Tables};

/// Letters of a postcode's unit (Royal Mail leaves out C I K M O V).
const UNIT_LETTERS: &[u8; 20] = b"ABDEFGHJLNPQRSTUWXYZ";

const STREETS: [&str; 44] = [
    "Albert",
    "Ash",
    "Attlee",
    "Beech",
    "Bevan",
    "Canal",
    "Castle",
    "Cedar",
    "Chapel",
    "Cherry",
    "Church",
    "Clarence",
    "Elm",
    "Field",
    "George",
    "Grange",
    "Green",
    "Grove",
    "Hawthorn",
    "High",
    "Hill",
    "King's",
    "Lime",
    "London",
    "Manor",
    "Mill",
    "Moor",
    "New",
    "North",
    "Oak",
    "Park",
    "Poplar",
    "Queen's",
    "Richmond",
    "School",
    "South",
    "Springfield",
    "St John's",
    "St Mary's",
    "Station",
    "Victoria",
    "West",
    "Windsor",
    "York",
];
const STREET_KINDS: [&str; 12] = [
    "Road", "Street", "Avenue", "Close", "Lane", "Drive", "Way", "Court", "Crescent", "Gardens", "Place",
    "Terrace",
];

/// A home.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Home {
    /// House and street, as in `Flat 3, 12 Mill Lane`.
    pub(super) street: String,
    /// As in `LS6 2AB`.
    pub(super) postcode: String,
}

/// The postcodes of one region.
pub(super) struct Region {
    sectors: Vec<&'static Sector>,
    /// Running total of units in use per sector.
    cumulative: Vec<u32>,
}

impl Region {
    /// Councils from a seeded start until they hold `units` postcodes; the last sector may be cut short.
    pub(super) fn new(stream: &mut Stream, units: u32) -> Self {
        let areas = &Tables::shared().areas;
        let start = stream.below(areas.len() as u32) as usize;
        let (mut sectors, mut cumulative) = (Vec::new(), Vec::new());
        let mut total = 0;
        for sector in areas.iter().cycle().skip(start).take(areas.len()).flatten() {
            let used = sector.units.min(units.saturating_sub(total));
            if used == 0 {
                break;
            }
            total += used;
            sectors.push(sector);
            cumulative.push(total);
        }
        Self { sectors, cumulative }
    }

    /// A home somewhere in the region.
    pub(super) fn home(&self, stream: &mut Stream) -> Home {
        let unit = stream.below(self.cumulative.last().copied().unwrap_or(0));
        let index = self.cumulative.partition_point(|total| *total <= unit);
        let code = self.sectors.get(index).map_or("ZZ99 3", |sector| sector.code);
        // 400 units a sector at most: spread them over the letter pairs by a step coprime with 400.
        let pair = (unit * 171 + 7) % 400;
        let letter = |at: u32| char::from(UNIT_LETTERS[at as usize % 20]);
        let postcode = format!("{code}{}{}", letter(pair / 20), letter(pair % 20));
        // A postcode lies in one street.
        let street = unit.wrapping_mul(2_654_435_761) >> 8;
        let name = STREETS[street as usize % STREETS.len()];
        let kind = STREET_KINDS[(street / 64) as usize % STREET_KINDS.len()];
        let house = stream.between(1, 90);
        let street = if stream.chance(140_000) {
            let flat = stream.between(1, 18);
            format!("Flat {flat}, {house} {name} {kind}")
        } else {
            format!("{house} {name} {kind}")
        };
        Home { street, postcode }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synth::rng::key;
    use std::collections::HashSet;

    #[test]
    fn a_region_has_about_the_postcodes_asked_for() {
        let mut stream = Stream::new(&key("test", "places", ""), 0);
        let region = Region::new(&mut stream, 500);
        let homes: Vec<Home> = (0..20_000).map(|_| region.home(&mut stream)).collect();
        let postcodes: HashSet<&str> = homes.iter().map(|h| h.postcode.as_str()).collect();
        assert!((480..=500).contains(&postcodes.len()), "{}", postcodes.len());
        assert!(homes.iter().all(|home| (6..=8).contains(&home.postcode.len())));
        assert!(homes.iter().any(|home| home.street.starts_with("Flat ")));
    }

    #[test]
    fn the_whole_country_is_the_most_there_is() {
        let mut stream = Stream::new(&key("test", "places", ""), 1);
        let region = Region::new(&mut stream, u32::MAX);
        let home = region.home(&mut stream);
        assert!(!home.postcode.starts_with("ZZ99"));
    }
}
