//! The one algorithm all vector kernels share: bit-sliced counting, generic over the vector.
//!
//! May see: words. Must not see: anything else.
//!
//! A *plane* holds one bit of 512 records, eight words. Group g of a block offers four planes, one for each value
//! of the two sketch bits of the other record: bit i says "record i differs there". A *selector* (64 times that
//! value, a byte offset) picks one of the four. Picked planes are added in columns by full adders
//! (two instructions with ternary logic), so that one instruction works for as many pairs as a
//! vector has bits: no population count, no horizontal sum, no branch.

/// Words of a plane: 512 records.
pub(crate) const PLANE_WORDS: usize = 8;
/// Groups of a unit: the adders' tree takes so many planes at a time.
pub(crate) const UNIT_GROUPS: usize = 32;
/// Words of one unit of a block: 32 groups of four planes.
pub(crate) const UNIT_WORDS: usize = UNIT_GROUPS * 4 * PLANE_WORDS;

/// A vector of bits.
pub(super) trait Lanes: Copy {
    /// Words it holds; divides [`PLANE_WORDS`].
    const WORDS: usize;
    /// # Safety
    /// `from` is readable for `WORDS` words; the instruction set is present.
    unsafe fn load(from: *const u64) -> Self;
    /// # Safety
    /// `to` is writable for `WORDS` words; the instruction set is present.
    unsafe fn store(self, to: *mut u64);
    /// # Safety
    /// The instruction set is present.
    unsafe fn splat(word: u64) -> Self;
    /// Sum bit and carry bit of three bits.
    /// # Safety
    /// The instruction set is present.
    unsafe fn add(a: Self, b: Self, c: Self) -> (Self, Self);
    /// Sum bit and carry bit of two bits.
    /// # Safety
    /// The instruction set is present.
    unsafe fn half_add(a: Self, b: Self) -> (Self, Self);
    /// # Safety
    /// The instruction set is present.
    unsafe fn or(a: Self, b: Self) -> Self;
}

/// One sweep: `rows` selector rows against one block of 512 records.
///
/// Row r starts its 512 counters of `BITS` bits at `start[r]` and adds the picked planes; `over[8 r ..]`
/// receives the bits "the counter overflowed".
#[derive(Clone, Copy)]
pub(super) struct Sweep {
    pub(super) planes: *const u64,
    pub(super) units: usize,
    pub(super) selectors: *const u8,
    pub(super) start: *const u32,
    pub(super) over: *mut u64,
    pub(super) rows: usize,
}

/// Adds two planes into `sum[LEVEL]` and returns the carry.
#[inline(always)]
unsafe fn carry<V: Lanes>(sum: &mut V, x: V, y: V) -> V {
    // SAFETY: the caller's promise, passed on.
    let (total, carry) = unsafe { V::add(*sum, x, y) };
    *sum = total;
    carry
}

/// The planes `g` and up that the selectors pick.
///
/// # Safety
/// `planes` and `selectors` cover one unit; selectors are multiples of 64 below 256.
#[inline(always)]
unsafe fn pick<V: Lanes>(planes: *const u64, selectors: *const u8, g: usize) -> V {
    // SAFETY: group g begins at byte 256 g, and the selector stays inside its four planes.
    unsafe {
        let offset = g * 4 * PLANE_WORDS * 8 + usize::from(*selectors.add(g));
        V::load(planes.cast::<u8>().add(offset).cast())
    }
}

#[inline(always)]
unsafe fn add2<V: Lanes>(sum: &mut [V; 5], planes: *const u64, selectors: *const u8, g: usize) -> V {
    // SAFETY: the caller's promise, passed on.
    unsafe {
        let (x, y) = (pick(planes, selectors, g), pick(planes, selectors, g + 1));
        carry(&mut sum[0], x, y)
    }
}

/// Doubles the function above: twice the planes, one more level of carries.
macro_rules! doubled {
    ($name:ident, $half:ident, $planes:literal, $level:literal) => {
        #[inline(always)]
        unsafe fn $name<V: Lanes>(sum: &mut [V; 5], planes: *const u64, selectors: *const u8, g: usize) -> V {
            // SAFETY: the caller's promise, passed on.
            unsafe {
                let x = $half(sum, planes, selectors, g);
                let y = $half(sum, planes, selectors, g + $planes / 2);
                carry(&mut sum[$level], x, y)
            }
        }
    };
}
doubled!(add4, add2, 4, 1);
doubled!(add8, add4, 8, 2);
doubled!(add16, add8, 16, 3);
doubled!(add32, add16, 32, 4);

/// Runs one sweep with counters of `5 + HIGH` bits.
///
/// # Safety
/// The pointers of `sweep` cover what its words say, and the instruction set of `V` is present.
#[inline(always)]
pub(super) unsafe fn sweep<V: Lanes, const HIGH: usize>(sweep: Sweep) {
    for row in 0..sweep.rows {
        let mut word = 0;
        while word < PLANE_WORDS {
            // SAFETY: row < rows, word < PLANE_WORDS, unit < units.
            unsafe {
                let selectors = sweep.selectors.add(row * sweep.units * UNIT_GROUPS);
                let start = *sweep.start.add(row);
                let bit = |k: usize| V::splat(0u64.wrapping_sub(u64::from(start >> k & 1)));
                let mut low = [bit(0), bit(1), bit(2), bit(3), bit(4)];
                let mut high = [V::splat(0); HIGH];
                for (k, plane) in high.iter_mut().enumerate() {
                    *plane = bit(5 + k);
                }
                let mut over = V::splat(0);
                for unit in 0..sweep.units {
                    let planes = sweep.planes.add(unit * UNIT_WORDS + word);
                    let mut rest = add32(&mut low, planes, selectors.add(unit * UNIT_GROUPS), 0);
                    for plane in &mut high {
                        (*plane, rest) = V::half_add(*plane, rest);
                    }
                    over = V::or(over, rest);
                }
                over.store(sweep.over.add(row * PLANE_WORDS + word));
            }
            word += V::WORDS;
        }
    }
}
