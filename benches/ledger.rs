//! What the ledger costs: an append, a signed checkpoint, proofs, the offline verification of an export.

#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

use blindlink::ledger::{
    Act, Checkpoint, Entry, ExportHeader, ExportWriter, Frontier, Hex, LogName, LogSigner, MemoryTree, Scope,
    Trusted, prove_consistency, prove_inclusion, verify,
};
use blindlink::wire::{ContentDigest, Epoch};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use zeroize::Zeroizing;

const ENTRIES: u64 = 20_000;

fn entry(n: u64) -> Entry {
    let word = |text: &str| text.parse().unwrap();
    Entry {
        at_ms: 1_772_357_400_000 + n,
        who: "a.smith@council".parse().unwrap(),
        agency: Some("council".parse().unwrap()),
        scope: Some(Scope { project: "mash".parse().unwrap(), epoch: Epoch::FIRST }),
        act: Act {
            action: word("lookup"),
            role: word("requester"),
            purpose: Some(word("s47-enquiry")),
            case: Some(ContentDigest::of(b"case")),
            request: ContentDigest::of(&n.to_le_bytes()),
            result: word("match"),
        },
        blind: Hex([7; 16]),
    }
}

fn ledger(c: &mut Criterion) {
    let entries: Vec<Entry> = (0..ENTRIES).map(entry).collect();
    let signer = LogSigner::from_seed(&Zeroizing::new([1; 32]));
    let log: LogName = "centre/mash".parse().unwrap();
    let (mut frontier, mut tree) = (Frontier::default(), MemoryTree::default());
    for entry in &entries {
        frontier.append(entry.leaf());
        tree.append(entry.leaf());
    }
    let signed = Checkpoint::of(log.clone(), &frontier, 5).sign(&signer);
    let (mut writer, mut text) = ExportWriter::new(ExportHeader::new(log.clone(), ENTRIES, None)).unwrap();
    entries.iter().for_each(|entry| text += &writer.entry(entry.clone()).unwrap());
    text += &writer.finish(signed.clone(), &signer).unwrap();

    let mut group = c.benchmark_group("ledger");
    group.throughput(Throughput::Elements(1));
    let mut next = entries.iter().cycle();
    group.bench_function("append", |b| b.iter(|| frontier.append(next.next().unwrap().leaf())));
    group.bench_function("checkpoint", |b| {
        b.iter(|| Checkpoint::of(log.clone(), &frontier, 5).sign(&signer));
    });
    group.bench_function("verify_checkpoint", |b| {
        b.iter(|| signed.verify(&log, &signer.public()).unwrap().size);
    });
    group.bench_function("prove_inclusion", |b| b.iter(|| prove_inclusion(&tree, black_box(777), ENTRIES)));
    group.bench_function("prove_consistency", |b| {
        b.iter(|| prove_consistency(&tree, black_box(777), ENTRIES))
    });
    group.throughput(Throughput::Elements(ENTRIES));
    group.sample_size(10);
    group.bench_function("verify_export", |b| {
        let trusted = Trusted { log: &log, key: signer.public(), older: &[], witnesses: &[] };
        b.iter(|| verify(text.as_bytes(), trusted.clone()).unwrap().shown);
    });
    group.finish();
}

criterion_group!(benches, ledger);
criterion_main!(benches);
