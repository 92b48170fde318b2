//! A value cut into tokens, each as the bytes that are hashed.
//!
//! May see: values. Must not see: keys.

use super::error::EntryFault;
use super::python;
use num_bigint::BigInt;
use serde_json::Value;
use std::str::FromStr;

/// How two values of a column are alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Comparison {
    /// Shared runs of `n` characters, with their position where `positional`.
    Ngram { n: u32, positional: bool },
    /// Equal or not.
    Exact,
    /// Overlap of neighbourhoods of `2 * resolution + 1` points, `interval` apart, on a common grid
    /// (Vatsalan and Christen 2016). Values are scaled by `10^digits`.
    Numeric { interval: BigInt, half_at: BigInt, resolution: u32, digits: u32 },
}

/// How characters become bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextEncoding {
    Ascii,
    Utf8,
    Utf16,
    Utf32,
}

impl TextEncoding {
    /// The encoding of a name that the schema's check lets pass.
    pub(super) fn named(name: &str) -> Self {
        match name {
            "ascii" => Self::Ascii,
            "utf-16" => Self::Utf16,
            "utf-32" => Self::Utf32,
            _ => Self::Utf8,
        }
    }

    /// Appends the bytes; utf-16 and utf-32 begin with a byte order mark and are little-endian.
    fn encode(self, text: impl Iterator<Item = char>, out: &mut Vec<u8>) -> Result<(), EntryFault> {
        match self {
            Self::Utf16 => out.extend_from_slice(&[0xff, 0xfe]),
            Self::Utf32 => out.extend_from_slice(&[0xff, 0xfe, 0, 0]),
            Self::Ascii | Self::Utf8 => {}
        }
        for c in text {
            match self {
                Self::Ascii if !c.is_ascii() => return Err(EntryFault::NotAscii),
                Self::Ascii | Self::Utf8 => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                Self::Utf16 => {
                    c.encode_utf16(&mut [0; 2])
                        .iter()
                        .for_each(|unit| out.extend_from_slice(&unit.to_le_bytes()));
                }
                Self::Utf32 => out.extend_from_slice(&u32::from(c).to_le_bytes()),
            }
        }
        Ok(())
    }
}

/// Tokens of one value, in order, repeated ones included.
#[derive(Default)]
pub(super) struct Tokens {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    letters: Vec<char>,
}

impl Tokens {
    /// Number of tokens.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The tokens.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }

    /// Replaces the tokens by those of `value`. An empty value has none.
    pub(super) fn cut(
        &mut self,
        value: &str,
        comparison: &Comparison,
        encoding: TextEncoding,
    ) -> Result<(), EntryFault> {
        self.bytes.clear();
        self.ends.clear();
        if value.is_empty() {
            return Ok(());
        }
        match comparison {
            Comparison::Exact => self.push(value.chars(), encoding),
            Comparison::Ngram { n, positional } => self.ngrams(value, *n as usize, *positional, encoding),
            Comparison::Numeric { interval, half_at, resolution, digits } => {
                let centre = on_grid(value, interval, half_at, *resolution, *digits)?;
                let reach = i64::from(*resolution);
                for step in -reach..=reach {
                    let point = (&centre + interval * step).to_string();
                    if point.len() > python::INT_DIGITS_MAX {
                        return Err(EntryFault::NotNumber);
                    }
                    self.push(point.chars(), encoding)?;
                }
                Ok(())
            }
        }
    }

    fn push(&mut self, text: impl Iterator<Item = char>, encoding: TextEncoding) -> Result<(), EntryFault> {
        encoding.encode(text, &mut self.bytes)?;
        self.ends.push(self.bytes.len());
        Ok(())
    }

    fn ngrams(
        &mut self,
        value: &str,
        n: usize,
        positional: bool,
        encoding: TextEncoding,
    ) -> Result<(), EntryFault> {
        let padding = n.saturating_sub(1);
        let mut letters = std::mem::take(&mut self.letters);
        letters.clear();
        letters.extend(std::iter::repeat_n(' ', padding));
        letters.extend(value.chars());
        letters.extend(std::iter::repeat_n(' ', padding));
        let mut cut = || {
            for (at, gram) in letters.windows(n).enumerate() {
                if positional {
                    let place = format!("{} ", at + 1);
                    self.push(place.chars().chain(gram.iter().copied()), encoding)?;
                } else {
                    self.push(gram.iter().copied(), encoding)?;
                }
            }
            Ok(())
        };
        let result = cut();
        self.letters = letters;
        result
    }
}

impl Comparison {
    /// A numeric comparison, or none where the threshold is zero or not finite at this precision.
    pub(super) fn numeric(distance: &Value, resolution: u32, digits: u32) -> Option<Self> {
        let scale = BigInt::from(10u8).pow(digits);
        let interval = match (distance.as_u64(), distance.as_f64()?) {
            (Some(whole), _) => whole * scale,
            (None, number) => rounded(number * power_of_ten(digits)?)?,
        };
        // Python halves the interval in floating point, which rounds beyond 2^53.
        let as_float: f64 = interval.to_string().parse().ok()?;
        let half_at = rounded(as_float)?;
        (interval > BigInt::ZERO).then_some(Self::Numeric { interval, half_at, resolution, digits })
    }
}

fn power_of_ten(digits: u32) -> Option<f64> {
    format!("1e{digits}").parse().ok()
}

/// The nearest whole number, halves to even.
fn rounded(number: f64) -> Option<BigInt> {
    number.is_finite().then(|| BigInt::from_str(&format!("{:.0}", number.round_ties_even())).ok())?
}

/// The value times `2 * resolution * 10^digits`, moved to the nearest multiple of `interval`.
fn on_grid(
    value: &str,
    interval: &BigInt,
    half_at: &BigInt,
    resolution: u32,
    digits: u32,
) -> Result<BigInt, EntryFault> {
    let scaled = match python::int(value) {
        Some(text) => BigInt::from_str(&text).ok().map(|number| number * BigInt::from(10u8).pow(digits)),
        None => python::finite_float(value).and_then(|number| match digits {
            0 => rounded(number.trunc()),
            _ => rounded(number * power_of_ten(digits)?),
        }),
    };
    let point = scaled.ok_or(EntryFault::NotNumber)? * 2 * resolution;
    let residue = ((&point % interval) + interval) % interval;
    if residue == BigInt::ZERO {
        Ok(point)
    } else if &residue * 2 < *half_at {
        Ok(point - residue)
    } else {
        Ok(point + (interval - residue))
    }
}
