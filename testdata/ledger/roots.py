"""Independent oracle of the ledger's tree: RFC 6962 section 2.1 with BLAKE3, by recursion.

Run `python roots.py > roots.txt` with the `blake3` package (CC0-1.0 or Apache-2.0). Leaf n is the number n
as eight little-endian bytes; each line is a size from 0 to 65 and its root.
With a file as argument it checks that file, an export of the ledger, against its own checkpoint.
"""
import json
import sys
from blake3 import blake3


def leaf(data):
    return blake3(b"\x00" + data).digest()


def root(leaves):
    if not leaves:
        return blake3(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return blake3(b"\x01" + root(leaves[:split]) + root(leaves[split:])).digest()


def canonical(entry):
    def field(data):
        return bytes([len(data)]) + data

    scope, act = entry.get("scope"), entry["act"]
    fields = [
        entry["who"].encode(),
        entry.get("agency", "").encode(),
        scope["project"].encode() if scope else b"",
        scope["epoch"].to_bytes(4, "little") if scope else b"",
        act["action"].encode(),
        act["role"].encode(),
        act.get("purpose", "").encode(),
        bytes.fromhex(act.get("case", "")),
        bytes.fromhex(act["request"]),
        act["result"].encode(),
        bytes.fromhex(entry["blind"]),
    ]
    head = b"blindlink ledger entry 1\n" + entry["at_ms"].to_bytes(8, "little")
    return head + b"".join(map(field, fields))


if len(sys.argv) == 1:
    for size in range(66):
        print(size, root([leaf(n.to_bytes(8, "little")) for n in range(size)]).hex())
else:
    lines = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
    leaves = [
        leaf(canonical(line["entry"])) if "entry" in line else bytes.fromhex(line["leaf"])
        for line in lines
        if "entry" in line or "leaf" in line
    ]
    signed = next(line["checkpoint"] for line in lines if "checkpoint" in line)
    assert root(leaves).hex() == signed["checkpoint"]["root"], "the root differs"
    print("agrees:", len(leaves), "entries")
