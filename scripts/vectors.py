#!/usr/bin/env python3
"""Known-answer vectors, made by a second implementation that shares no code with the first.

    pip install blake3
    scripts/vectors.py            # writes testdata/vectors/*.json

It follows the written rules (src/agency/key.rs, filter.rs, diffuse.rs, tokens.rs, names.rs, worker.rs and the schemas in
config/schemas/), not the code.
"""
import json
import pathlib
import tomllib

try:
    from blake3 import blake3
except ImportError:  # name_tables.py needs the skeleton only
    blake3 = None

ROOT = pathlib.Path(__file__).resolve().parent.parent


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


# --- keys (src/agency/key.rs) and positions (src/agency/filter.rs)

def lp(data):
    return len(data).to_bytes(4, "little") + data


class Keys:
    """Everything derived from the two roots for one agency, project and epoch."""

    def __init__(self, linkage, own, agency, project, epoch):
        u32 = epoch.to_bytes(4, "little")
        self.epoch = self.derive("blindlink 1 epoch key", linkage + lp(project) + u32)
        self.check = self.derive("blindlink 1 key check value", self.epoch)[:16]
        self.refs = self.derive("blindlink 1 record ref key", own + lp(agency) + lp(project))
        self.noise = self.derive("blindlink 1 noise key", own + lp(agency) + lp(project) + u32)

    @staticmethod
    def derive(context, material):
        return blake3(material, derive_key_context=context).digest()

    def named(self, kind, name):
        return self.derive(f"blindlink 1 {kind} key", self.epoch + lp(name.encode()))


class Stream:
    """u32 little-endian words of an extendable output."""

    def __init__(self, key, data):
        self.hasher, self.at = blake3(data, key=key), 0

    def next(self):
        self.at += 4
        return int.from_bytes(self.hasher.digest(length=4, seek=self.at - 4), "little")

    def below(self, bound):
        return self.next() * bound >> 32

    def distinct(self, bits, count):
        found = []
        while len(found) < count:
            at = self.next() * bits >> 32
            if at not in found:
                found.append(at)
        return found


def shares(budget, bits, tokens):
    """Insertions of each of n tokens: n l (1 - exp(-b / n l)) in all, by four terms of the series."""
    if not tokens:
        return []
    space = bits * tokens
    terms = 24 * budget * space**3 - 12 * budget**2 * space**2 + 4 * budget**3 * space - budget**4
    budget = (terms + 12 * space**3) // (24 * space**3)
    return [budget // tokens + (at < budget % tokens) for at in range(tokens)]


# --- tokens (src/agency/tokens.rs)

def bigrams(text):
    padded = f"_{text}_"
    return {padded[at:at + 2] for at in range(len(padded) - 1)} if text else set()


def tokens(attribute, person, given, family):
    reads, rule = attribute["reads"], attribute["tokens"]
    date = person.get("date") or person.get("slipped")
    if reads in ("given", "family"):
        out = bigrams({"given": given, "family": family}[reads] or "")
    elif reads == "date-of-birth":
        if not date:
            return []
        year, month, day = date
        y, m, d = f"{year:04}", f"{month:02}", f"{day:02}"
        low, high = min(m, d), max(m, d)
        # No token holds a part that is not known.
        known = {"m" + m: month, "d" + d: day, "md" + m + d: month and day, "s" + low + high: month and day}
        if rule == "date":
            known |= {"y" + y: year, "ym" + y + m: year and month, "yd" + y + d: year and day,
                      "f" + y + m + d: year and month and day}
        out = {token for token, all_known in known.items() if all_known}
    elif reads == "sex":
        out = {person["sex"]} if person.get("sex") else set()
    elif reads == "address":
        out = set().union(*(bigrams(w) for w in person.get("address", "").split()))
    else:
        post = person.get("postcode")
        if post:
            out = {"full " + post, "sector " + post[:-2], "outward " + post[:-3]}
        elif reads == "place":
            out = set().union(*(bigrams(w) for w in person.get("address", "").split()))
        else:
            out = set()
    return sorted(token.encode() for token in out)


# --- slots (src/agency/worker.rs)

def canonical_table():
    lines = (ROOT / "config/names/canonical.tsv").read_text().splitlines()
    return dict(line.split("\t") for line in lines if not line.startswith("#"))


def name_lists(person, forms):
    """Given names (canonical) and family names: the whole one, then what can stand for it."""
    given, family = [], []

    def add(names, name, start):
        if name and name not in names[start:]:
            names.append(name)

    for at, parts in enumerate(person.get("given", [])):
        if at > 0 and len(parts) == 1 and len(parts[0]) == 1:
            continue  # the initial of a middle name is no name to find a child by
        whole = "".join(parts)
        add(given, forms.get(whole, whole), 0)
        if at == 0 and len(parts) > 1:
            add(given, forms.get(parts[0], parts[0]), 0)
    for at, parts in enumerate(person.get("family", [])):
        if at == 0:
            family.append("".join(parts))
        long = [part for part in parts if len(part) >= 3]
        for part in long if len(parts) > 1 and long else ["".join(parts)]:
            add(family, part, 1)
    return given, family


def foci(rule, given, family):
    """(given, family, whether the given name is the one the slot is about)."""
    main, whole = given[0] if given else None, family[0] if family else None
    if rule == "record":
        return [(main, whole, True)]
    out = []
    if rule == "name":
        if main:
            out.append((main, whole, True))
        out += [(main, part, False) for part in family[1:]]
        out += [(other, whole, True) for other in given[1:]]
    elif main:
        out += [(main, part, True) for part in family[1:]]
        if whole:
            out += [(other, family[1], True) for other in given[1:]]
    return out


def salt_values(part, person, focus):
    """The values of one part of a salt, or None where the record lacks one."""
    given, family, by_given = focus
    chosen, other = (given, family) if by_given else (family, given)
    date = person.get("date")
    if part in ("year", "month", "day-month", "date"):
        if not date and part == "year" and person.get("slipped", [0])[0]:
            return [f"{person['slipped'][0]:04}"]
        if not date:
            return None
        y, m, d = f"{date[0]:04}", f"{date[1]:02}", f"{date[2]:02}"
        return {"year": [y], "month": [m], "day-month": sorted([m, d]), "date": [y, m, d]}[part]
    if part == "place":
        value = person.get("postcode") or person.get("address")
        return [value] if value else None
    if part == "sector":
        return [person["postcode"][:-2]] if person.get("postcode") else None
    needs = {
        "name-skeleton": [chosen], "given-skeleton": [given], "family-skeleton": [family], "other-initial": [other],
        "given-prefix": [given], "pair-prefix": [given, family], "pair-skeleton": [given, family],
    }[part]
    if not all(needs):
        return None
    if part == "other-initial":
        return [other[:1]]
    values = [name[:3] if "prefix" in part else skeleton(name) for name in needs]
    return sorted(values) if all(values) else None


def rarity():
    """Whether a sorted pair of skeletons is rare, by config/names/skeletons.tsv (src/agency/names.rs)."""
    denied = {skeleton(name) for name in DENIED}
    shares_, table = {}, {}
    for line in (ROOT / "config/names/skeletons.tsv").read_text().splitlines():
        if line.startswith("#"):
            continue
        kind, rest = line.split("\t", 1)
        pairs = {o: int(n) for o, n in (p.split("=") for p in rest.split("\t")[-1].split(" "))}
        if kind == "origins":
            shares_ = pairs
        else:
            table[kind, rest.split("\t")[0]] = pairs

    def rate(kind, sk, origin):
        return max(table.get((kind, sk), {}).get(origin, 0), [5000, 2500, 800, 200][len(sk) - 1])

    def expected(g, f):
        return sum(share * rate("g", g, o) * rate("f", f, o) for o, share in shares_.items())

    return lambda a, b, one_in: not {a, b} & denied and (expected(a, b) + expected(b, a)) * one_in <= 10**15


DENIED = """singh kaur begum bibi khatun akhtar ali khan ahmed hussain mohammed miah islam uddin shah malik iqbal mahmood
patel nguyen tran pham wang li zhang chen liu wong abdi hassan osman ibrahim""".split()


# --- diffusion (src/agency/diffuse.rs)

def diffusion(key, filter_bits, bits, terms):
    """The positions each bit that leaves adds up: drawn from a pool that is refilled when empty."""
    stream, pool, rows = Stream(key, b""), [], []
    for _ in range(bits):
        row = []
        while len(row) < terms:
            if not pool:
                pool = list(range(filter_bits))
            at = stream.below(len(pool))
            if pool[at] in row:
                continue
            row.append(pool[at])
            pool[at] = pool[-1]
            pool.pop()
        rows.append(row)
    return rows


def left_bits(view):
    """Bits of a slot as it leaves."""
    return view.get("diffusion", view)["bits"]


def encode(schema, keys, person, forms, rare):
    """Slots (hex) and tags of one person, in file order."""
    attributes = {a["name"]: a for a in schema["attribute"]}
    given, family = name_lists(person, forms if schema.get("nicknames") else {})
    noise = Stream(keys.noise, person["id"].encode())
    flips, orders = [], []
    for view in schema["view"]:
        flips.append([flips_of(view, schema.get("flips_per_mille", 0), noise) for _ in range(view["slots"])])
        order = list(range(view["slots"]))
        for left in range(view["slots"], 1, -1):
            chosen = noise.below(left)
            order[left - 1], order[chosen] = order[chosen], order[left - 1]
        orders.append(order)
    out = []
    bits_of_tag = (schema.get("population", 0) // 10).bit_length() - 1
    for view, view_flips, order in zip(schema["view"], flips, orders):
        slots = []
        for focus in foci(view.get("focus", "record"), given, family):
            if len(slots) == view["slots"]:
                break
            slot = salted_slot(view, keys, person, focus, attributes, rare)
            if slot:
                slots.append(slot)
        while len(slots) < view["slots"]:
            bits = set()
            if schema.get("filler"):
                main = (given[0] if given else None, family[0] if family else None)
                for start, segment, name, budget in parts_of(view):
                    own = len(tokens(attributes[name], person, *main))
                    if own == 0 and is_salted(view, attributes[name]):
                        own = 7  # of usual length: no filled slot of the view lacks this value
                    for count in shares(budget, segment["bits"], own):
                        bits |= {start + at for at in noise.distinct(segment["bits"], count)}
            slots.append((bits, noise.next()))
        for at, k in enumerate(order):
            bits, tag = slots[k]
            if "diffusion" in view:
                name, form = view["name"], view["diffusion"]
                if name not in DIFFUSIONS:
                    DIFFUSIONS[name] = diffusion(keys.named("diffusion", name), view["bits"], form["bits"], form["terms"])
                rows = DIFFUSIONS[name]
                bits = {at for at, row in enumerate(rows) if len(bits & set(row)) % 2}
            for flip in view_flips[at]:
                bits ^= {flip}
            filter_ = sum(1 << bit for bit in bits).to_bytes(left_bits(view) // 8, "little")
            tag = tag & (1 << bits_of_tag) - 1 if view.get("tagged") else None
            out.append({"view": view["name"], "slot": at, "filter": filter_.hex(), "tag": tag})
    return out


def flips_of(view, per_mille, noise):
    """Flipped positions of a slot: each segment has its share, or, after diffusion, the slot as a whole."""
    if "diffusion" in view:
        return set(noise.distinct(left_bits(view), (left_bits(view) * per_mille + 500) // 1000))
    out, start = set(), 0
    for segment in view["segment"]:
        out |= {start + at for at in noise.distinct(segment["bits"], -(-segment["bits"] * per_mille // 1000))}
        start += segment["bits"]
    return out


# What the parts of a salt ask a record for.
ASKED = {
    "year": ["date-of-birth"], "month": ["date-of-birth"], "day-month": ["date-of-birth"], "date": ["date-of-birth"],
    "other-initial": ["given", "family"], "pair-prefix": ["given", "family"], "pair-skeleton": ["given", "family"],
    "given-prefix": ["given"], "given-skeleton": ["given"], "family-skeleton": ["family"],
    "place": ["place"], "sector": ["place", "postcode"], "name-skeleton": [],
}


def is_salted(view, attribute):
    asked = [source for part in view.get("salt", []) for source in ASKED[part]]
    return view.get("missing_salt", "drop") == "drop" and attribute["reads"] in asked


def parts_of(view):
    start = 0
    for segment in view["segment"]:
        for name, budget in sorted(segment["budgets"].items()):
            yield start, segment, name, budget
        start += segment["bits"]


def salted_slot(view, keys, person, focus, attributes, rare):
    salt, tag = b"", 0
    if view.get("salt"):
        data = b""
        for part in view["salt"]:
            values = salt_values(part, person, focus)
            one_in = view.get("rare_one_in", 60_000)
            if values and part == "pair-skeleton" and view.get("rare") and not rare(*values, one_in):
                values = None
            if values is None and view.get("missing_salt", "drop") == "drop":
                return None
            data += b"".join(lp(value.encode()) for value in values or [""])
        output = blake3(data, key=keys.named("salt", view["name"])).digest(length=20)
        salt, tag = output[:16], int.from_bytes(output[16:], "little")
    bits = set()
    for start, segment, name, budget in parts_of(view):
        attribute = attributes[name]
        key = keys.named("attribute", attribute.get("hash", name))
        found = tokens(attribute, person, focus[0], focus[1])
        for token, count in zip(found, shares(budget, segment["bits"], len(found))):
            stream = Stream(key, lp(salt) + lp(token))
            bits |= {start + at for at in stream.distinct(segment["bits"], count)}
    return bits, tag


# By view, for the one set of keys of the vectors.
DIFFUSIONS = {}

PERSONS = [
    {"id": "A1", "given": [["oliver"]], "family": [["smith"]], "date": [2014, 3, 7], "sex": "m", "postcode": "L138BB"},
    {"id": "A2", "given": [["katie"], ["jane"]], "family": [["smith", "jones"]], "date": [2011, 12, 1], "sex": "f",
     "address": "12 mill lane"},
    {"id": "A3", "given": [["mohammed"], ["a"]], "family": [["khan"], ["al", "hashimi"]], "date": [2009, 2, 28],
     "postcode": "B12AA"},
    {"id": "A4", "given": [["peregrine"]], "family": [["featherstonehaugh"]], "postcode": "EC1A1BB", "sex": "m"},
    {"id": "A5", "given": [["anna", "maria"]], "family": [["de", "la", "cruz"]], "date": [2018, 9, 19], "nhs": "9434765919"},
    {"id": "A6", "family": [["ng"]], "date": [2016, 10, 10], "sex": "f", "postcode": "M11AE"},
    {"id": "A7"},
    {"id": "A8", "given": [["oliver"]], "family": [["smith"]], "slipped": [2014, 83, 7], "postcode": "L138BB",
     "address": "12 mill lane"},
    {"id": "A9", "given": [["oliver"]], "family": [["smith"]], "slipped": [2014, 3, 0], "sex": "m"},
]


def main():
    out = ROOT / "testdata/vectors"
    out.mkdir(parents=True, exist_ok=True)
    linkage, own = bytes(range(32)), bytes(range(100, 132))
    keys = Keys(linkage, own, b"school", b"pilot", 3)
    forms, rare = canonical_table(), rarity()
    for name in ("views", "diffused", "clk", "fields"):
        schema = tomllib.loads((ROOT / f"config/schemas/uk-child-{name}.toml").read_text())
        records = []
        for person in PERSONS:
            record = {"ref": blake3(person["id"].encode(), key=keys.refs).digest()[:16].hex(), "person": person}
            record["slots"] = encode(schema, keys, person, forms, rare)
            record["exact"] = None
            if person.get("nhs"):
                key = keys.named("exact token", "nhs-number")
                record["exact"] = blake3(person["nhs"].encode(), key=key).digest()[:16].hex()
            records.append(record)
        head = {
            "about": "made by scripts/vectors.py, which shares no code with the program",
            "schema": f"uk-child-{name}", "linkage_key": linkage.hex(), "agency_key": own.hex(), "agency": "school",
            "project": "pilot", "epoch": 3, "key_check": keys.check.hex(), "records": records,
        }
        (out / f"uk-child-{name}.json").write_text(json.dumps(head, indent=1) + "\n")
    names = ["stephen", "stefan", "mohammed", "muhammad", "catherine", "katherine", "knight", "wright", "alexander",
             "jack", "zoe", "geoffrey", "jeffrey", "yusuf", "hannah", "phoebe", "o", "xanthe", "quinn", "callaghan"]
    table = {name: skeleton(name) for name in names}
    (out / "skeletons.json").write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
