//! Shields that spread: a record that comes near a shielded one inherits its shield, before anything of the run
//! can be read.
//!
//! An update of a shielded child that is not matched with its record would otherwise make a second record that
//! everybody sees.

use super::linking::{LinkingError, Means, Party};
use crate::linkage::arena::Dataset;
use crate::linkage::run::{LinkOptions, link};
use crate::store::{NewEvent, ProjectRecord, ShieldRecord, Side, StoreError, Vault};
use crate::wire::messages::{NoticeKind, NoticeMessage, Reach};
use crate::wire::{AgencyId, RecordRef, Visibility};
use std::collections::{BTreeMap, BTreeSet};

/// Lets records that come near a shielded one inherit its shield, and tells its owner.
pub(super) fn inherit(
    vault: &Vault,
    project: &ProjectRecord,
    parties: &mut [Party],
    means: Means<'_>,
) -> Result<(), LinkingError> {
    let now = vault.now();
    let mut found: Vec<(usize, BTreeMap<RecordRef, Side>)> = Vec::new();
    for (at, holder) in parties.iter().enumerate() {
        let shielded = holder.part(|visibility| visibility == Visibility::Hidden);
        // What was inherited is not handed on: one wrong pair would spread over a whole town.
        let reach = |record: &RecordRef| match holder.shields.get(record) {
            Some(shield) if shield.inherited.is_some() => None,
            Some(shield) => Some(shield.reach),
            None => Some(Reach::Record),
        };
        let far = shielded.refs.iter().any(|record| reach(record) == Some(Reach::Child));
        if shielded.is_empty() {
            continue;
        }
        for (other, party) in parties.iter().enumerate().filter(|(other, party)| {
            *other == at || far && means.agreement.pair(&holder.agency, &party.agency).is_some()
        }) {
            let mut inherited = BTreeMap::new();
            for (from, to) in near(project, &shielded, &party.part(|v| v != Visibility::Hidden), means)? {
                let reaches = reach(&from).is_some_and(|reach| other == at || reach == Reach::Child);
                // Two people opened this one: it is not to be shut again behind their backs.
                let opened = party.shields.get(&to).is_some_and(|shield| shield.is_opened(now));
                if reaches && !opened {
                    inherited.insert(to, (holder.agency.clone(), from));
                }
            }
            if !inherited.is_empty() {
                found.push((other, inherited));
            }
        }
    }
    for (at, inherited) in found {
        let agency = parties[at].agency.clone();
        tell(vault, project, &agency, &inherited)?;
        let event = NewEvent::new("shield_inherited").by(None, Some(&agency));
        let records: BTreeSet<RecordRef> = inherited.keys().copied().collect();
        // Only this is set: what its agency uploaded, declared or opened meanwhile stands.
        let inherit = |record: &RecordRef, before: ShieldRecord| -> Result<_, StoreError> {
            if before.said() == Visibility::Hidden || before.is_opened(vault.now()) {
                return Ok(before);
            }
            let from = inherited.get(record).cloned();
            let own = from.as_ref().is_some_and(|(owner, _)| *owner == agency);
            // A new date would tell another agency that something happened to its record.
            let since = if own { vault.now() } else { before.since };
            Ok(ShieldRecord { inherited: from, since, ..before })
        };
        vault.change_shields((&project.id, &agency), &records, inherit, (event, false))?;
        parties[at].hide(&records);
    }
    Ok(())
}

/// Tells the owner of each shield that another record inherited it. The agency whose record that is, if it
/// is another, is not told: it would learn that there is a shielded record.
fn tell(
    vault: &Vault,
    project: &ProjectRecord,
    agency: &AgencyId,
    inherited: &BTreeMap<RecordRef, Side>,
) -> Result<(), StoreError> {
    for (record, (owner, from)) in inherited {
        let own = owner == agency;
        let notice = NoticeMessage {
            number: 0,
            at: vault.now(),
            kind: if own { NoticeKind::ShieldInherited } else { NoticeKind::ShieldReached },
            record: Some(if own { *record } else { *from }),
            agency: None,
            why: None,
        };
        vault.notify(&project.id, Some(owner), notice)?;
    }
    Ok(())
}

/// Pairs of a shielded record and a shown one that reach a band.
fn near(
    project: &ProjectRecord,
    shielded: &Dataset,
    shown: &Dataset,
    means: Means<'_>,
) -> Result<Vec<(RecordRef, RecordRef)>, LinkingError> {
    if shown.is_empty() {
        return Ok(Vec::new());
    }
    // Two datasets of a run have two agencies, though here they may have one.
    let names = ["0", "1"].map(|name| name.parse::<AgencyId>());
    let [Ok(first), Ok(second)] = names else { return Ok(Vec::new()) };
    let pair = [Dataset { agency: first, ..shielded.clone() }, Dataset { agency: second, ..shown.clone() }];
    let run = link(&pair, &project.decision, &LinkOptions::default(), means.exec, means.control)?;
    let edges = run.candidates.pairs.iter().flat_map(|pair| &pair.edges);
    Ok(edges.map(|edge| (shielded.refs[edge.a as usize], shown.refs[edge.b as usize])).collect())
}

/// Ends what was inherited from a record that is not shielded any more.
pub(super) fn end_inherited(
    vault: &Vault,
    project: &ProjectRecord,
    agency: &AgencyId,
    shields: &mut BTreeMap<RecordRef, ShieldRecord>,
) -> Result<(), StoreError> {
    let mut ended = BTreeMap::new();
    for (record, shield) in shields.iter() {
        let Some((owner, from)) = &shield.inherited else { continue };
        if vault.visibility(&project.id, owner, from)? != Visibility::Hidden {
            ended.insert(*record, shield.inherited.clone());
        }
    }
    let event = NewEvent::new("shield_ended").by(None, Some(agency));
    let end = |record: &RecordRef, before: ShieldRecord| -> Result<_, StoreError> {
        let same = ended.get(record) == Some(&before.inherited);
        Ok(if same { ShieldRecord { inherited: None, ..before } } else { before })
    };
    let records = ended.keys().copied().collect();
    shields.extend(vault.change_shields((&project.id, agency), &records, end, (event, false))?);
    Ok(())
}
