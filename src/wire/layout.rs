//! What an encoding looks like from outside: views, their slots, segments and tags.
//!
//! A **view** is a rule "salt -> content". It fills a fixed number of **slots**, each a Bloom filter of
//! fixed length; slots of one view compare with one another, slots of different views never. A
//! **segment** is the run of bits of a slot that carries one attribute's evidence. A slot may carry a
//! truncated keyed **tag**: then only slots with equal tags are compared. The plain CLK is one view
//! of one slot of one segment without a tag.

use super::{AttributeName, ViewName, limits};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A named kind of layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Salted views: the default for children's data.
    Views,
    /// A CLK with keyed diffusion.
    Diffused,
    /// One record-level filter (cryptographic long-term key): trusted centre, short project.
    Clk,
    /// One filter per attribute: re-identifiable, trusted centre only.
    Fields,
    /// clkhash bit for bit, for interoperability only.
    LegacyClk,
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Views => "views",
            Self::Diffused => "diffused",
            Self::Clk => "clk",
            Self::Fields => "fields",
            Self::LegacyClk => "legacy-clk",
        })
    }
}

/// Length of a truncated tag in bits, 1 to 32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct TagBits(u8);

impl TagBits {
    /// The length in bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }
    /// The largest tag value.
    #[must_use]
    pub const fn max_value(self) -> u32 {
        u32::MAX >> (32 - self.0)
    }
}
impl TryFrom<u8> for TagBits {
    type Error = LayoutError;
    fn try_from(bits: u8) -> Result<Self, LayoutError> {
        if (1..=32).contains(&bits) { Ok(Self(bits)) } else { Err(LayoutError::TagBits) }
    }
}
impl From<TagBits> for u8 {
    fn from(bits: TagBits) -> Self {
        bits.0
    }
}

/// The run of bits `start .. start + bits` of a slot that carries one attribute.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// The attribute whose evidence it is (`record` for a composite filter).
    pub attribute: AttributeName,
    /// First bit.
    pub start: u32,
    /// Number of bits.
    pub bits: u32,
}

/// One view: `slots` filters of `bits` bits each.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// Its name; column `name.k` of a file is its slot number k.
    pub name: ViewName,
    /// How many slots one record has.
    pub slots: u8,
    /// Length of each slot in bits, a multiple of 64.
    pub bits: u32,
    /// Segments in ascending order, not overlapping, covering the slot.
    pub segments: Vec<Segment>,
    /// Length of the slots' tags, or none when every pair may be compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<TagBits>,
}

/// The shape of every encoding made under one schema.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "LayoutForm", into = "LayoutForm")]
pub struct Layout {
    form: LayoutForm,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LayoutForm {
    profile: Profile,
    views: Vec<View>,
    #[serde(default)]
    presence: bool,
    #[serde(default)]
    exact: Vec<AttributeName>,
    #[serde(default)]
    payload: Vec<super::PayloadColumn>,
}

/// Why a layout is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// No view, or too many.
    #[error("a layout has 1 to {max} views", max = limits::VIEWS_MAX)]
    Views,
    /// Two views of one name.
    #[error("view '{0}' is named twice")]
    Duplicate(ViewName),
    /// A filter length out of range.
    #[error("view '{0}': bits must be a multiple of 64 from 64 to 16384")]
    Bits(ViewName),
    /// A number of slots out of range.
    #[error("view '{0}': slots must be 1 to 8")]
    Slots(ViewName),
    /// Segments that overlap, leave a gap or leave the slot.
    #[error("view '{0}': segments must cover the slot in order, without gap or overlap")]
    Segments(ViewName),
    /// A tag length out of range.
    #[error("tags have 1 to 32 bits")]
    TagBits,
    /// One encoding would be too long.
    #[error("an encoding has at most 16384 bytes over all its slots")]
    TooLong,
    /// More than eight exact tokens.
    #[error("a layout has at most 8 exact tokens")]
    Exact,
}

impl Layout {
    /// Checks and keeps a layout.
    ///
    /// # Errors
    /// [`LayoutError`] names the first rule that is broken.
    pub fn new(
        profile: Profile,
        views: Vec<View>,
        presence: bool,
        exact: Vec<AttributeName>,
        payload: Vec<super::PayloadColumn>,
    ) -> Result<Self, LayoutError> {
        LayoutForm { profile, views, presence, exact, payload }.try_into()
    }

    /// The named kind.
    #[must_use]
    pub fn profile(&self) -> Profile {
        self.form.profile
    }
    /// The views, in file order.
    #[must_use]
    pub fn views(&self) -> &[View] {
        &self.form.views
    }
    /// Whether a presence mask travels with each record.
    #[must_use]
    pub fn presence(&self) -> bool {
        self.form.presence
    }
    /// Exact tokens (keyed, 16 bytes each) that travel with each record.
    #[must_use]
    pub fn exact(&self) -> &[AttributeName] {
        &self.form.exact
    }
    /// Allow-listed payload columns.
    #[must_use]
    pub fn payload(&self) -> &[super::PayloadColumn] {
        &self.form.payload
    }
    /// Slots of one encoding over all views, each with its view, in file order.
    pub fn slots(&self) -> impl Iterator<Item = (&View, u8)> {
        self.views().iter().flat_map(|view| (0..view.slots).map(move |slot| (view, slot)))
    }
    /// Bytes of one encoding over all slots, tags apart.
    #[must_use]
    pub fn encoding_bytes(&self) -> usize {
        self.slots().map(|(view, _)| view.bits as usize / 8).sum()
    }
}

impl From<Layout> for LayoutForm {
    fn from(layout: Layout) -> Self {
        layout.form
    }
}

impl TryFrom<LayoutForm> for Layout {
    type Error = LayoutError;
    fn try_from(form: LayoutForm) -> Result<Self, LayoutError> {
        if form.views.is_empty() || form.views.len() > limits::VIEWS_MAX {
            return Err(LayoutError::Views);
        }
        for (at, view) in form.views.iter().enumerate() {
            if form.views[..at].iter().any(|other| other.name == view.name) {
                return Err(LayoutError::Duplicate(view.name.clone()));
            }
            view.check()?;
        }
        if form.exact.len() > 8 {
            return Err(LayoutError::Exact);
        }
        let layout = Self { form };
        if layout.encoding_bytes() > limits::ENCODING_BYTES_MAX {
            return Err(LayoutError::TooLong);
        }
        Ok(layout)
    }
}

impl View {
    fn check(&self) -> Result<(), LayoutError> {
        let name = || self.name.clone();
        let range = limits::FILTER_BITS_MIN..=limits::FILTER_BITS_MAX;
        if !range.contains(&self.bits) || !self.bits.is_multiple_of(64) {
            return Err(LayoutError::Bits(name()));
        }
        if self.slots == 0 || self.slots > limits::SLOTS_PER_VIEW_MAX {
            return Err(LayoutError::Slots(name()));
        }
        let mut next = 0u32;
        for segment in &self.segments {
            if segment.start != next || segment.bits == 0 || segment.bits > self.bits - next {
                return Err(LayoutError::Segments(name()));
            }
            next += segment.bits;
        }
        if next != self.bits || self.segments.len() > limits::SEGMENTS_MAX {
            return Err(LayoutError::Segments(name()));
        }
        Ok(())
    }
}
