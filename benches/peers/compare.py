"""Runs every side in turn, checks that they find the same number of pairs, prints the table."""

import json
import statistics
import subprocess
import sys
import time
from fractions import Fraction

import faiss
import numkong
import numpy as np
from anonlink.similarities import dice_coefficient_accelerated
from bitarray import bitarray

ROW_BYTES = 128
ANONLINK, FAISS, NUMKONG = "anonlink 0.15.3", f"faiss {faiss.__version__}", "numkong, no threshold"
BEST, AVX2, PORTABLE = "blindlink", "blindlink avx2", "blindlink portable"
TWO, ALONE = "blindlink 2 threads (wall)", "blindlink 1 thread (wall)"
COUNTED, NEAR = "blindlink, all bits", "blindlink at .9"


def timed(work):
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def anonlink_side(a, b, threshold):
    def rows(table):
        filters = [bitarray(endian="little") for _ in table]
        for row, filt in zip(table, filters):
            filt.frombytes(row.tobytes())
        return filters

    sides = rows(a), rows(b)
    return lambda: timed(lambda: len(dice_coefficient_accelerated(sides, float(threshold), k=None)[0]))


def faiss_side(a, b, threshold):
    faiss.omp_set_num_threads(1)
    index = faiss.IndexBinaryFlat(ROW_BYTES * 8)
    index.add(b)
    ones_a, ones_b = (np.unpackbits(t, axis=1).sum(axis=1, dtype=np.int64) for t in (a, b))
    radius = int((1 - threshold) * int(ones_a.max() + ones_b.max())) + 1

    def run():
        seconds, (ends, distances, labels) = timed(lambda: index.range_search(a, radius))
        rows = np.repeat(np.arange(len(a)), np.diff(ends.astype(np.int64)))
        total = ones_a[rows] + ones_b[labels]
        common = (total - distances.astype(np.int64)) // 2
        passes = (2 * common * threshold.denominator >= threshold.numerator * total) & (common > 0)
        return seconds, int(passes.sum())

    return run


def numkong_side(a, b):
    packed = numkong.hammings_pack(b, "uint1")
    chunk = 256

    def distances():
        for start in range(0, len(a) - chunk + 1, chunk):
            numkong.hammings_packed(a[start : start + chunk], packed)

    return lambda: (timed(distances)[0] * len(a) / (len(a) // chunk * chunk), None)


def engine_side(engine, what, paths, threshold, kernel, threads):
    def run():
        command = [engine, "--peer", what, *paths, str(threshold), kernel, str(threads)]
        answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        return (answer["cpu_s"] if threads == 1 else answer["wall_s"]), answer["hits"]

    return run


def sides_of(engine, paths, text):
    a, b = (np.fromfile(path, dtype=np.uint8).reshape(-1, ROW_BYTES) for path in paths)
    threshold = Fraction(text)
    sides = {ANONLINK: anonlink_side(a, b, threshold), FAISS: faiss_side(a, b, threshold)}
    try:
        sides[NUMKONG] = numkong_side(a, b)
    except (AttributeError, TypeError, ValueError) as error:
        print(f"numkong left out: {error}", file=sys.stderr)
    engine_runs = {
        BEST: ("join", text, "detect", 1),
        AVX2: ("join", text, "avx2", 1),
        PORTABLE: ("join", text, "portable", 1),
        TWO: ("join", text, "detect", 2),
        ALONE: ("join", text, "detect", -1),
        COUNTED: ("counted", text, "detect", 1),
        NEAR: ("join", "0.9", "detect", 1),
    }
    for name, (what, at, kernel, threads) in engine_runs.items():
        sides[name] = engine_side(engine, what, paths, at, kernel, threads)
    return len(a) * len(b), sides


def bars(pairs, seconds):
    """(what, unit, must hold, stretch, measure of one round)"""
    rate = lambda name: lambda i: pairs / seconds[name][i] / 1e9
    ratio = lambda over, under: lambda i: seconds[over][i] / seconds[under][i]
    return [
        ("all bits counted", "Gp/s", 2.2, 2.6, (COUNTED,), rate(COUNTED)),
        ("exact join, anonlink = 1", "x", 15, 20, (ANONLINK, BEST), ratio(ANONLINK, BEST)),
        ("exact join at .9", "Gp/s", 6.5, 7.5, (NEAR,), rate(NEAR)),
        ("faiss = 1", "x", 10, 13, (FAISS, BEST), ratio(FAISS, BEST)),
        ("numkong (no threshold) = 1", "x", 3.5, 4.5, (NUMKONG, BEST), ratio(NUMKONG, BEST)),
        ("AVX2 only, anonlink = 1", "x", 2, 2.4, (ANONLINK, AVX2), ratio(ANONLINK, AVX2)),
        ("two threads, one = 1 (wall)", "x", 1.9, 1.98, (ALONE, TWO), ratio(ALONE, TWO)),
    ]


def main():
    engine, path_a, path_b, text, rounds, _rows = sys.argv[1:7]
    pairs, sides = sides_of(engine, (path_a, path_b), text)
    seconds, hits = {name: [] for name in sides}, {}
    for _ in range(int(rounds)):
        for name, side in sides.items():
            try:
                spent, found = side()
            except subprocess.CalledProcessError:
                continue  # this machine lacks the kernel
            seconds[name].append(spent)
            if found is not None and name != NEAR:
                hits[name] = found
    print(f"{pairs} pairs, Dice {text}, {rounds} rounds, CPU time of one thread unless it says wall")
    print(f"{'':30}{'median s':>10}{'min':>9}{'max':>9}{'Mpairs/s':>10}{'hits':>9}")
    for name, spent in seconds.items():
        if spent:
            median = statistics.median(spent)
            print(f"{name:30}{median:10.3f}{min(spent):9.3f}{max(spent):9.3f}{pairs / median / 1e6:10.0f}{hits.get(name, '-'):>9}")
    print(f"\n{'bar':30}{'':6}{'must hold':>10}{'stretch':>9}{'median':>9}{'min':>8}{'max':>8}")
    for what, unit, must, stretch, names, measure in bars(pairs, seconds):
        if all(len(seconds.get(name, [])) == int(rounds) for name in names):
            values = [measure(i) for i in range(int(rounds))]
            median = statistics.median(values)
            verdict = "stretch" if median >= stretch else "held" if median >= must else "MISSED"
            print(f"{what:30}{unit:6}{must:10}{stretch:9}{median:9.2f}{min(values):8.2f}{max(values):8.2f}  {verdict}")
    if len(set(hits.values())) != 1:
        sys.exit("the sides disagree on the number of pairs")


main()
