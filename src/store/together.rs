//! Many requests' writes in one durable step: each is told only after its own writes are on disk.
//!
//! May see: the store trait. Must not see: what is written. While one group is being flushed, whoever comes next is
//! gathered into the group after it; one of them then applies and flushes it for all. A request looks at what those
//! before it in its group have gathered, as if that stood in the store already. If a group cannot be written,
//! nobody in it is told that it was: fail closed. After a conflict each of the group is looked at by itself, so that one
//! which expects what is not so fails alone.

use super::{Batch, Store, StoreError};
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

const TRIES_MAX: u32 = 1_000;
/// Times that what a request expects may be found not to be so when it has just been looked at. Somebody else's write in
/// that moment is rare; this often, it is the request's own mistake.
const STALE_MAX: u32 = 8;

type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// What stands once the group so far is written.
pub struct Gathered<'a> {
    store: &'a dyn Store,
    writes: &'a Writes,
}

impl Gathered<'_> {
    /// The value of `key` as the request before left it.
    ///
    /// # Errors
    /// What the engine says.
    pub fn value(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.writes.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.store.value(key),
        }
    }
}

/// Writers of one store that share its flushes; `S` follows from what they wrote: the edge of a tree.
pub(super) struct Together<S> {
    store: Arc<dyn Store>,
    state: Mutex<State<S>>,
}

struct State<S> {
    /// After all that is applied.
    applied: S,
    /// The group that gathers.
    open: Option<Group<S>>,
    /// Whether somebody writes a group, or was told to.
    writing: bool,
}

struct Group<S> {
    after: S,
    expectations: Writes,
    writes: Writes,
    /// Whether anybody waits for it; one that only failed requests looked at is nobody's to write.
    awaited: bool,
    outcome: Arc<Outcome>,
}

#[derive(Default)]
struct Outcome {
    word: Mutex<Word>,
    said: Condvar,
}

#[derive(Default)]
enum Word {
    /// The group before is being written.
    #[default]
    Wait,
    /// Whoever reads this first writes the group for all.
    Write,
    Done(Result<(), StoreError>),
}

/// Where a request came to stand.
enum Staged<T> {
    /// In this group.
    In(T, Arc<Outcome>),
    /// Nowhere: it contradicts one in this group and waits for that.
    Waits(Arc<Outcome>),
    /// Nowhere: what it expects is not so.
    Stale,
}

impl<S: Clone> Together<S> {
    pub(super) fn new(store: Arc<dyn Store>, applied: S) -> Self {
        Self { store, state: Mutex::new(State { applied, open: None, writing: false }) }
    }

    pub(super) fn applied(&self) -> S {
        held(&self.state).applied.clone()
    }

    /// Writes what `stage` puts into its batch, and returns once that is on disk. `stage` changes the state as its
    /// writes do; it runs again if the store, or the group it came into, changed meanwhile. `reread` finds the state
    /// again when somebody else changed it.
    ///
    /// # Errors
    /// What `stage` says, or the store: then nothing of it stands, or nobody was told so.
    pub(super) fn write<T, E: From<StoreError>>(
        &self,
        mut stage: impl FnMut(&Gathered<'_>, &mut S, &mut Batch) -> Result<T, E>,
        reread: impl Fn() -> Result<S, StoreError>,
    ) -> Result<T, E> {
        let (mut tries, mut stale) = (0, 0);
        loop {
            let (staged, outcome) = match self.stage(&mut stage, (tries > 0).then_some(&reread))? {
                Staged::In(value, outcome) => (Some(value), outcome),
                Staged::Waits(outcome) => (None, outcome),
                Staged::Stale if stale < STALE_MAX => {
                    stale += 1;
                    continue;
                }
                Staged::Stale => return Err(StoreError::Conflict.into()),
            };
            match (self.outcome(&outcome, &reread), staged) {
                (Ok(()), Some(value)) => return Ok(value),
                (Ok(()), None) | (Err(StoreError::Conflict), _) if tries < TRIES_MAX => tries += 1,
                (Ok(()), None) => return Err(StoreError::Conflict.into()),
                (Err(error), _) => return Err(error.into()),
            }
        }
    }

    /// Puts a request into the open group, or finds that it must wait. `again`, with what rereads the state: a group it
    /// was in could not be written, so it is compared with the store before it spoils another.
    fn stage<T, E: From<StoreError>>(
        &self,
        stage: &mut impl FnMut(&Gathered<'_>, &mut S, &mut Batch) -> Result<T, E>,
        again: Option<&impl Fn() -> Result<S, StoreError>>,
    ) -> Result<Staged<T>, E> {
        let mut state = held(&self.state);
        let State { applied, open, writing } = &mut *state;
        let group = open.get_or_insert_with(|| Group::after(applied.clone()));
        let (mut after, mut batch) = (group.after.clone(), Batch::new());
        let value = stage(&Gathered { store: &*self.store, writes: &group.writes }, &mut after, &mut batch)?;
        // One value too many would fail the whole group.
        batch.check()?;
        if let Some(reread) = again
            && group.is_stale(&*self.store, &batch)?
        {
            if !group.awaited {
                // Nobody is in it: the state it began with may be what is out of date.
                *open = None;
                *applied = reread()?;
            }
            return Ok(Staged::Stale);
        }
        let agrees = group.take_in(&batch);
        if agrees {
            group.after = after;
        }
        group.awaited = true;
        let outcome = Arc::clone(&group.outcome);
        if !*writing {
            *writing = true;
            *held(&outcome.word) = Word::Write;
        }
        Ok(if agrees { Staged::In(value, outcome) } else { Staged::Waits(outcome) })
    }

    /// Waits for a group, or writes it.
    fn outcome(
        &self,
        outcome: &Outcome,
        reread: &impl Fn() -> Result<S, StoreError>,
    ) -> Result<(), StoreError> {
        let mut word = held(&outcome.word);
        loop {
            match &*word {
                Word::Done(result) => return result.clone(),
                Word::Write => {
                    *word = Word::Wait;
                    drop(word);
                    let stopped = Err(StoreError::Engine("a write stopped halfway".to_owned()));
                    let mut writing = Writing { together: self, outcome, result: stopped };
                    writing.result = self.write_open(reread).and_then(|()| self.store.flush());
                    return writing.result.clone();
                }
                Word::Wait => word = outcome.said.wait(word).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Applies the open group. Not yet on disk.
    fn write_open(&self, reread: &impl Fn() -> Result<S, StoreError>) -> Result<(), StoreError> {
        let mut state = held(&self.state);
        let Some(group) = state.open.take() else { return Ok(()) };
        let mut batch = Batch::new();
        for (key, expected) in group.expectations {
            batch.expect(key, expected);
        }
        for (key, value) in group.writes {
            match value {
                Some(value) => batch.put(key, value),
                None => batch.remove(key),
            };
        }
        let applied = self.store.apply(&batch);
        match &applied {
            Ok(()) => state.applied = group.after,
            Err(StoreError::Conflict) => state.applied = reread()?,
            Err(_) => {}
        }
        applied
    }
}

impl<S> Group<S> {
    fn after(after: S) -> Self {
        let (expectations, writes, outcome) = (Writes::new(), Writes::new(), Arc::default());
        Self { after, expectations, writes, awaited: false, outcome }
    }

    /// Whether a batch expects of the store what is not so, for what nobody in the group has said anything of.
    fn is_stale(&self, store: &dyn Store, batch: &Batch) -> Result<bool, StoreError> {
        for (key, expected) in batch.expectations() {
            let said = self.writes.contains_key(key) || self.expectations.contains_key(key);
            if !said && store.value(key)? != *expected {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Adds a batch, if what it expects agrees with what was gathered.
    fn take_in(&mut self, batch: &Batch) -> bool {
        let agrees = |(key, expected): &(Vec<u8>, Option<Vec<u8>>)| {
            let stands = self.writes.get(key).or_else(|| self.expectations.get(key));
            stands.is_none_or(|stands| stands == expected)
        };
        if !batch.expectations().iter().all(agrees) {
            return false;
        }
        for (key, expected) in batch.expectations() {
            if !self.writes.contains_key(key) {
                self.expectations.insert(key.clone(), expected.clone());
            }
        }
        self.writes.extend(batch.writes().iter().cloned());
        true
    }
}

/// Held by whoever writes a group. However that ends, the group is told and the next one is written.
struct Writing<'a, S> {
    together: &'a Together<S>,
    outcome: &'a Outcome,
    result: Result<(), StoreError>,
}

impl<S> Drop for Writing<'_, S> {
    fn drop(&mut self) {
        let mut state = held(&self.together.state);
        match &state.open {
            Some(next) if next.awaited => {
                *held(&next.outcome.word) = Word::Write;
                next.outcome.said.notify_one();
            }
            _ => state.writing = false,
        }
        drop(state);
        *held(&self.outcome.word) = Word::Done(self.result.clone());
        self.outcome.said.notify_all();
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded is changed in steps that each leave it whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::{Fault, MemoryStore};
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn together(store: &Arc<MemoryStore>) -> Together<u64> {
        Together::new(Arc::clone(store) as Arc<dyn Store>, 0)
    }
    fn count(bytes: Option<Vec<u8>>) -> u64 {
        bytes.map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()))
    }
    /// Counts one key up, as budgets do.
    fn count_up(together: &Together<u64>, key: &str) -> Result<u64, StoreError> {
        let step = |gathered: &Gathered<'_>, state: &mut u64, batch: &mut Batch| {
            let old = gathered.value(key.as_bytes())?;
            let after = count(old.clone()) + 1;
            batch.expect(key, old).put(key, after.to_le_bytes());
            *state += 1;
            Ok::<u64, StoreError>(after)
        };
        together.write(step, || Ok(0))
    }

    #[test]
    fn many_writers_count_exactly_and_share_flushes() {
        let store = Arc::new(MemoryStore::new());
        let together = together(&store);
        std::thread::scope(|scope| {
            for thread in 0..16u32 {
                let (together, store) = (&together, &store);
                scope.spawn(move || {
                    for _ in 0..50 {
                        count_up(together, "all").unwrap();
                        let own = count_up(together, &format!("own{thread}")).unwrap();
                        // Told means on disk.
                        let disk = store.after_crash(0).value(format!("own{thread}").as_bytes()).unwrap();
                        assert!(count(disk) >= own);
                    }
                });
            }
        });
        assert_eq!(count(store.after_crash(0).value(b"all").unwrap()), 800);
        assert_eq!(together.applied(), 1_600);
    }

    #[test]
    fn somebody_elses_write_is_seen_and_nothing_is_counted_twice() {
        let store = Arc::new(MemoryStore::new());
        let (one, other) = (together(&store), together(&store));
        std::thread::scope(|scope| {
            for together in [&one, &other] {
                for _ in 0..4 {
                    scope
                        .spawn(move || (0..50).for_each(|_| assert!(count_up(together, "all").unwrap() > 0)));
                }
            }
        });
        assert_eq!(count(store.value(b"all").unwrap()), 400);
    }

    #[test]
    fn a_request_that_expects_what_is_not_so_fails_alone() {
        let store = Arc::new(MemoryStore::new());
        let together = together(&store);
        let mut batch = Batch::new();
        batch.put("wrong", "other bytes of the same");
        store.apply(&batch).unwrap();
        let (good, bad, staged) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8u32 {
                let (together, good, bad, staged) = (&together, &good, &bad, &staged);
                scope.spawn(move || {
                    for turn in 0..50 {
                        let step = |_: &Gathered<'_>, _: &mut u64, batch: &mut Batch| {
                            staged.fetch_add(1, Ordering::SeqCst);
                            batch.expect("wrong", Some(b"re-encoded".to_vec())).put("wrong", "lost");
                            batch.put(format!("with-wrong/{thread}-{turn}"), [1]);
                            Ok::<(), StoreError>(())
                        };
                        if turn % 10 == thread % 10 {
                            assert_eq!(together.write(step, || Ok(0)), Err(StoreError::Conflict));
                            bad.fetch_add(1, Ordering::SeqCst);
                        } else {
                            count_up(together, "all").unwrap();
                            good.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        let (good, bad, staged) = (good.into_inner(), bad.into_inner(), staged.into_inner());
        assert_eq!((good, bad), (360, 40));
        assert_eq!(count(store.after_crash(0).value(b"all").unwrap()), 360);
        let stand = store.after_crash(0);
        assert!(stand.scan(b"with-wrong/", None, 1).unwrap().is_empty(), "nothing of it stands");
        // Once in a group, or waiting for one that others of its kind are in, then by itself.
        assert!(staged <= bad * u64::from(STALE_MAX + 8), "{staged} times for {bad} requests");
    }

    #[test]
    fn a_request_that_fails_harms_no_other_and_a_group_that_fails_tells_all() {
        let store = Arc::new(MemoryStore::new());
        let together = together(&store);
        let (good, bad) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8u32 {
                let (together, good, bad) = (&together, &good, &bad);
                scope.spawn(move || {
                    for turn in 0..50 {
                        let key = format!("k{thread}-{turn}");
                        let refused = turn % 3 == 0;
                        let large = turn % 3 == 1;
                        let step = |_: &Gathered<'_>, _: &mut u64, batch: &mut Batch| {
                            batch.put(key.as_str(), vec![1; if large { 70_000 } else { 8 }]);
                            if refused { Err(StoreError::Engine("no".to_owned())) } else { Ok(()) }
                        };
                        let done = together.write(step, || Ok(0));
                        assert_eq!(done.is_ok(), !refused && !large, "{done:?}");
                        if done.is_ok() { good } else { bad }.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        let stand = store.after_crash(0).scan(b"k", None, usize::MAX).unwrap().len() as u64;
        assert_eq!((stand, good.into_inner(), bad.into_inner()), (128, 128, 272));
        for fault in [Fault::WriteAfter(0), Fault::WriteAfter(1)] {
            store.fail(fault);
            std::thread::scope(|scope| {
                let told: Vec<_> = (0..8).map(|_| scope.spawn(|| count_up(&together, "x"))).collect();
                told.into_iter().for_each(|told| assert!(told.join().unwrap().is_err()));
            });
            store.fail(Fault::None);
        }
        assert!(count(store.after_crash(0).value(b"x").unwrap()) == 0, "nobody was told so");
        count_up(&together, "x").unwrap();
    }
}
