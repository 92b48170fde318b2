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


def engine_side(engine, paths, threshold, kernel, threads):
    def run():
        command = [engine, "--peer", "join", *paths, str(threshold), kernel, str(threads)]
        answer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        return (answer["cpu_s"] if threads == 1 else answer["wall_s"]), answer["hits"]

    return run


def main():
    engine, path_a, path_b, text, rounds, _rows = sys.argv[1:7]
    a, b = (np.fromfile(path, dtype=np.uint8).reshape(-1, ROW_BYTES) for path in (path_a, path_b))
    threshold, pairs = Fraction(text), len(a) * len(b)
    sides = {"anonlink 0.15.3": anonlink_side(a, b, threshold), f"faiss {faiss.__version__}": faiss_side(a, b, threshold)}
    try:
        sides["numkong, no threshold"] = numkong_side(a, b)
    except (AttributeError, TypeError, ValueError) as error:
        print(f"numkong left out: {error}", file=sys.stderr)
    for kernel in ["detect", "avx2", "portable"]:
        sides[f"blindlink {kernel}"] = engine_side(engine, (path_a, path_b), text, kernel, 1)
    sides["blindlink 2 threads (wall)"] = engine_side(engine, (path_a, path_b), text, "detect", 2)
    seconds, hits = {name: [] for name in sides}, {}
    for _ in range(int(rounds)):
        for name, side in sides.items():
            try:
                spent, found = side()
            except subprocess.CalledProcessError:
                continue  # this machine lacks the kernel
            seconds[name].append(spent)
            if found is not None:
                hits[name] = found
    reference = statistics.median(seconds["anonlink 0.15.3"])
    print(f"{len(a)} x {len(b)} rows, Dice {text}, {rounds} rounds")
    print(f"{'':28}{'median s':>10}{'min':>9}{'max':>9}{'Mpairs/s':>10}{'anonlink=1':>12}{'hits':>9}")
    for name, spent in seconds.items():
        if spent:
            median = statistics.median(spent)
            print(f"{name:28}{median:10.3f}{min(spent):9.3f}{max(spent):9.3f}{pairs / median / 1e6:10.0f}"
                  f"{reference / median:12.2f}{hits.get(name, '-'):>9}")
    if len(set(hits.values())) != 1:
        sys.exit("the sides disagree on the number of pairs")


main()
