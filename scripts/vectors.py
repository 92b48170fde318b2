#!/usr/bin/env python3
"""Known-answer vectors, made by a second implementation that shares no code with the first.

    pip install blake3
    scripts/vectors.py            # writes testdata/vectors/*.json

It follows the written rules (src/agency/key.rs, filter.rs, tokens.rs, names.rs, worker.rs and the schemas in
config/schemas/), not the code.
"""


def skeleton(name):
    """Four-letter consonant skeleton of a lowercase ASCII name."""
    out, previous, first = "", "", True
    letters = [c for c in name if "a" <= c <= "z"]
    for at, c in enumerate(letters):
        if c == previous:
            continue
        nxt = letters[at + 1] if at + 1 < len(letters) else ""
        silent = first and (c + nxt) in ("kn", "wr")
        soft = nxt in ("e", "i", "y")
        if silent:
            keep = ""
        elif c == "p" and nxt == "h":
            keep = "f"
        elif c == "c":
            keep = "s" if soft else "" if nxt == "k" else "k"
        elif c == "q":
            keep = "k"
        elif c == "x":
            keep = "ks"
        elif c == "z":
            keep = "s"
        elif c == "g" and soft:
            keep = "j"
        elif c == "g" and nxt == "h" and not first:
            keep = ""
        elif c in "aeiou":
            keep = "a" if first else ""
        elif c in "hwy" and not first:
            keep = ""
        else:
            keep = c
        out += keep
        previous = c
        first = first and silent
        if len(out) >= 4:
            break
    return out[:4]
