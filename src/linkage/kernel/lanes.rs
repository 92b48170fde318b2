//! The one algorithm all vector kernels share: bit-sliced counting, generic over the vector.
//!
//! May see: words. Must not see: anything else.
//!
//! A *plane* holds one bit of 512 records, eight words. Each row of the other side brings *picks*, the numbers of the
//! planes it wants counted. Picked planes are added in columns by full adders (two instructions with ternary
//! logic), so that one instruction works for as many pairs as a vector has bits: no population count, no
//! horizontal sum, no branch.

/// Words of a plane: 512 records.
pub(crate) const PLANE_WORDS: usize = 8;
/// Picks of a row come in multiples of this.
pub(crate) const PICKS: usize = 8;
/// Bits of a counter below those that ripple: the adders' tree takes 64 planes at a time.
pub(super) const LOW: usize = 6;

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

/// One sweep: `rows` rows of picks against one block of 512 records.
///
/// Row r starts its 512 counters at `start[r]` and adds the planes `picks[stride * r ..][..count]`; `over[8 r ..]`
/// receives the bits "the counter overflowed".
#[derive(Clone, Copy)]
pub(super) struct Sweep {
    pub(super) planes: *const u64,
    pub(super) picks: *const u16,
    pub(super) stride: usize,
    pub(super) count: usize,
    pub(super) start: *const u32,
    pub(super) over: *mut u64,
    pub(super) rows: usize,
}

/// Adds two planes into `sum` and returns the carry.
#[inline(always)]
unsafe fn carry<V: Lanes>(sum: &mut V, x: V, y: V) -> V {
    // SAFETY: the caller's promise, passed on.
    let (total, carry) = unsafe { V::add(*sum, x, y) };
    *sum = total;
    carry
}

/// The plane of pick `at`.
///
/// # Safety
/// `picks` is readable at `at` and names a plane behind `planes`.
#[inline(always)]
unsafe fn pick<V: Lanes>(planes: *const u64, picks: *const u16, at: usize) -> V {
    // SAFETY: the caller's promise. Volatile, or the compiler loads the numbers as a vector and takes them out of
    // it one by one, on the ports the adders need: a quarter of the time.
    unsafe {
        let plane = usize::from(picks.add(at).read_volatile());
        V::load(planes.add(plane * PLANE_WORDS))
    }
}

#[inline(always)]
unsafe fn add2<V: Lanes>(sum: &mut [V; LOW], planes: *const u64, picks: *const u16) -> V {
    // SAFETY: the caller's promise, passed on.
    unsafe {
        let (x, y) = (pick(planes, picks, 0), pick(planes, picks, 1));
        carry(&mut sum[0], x, y)
    }
}

/// Doubles the function above: twice the planes, one more level of carries.
macro_rules! doubled {
    ($name:ident, $half:ident, $planes:literal, $level:literal) => {
        #[inline(always)]
        unsafe fn $name<V: Lanes>(sum: &mut [V; LOW], planes: *const u64, picks: *const u16) -> V {
            // SAFETY: the caller's promise, passed on.
            unsafe {
                let x = $half(sum, planes, picks);
                let y = $half(sum, planes, picks.add($planes / 2));
                carry(&mut sum[$level], x, y)
            }
        }
    };
}
doubled!(add4, add2, 4, 1);
doubled!(add8, add4, 8, 2);
doubled!(add16, add8, 16, 3);
doubled!(add32, add16, 32, 4);
doubled!(add64, add32, 64, 5);

/// Counters of `LOW + HIGH` bits, and whether they overflowed.
#[derive(Clone, Copy)]
struct Counters<V, const HIGH: usize> {
    low: [V; LOW],
    high: [V; HIGH],
    over: V,
}

impl<V: Lanes, const HIGH: usize> Counters<V, HIGH> {
    /// # Safety
    /// The instruction set is present.
    #[inline(always)]
    unsafe fn starting_at(start: u32) -> Self {
        // SAFETY: the caller's promise.
        unsafe {
            let bit = |k: usize| V::splat(0u64.wrapping_sub(u64::from(start >> k & 1)));
            let low = [bit(0), bit(1), bit(2), bit(3), bit(4), bit(5)];
            let mut high = [V::splat(0); HIGH];
            for (k, plane) in high.iter_mut().enumerate() {
                *plane = bit(LOW + k);
            }
            Self { low, high, over: V::splat(0) }
        }
    }

    /// Adds a plane of weight `2^level`.
    ///
    /// # Safety
    /// The instruction set is present.
    #[inline(always)]
    unsafe fn ripple(&mut self, level: usize, mut rest: V) {
        // SAFETY: the caller's promise.
        unsafe {
            for plane in &mut self.low[level..] {
                (*plane, rest) = V::half_add(*plane, rest);
            }
            for plane in &mut self.high {
                (*plane, rest) = V::half_add(*plane, rest);
            }
            self.over = V::or(self.over, rest);
        }
    }
}

/// Runs one sweep with counters of `LOW + HIGH` bits.
///
/// # Safety
/// The pointers of `sweep` cover what its words say, every pick names a plane behind `planes`, `count` is a multiple of
/// [`PICKS`], and the instruction set of `V` is present.
#[inline(always)]
pub(super) unsafe fn sweep<V: Lanes, const HIGH: usize>(sweep: Sweep) {
    // Neighbours mostly start alike: spreading a number over a vector costs as much as many planes.
    // SAFETY: the instruction set is present.
    let (mut known, mut fresh) = (0, unsafe { Counters::<V, HIGH>::starting_at(0) });
    for row in 0..sweep.rows {
        // SAFETY: row < rows; the instruction set is present.
        unsafe {
            let start = *sweep.start.add(row);
            if start != known {
                (known, fresh) = (start, Counters::starting_at(start));
            }
        }
        let mut word = 0;
        while word < PLANE_WORDS {
            // SAFETY: row < rows, word < PLANE_WORDS, at + what is added <= count.
            unsafe {
                let planes = sweep.planes.add(word);
                let picks = sweep.picks.add(row * sweep.stride);
                let mut counters = fresh;
                let mut at = 0;
                while at + 64 <= sweep.count {
                    let rest = add64(&mut counters.low, planes, picks.add(at));
                    counters.ripple(6, rest);
                    at += 64;
                }
                if at + 32 <= sweep.count {
                    let rest = add32(&mut counters.low, planes, picks.add(at));
                    counters.ripple(5, rest);
                    at += 32;
                }
                if at + 16 <= sweep.count {
                    let rest = add16(&mut counters.low, planes, picks.add(at));
                    counters.ripple(4, rest);
                    at += 16;
                }
                if at + 8 <= sweep.count {
                    let rest = add8(&mut counters.low, planes, picks.add(at));
                    counters.ripple(3, rest);
                }
                counters.over.store(sweep.over.add(row * PLANE_WORDS + word));
            }
            word += V::WORDS;
        }
    }
}
