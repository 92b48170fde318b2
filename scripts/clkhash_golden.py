"""Writes testdata/clkhash/cases.json: known answers of clkhash 0.18.3, one option at a time.

Use, in an environment of its own:

    python -m venv /tmp/clkhash && /tmp/clkhash/bin/pip install clkhash==0.18.3
    /tmp/clkhash/bin/python scripts/clkhash_golden.py

A case is a schema (as text where it is not JSON), a secret, an extract and how to read it; its answer is either the CLKs or the stage
("schema", "encode") at which clkhash refuses. Every value is invented.
"""

import importlib.metadata
import io
import json
import pathlib

from clkhash import schema as linkage
from clkhash.clk import generate_clk_from_csv
from clkhash.serialization import serialize_bitarray

NAMES = ["smith", "O'Neill", "müller", "Nguyễn", "", "e\u0301va", "😀 b", "aaaa"]
HKDF = {"type": "HKDF"}
DOUBLE = {"type": "doubleHash"}
SAFE = {"type": "doubleHash", "prevent_singularity": True}
BLAKE = {"type": "blakeHash"}
CASES = []


def feature(fmt=None, comparison=None, strategy=None, hashing=None, identifier="a", **more):
    """One encoded column; what is not said is a plain default."""
    inner = {
        "strategy": strategy or {"bitsPerToken": 5},
        "comparison": comparison or {"type": "ngram", "n": 2},
        **more,
    }
    if hashing:
        inner["hash"] = hashing
    return {"identifier": identifier, "format": fmt or {"type": "string"}, "hashing": inner}


def schema(*features, version=3, l=128, kdf=None, **config):
    return {
        "version": version,
        "clkConfig": {"l": l, "kdf": kdf or HKDF, **config},
        "features": list(features) or [feature()],
    }


def quoted(rows):
    lines = [",".join('"' + value.replace('"', '""') + '"' for value in row) for row in rows]
    return "".join(line + "\n" for line in lines)


def add(name, document, rows=None, header="none", validate=True, secret="secret"):
    """Rows are values of one column, rows of values, or the text of a file."""
    rows = NAMES if rows is None else rows
    if not isinstance(rows, str):
        rows = quoted([row] if isinstance(row, str) else row for row in rows)
    case = {"name": name, "schema": document, "secret": secret, "csv": rows, "header": header, "validate": validate}
    case["answer"] = answer(case)
    CASES.append(case)


def answer(case):
    text = case["schema"] if isinstance(case["schema"], str) else json.dumps(case["schema"])
    try:
        parsed = linkage.from_json_file(io.StringIO(text))
    except Exception:  # clkhash raises many kinds, some of them by accident
        return {"refused": "schema"}
    header = {"check": True, "ignore": "ignore", "none": False}[case["header"]]
    lines = io.TextIOWrapper(io.BytesIO(case["csv"].encode()), encoding="utf-8")
    try:
        clks = generate_clk_from_csv(
            lines, case["secret"], parsed, case["validate"], header, progress_bar=False, max_workers=1
        )
    except (Exception, StopIteration):
        return {"refused": "encode"}
    return {"clks": [serialize_bitarray(clk) for clk in clks]}


def filters():
    for hashing in (None, DOUBLE, SAFE, BLAKE):
        for strategy in ({"bitsPerToken": 1}, {"bitsPerToken": 33}, {"bitsPerFeature": 3}, {"bitsPerFeature": 100}):
            add(f"hash {hashing} {strategy}", schema(feature(hashing=hashing, strategy=strategy)))
        for l, folds in ((1, 1), (8, 0), (16, 2), (37, 0), (37, 3), (100, 1), (256, 3)):
            add(f"length {l} folds {folds} {hashing}", schema(feature(hashing=hashing), l=l, xor_folds=folds))
        add(f"long {hashing}", schema(feature(hashing=hashing), l=64, xor_folds=11), ["smith"])
    for folds in (True, -1, "1", None, 1.0):
        add(f"xor_folds {folds!r}", schema(xor_folds=folds))
    add("xorFolds is not read", schema(xorFolds=2))
    add("bits without fraction", schema(feature(strategy={"bitsPerToken": 7.0})))
    add("singular tokens", schema(feature(hashing=DOUBLE), l=3), list("abcdefghijklmnopqrstuvwxyz"))
    add("singular tokens prevented", schema(feature(hashing=SAFE), l=3), list("abcdefghijklmnopqrstuvwxyz"))


def keys():
    for kdf in (
        {"hash": "SHA256"},
        {"hash": "SHA512"},
        {"salt": "c2FsdA==", "info": "aW5mbw=="},
        {"hash": "SHA512", "salt": "", "info": ""},
        {"salt": "c2F\nsdA= ="},
        {"salt": "c2FsdA"},
        {"info": "é"},
        {"keySize": 1},
        {"keySize": 65},
        {"keySize": 4080},
        {"keySize": 4081},
        {"hash": "MD5"},
        {"type": "legacy"},
    ):
        for hashing in (DOUBLE, BLAKE):
            add(f"kdf {kdf} {hashing}", schema(feature(hashing=hashing), kdf={**HKDF, **kdf}), NAMES[:3])
    for secret in ("x", "süß", "s" * 300, "two\nlines"):
        add(f"secret {len(secret)}", schema(), NAMES[:3], secret=secret)
    columns = [feature(identifier=name, hashing=DOUBLE) for name in "abc"]
    columns[1] = {"identifier": "b", "ignored": True}
    add("ignored columns use keys", schema(*columns), [["x", "y", "x"], ["x", "", "z"]])
    for count in (63, 64):
        add(f"{count} columns", schema(*[feature(identifier=f"c{at}") for at in range(count)]), [["v"] * count])


def tokens():
    for n in (1, 2, 3, 9):
        for positional in (None, True, False):
            extra = {} if positional is None else {"positional": positional}
            add(f"{n}-gram {positional}", schema(feature(comparison={"type": "ngram", "n": n, **extra})))
    add("exact", schema(feature(comparison={"type": "exact"})))
    for encoding in ("ascii", "utf-8", "utf-16", "utf-32", "latin-1"):
        fmt = {"type": "string", "encoding": encoding}
        add(f"encoding {encoding}", schema(feature(fmt)))
        add(f"encoding {encoding} of ascii", schema(feature(fmt)), ["smith", "a b"])
        add(f"encoding {encoding} unchecked", schema(feature(fmt)), validate=False)
    numbers = ["1", "2.5", "-3.75", "0.05", "1e3", "99.995", "0", "-0.0", "123456789012345678901234567890", "1e25", ""]
    for distance, resolution, digits in ((1, 1, None), (2.5, 3, 1), (0.1, 2, 3), (10, 20, 0), (0.5, 2, 0), (7, 4, 2), (1e6, 2, 20)):
        comparison = {"type": "numeric", "thresholdDistance": distance, "resolution": resolution}
        if digits is not None:
            comparison["fractional_precision"] = digits
        add(f"numeric {distance} {resolution} {digits}", schema(feature(comparison=comparison)), numbers)
    for value in ("nan", "inf", "x", "1e400", " 7 ", "1_0", "٣.٥"):
        comparison = {"type": "numeric", "thresholdDistance": 2, "resolution": 2}
        add(f"numeric value {value}", schema(feature(comparison=comparison)), [value])
    comparison = {"type": "numeric", "thresholdDistance": 2, "resolution": 2, "fractionPrecision": 3}
    add("fractionPrecision is not read", schema(feature(comparison=comparison)), ["1.2345"])


def values():
    for sentinel, replacement in (("", None), ("N/A", None), ("N/A", "unknown"), ("smith", ""), ("O'Neill", "müller")):
        missing = {"sentinel": sentinel} if replacement is None else {"sentinel": sentinel, "replaceWith": replacement}
        add(f"missing {missing}", schema(feature(missingValue=missing)), NAMES + ["N/A"])
        fmt = {"type": "integer", "minimum": 5}
        add(f"missing integer {missing}", schema(feature(fmt, missingValue=missing)), ["7", sentinel, "+08"])
    for value in ("1", " 65", "+13", "007", "-0", "1_000", "٣٤", "9" * 40, "1.5", "", "x", "\u00a05", "5\u001f"):
        add(f"integer {value!r}", schema(feature({"type": "integer"})), [value])
        add(f"integer unchecked {value!r}", schema(feature({"type": "integer"})), [value], validate=False)
    for bounds in ({"minimum": 5}, {"maximum": 5}, {"minimum": -3, "maximum": 3.0}, {"minimum": 10**17}):
        for value in ("5", "4", "-3", "6", "1" + "0" * 17, "9" * 30):
            add(f"integer {bounds} {value}", schema(feature({"type": "integer", **bounds})), [value])
    add("integers of two looks are one", schema(feature({"type": "integer"})), ["12", " +012", "1_2"])
    for rule in ({"case": "upper"}, {"case": "lower"}, {"case": "mixed"}, {"minLength": 4}, {"maxLength": 3}, {"maxLength": 2.0}):
        for value in ("ab", "AB", "Ab1", "ABCD", "ß", "é", "É", "e\u0301", "1", "ǅ", "ΣΑΣ"):
            add(f"text {rule} {value}", schema(feature({"type": "string", **rule})), [value])
    for value in ("M", "m", "", "ü"):
        add(f"enum {value}", schema(feature({"type": "enum", "values": ["M", "F", "ü"]})), [value])
        add(f"enum unchecked {value}", schema(feature({"type": "enum", "values": ["M"]})), [value], validate=False)
    add("first bad row", schema(feature({"type": "integer"})), ["1", "2", "x", "3"])


def dates():
    for fmt, accepted in {
        "%Y-%m-%d": ["2010-03-07", "2010-3-7", "2000-02-29", "1900-02-29", "0905-01-02", "2010-13-01", "２０１０-03-07", "2010-03-07 "],
        "%d/%m/%Y": ["07/03/2010", "7/3/2010", "31/04/2010", " 7/03/2010"],
        "%Y%m%d": ["20100307", "2010037", "0000101"],
        "%d%m%y": ["070368", "070369", "7369"],
        "%d %b %Y": ["07 Mar 2010", "7  MAR 2010", "07 March 2010"],
        "%A, %B %d, %Y": ["Sunday, March 07, 2010", "monday, march 7, 2010"],
        "%Y-%j": ["2010-66", "2009-366", "2010-000"],
        "%Y %U %w": ["2010 00 0", "2010 53 6", "2009 1 3"],
        "%Y-%W-%u": ["2010-00-1", "2010-53-7"],
        "%G-W%V-%u": ["2009-W53-7", "2010-W53-1", "2010-W01-1"],
        "%V %u %Y": ["10 1 2010"],
        "%c": ["Sun Mar  7 10:11:12 2010"],
        "%x": ["03/07/10"],
        "%Y-%m-%dT%H:%M:%S%z": ["2010-03-07T10:11:12Z", "2010-03-07T10:11:12+01:00", "2010-03-07T10:11:60Z", "2010-03-07T10:11:12+2400"],
        "%I:%M %p %d.%m.%Y": ["12:30 PM 07.03.2010", "13:00 am 07.03.2010"],
        "%m/%d": ["03/07", "02/29"],
        "%Y%%": ["2010%"],
        "%y %Y": ["10 1999"],
        "%Q": ["2010"],
        "%Y%Y": ["20102010"],
        "%Y%": ["2010"],
    }.items():
        for value in accepted:
            document = schema(feature({"type": "date", "format": fmt}, {"type": "ngram", "n": 1, "positional": True}))
            add(f"date {fmt} {value}", document, [value])


def patterns():
    for pattern, candidates in {
        r"[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}": ["SW1A 1AA", "SW1A 1A", "L138BB"],
        r"\w+": ["smith", "e\u0301", "_1", "²"],
        r"\d+": ["12", "٣", "½"],
        r"\s": [" ", "\u001c", "\u00a0"],
        r"(?i)straße": ["STRASSE", "Straße"],
        r"(\w)\1": ["aa", "ab"],
        r"(?P<a>.)(?P=a)": ["xx", "xy"],
        r"(?=.*\d)\w+": ["a1", "ab"],
        r"(?<!a)b|a(?!b)": ["b", "a"],
        r"a{,2}": ["", "aa", "aaa", "a{,2}"],
        r"a{x}": ["a{x}", "a"],
        r"a++b": ["aab", "a"],
        r"(a)?(?(1)b|c)": ["ab", "c", "b"],
        r"a$\n?": ["a", "a\n"],
        r"[]a&&b-]+": ["]a&b-", "c"],
        r"[[:alpha:]]+": ["a]", "[]", "abc"],
        r"(?x) a b # c": ["ab", "a b"],
        r"(?a)\w+": ["a", "é"],
        r"\101\x42\u0043": ["ABC"],
        r"[z-a]": ["a"],
        r"(?P<a>x)(?P<a>y)": ["xy"],
        r"a**": ["a"],
        r"*a": ["a"],
        r"\q": ["q"],
        r"(a": ["a"],
        r"a(?i)b": ["ab"],
        r"\p{L}": ["a"],
    }.items():
        for value in candidates:
            add(f"pattern {pattern} {value!r}", schema(feature({"type": "string", "pattern": pattern})), [value])


def versions():
    def old(hashing, **more):
        return {"identifier": "a", "format": {"type": "string"}, "hashing": {"ngram": 2, **hashing}, **more}

    for weight in (None, 0, 0.0, 0.5, 1, 1.05, 1.5, 0.01, -1, "1"):
        hashing = {} if weight is None else {"weight": weight}
        for k in (1, 30):
            add(f"v1 weight {weight} k {k}", schema(old(hashing), version=1, k=k, hash=DOUBLE), NAMES[:4])
    for hashing in (DOUBLE, SAFE, BLAKE, {"type": "x"}):
        add(f"v1 hash {hashing}", schema(old({"positional": True}), version=1, k=10, hash=hashing, xor_folds=1), NAMES[:4])
    for wrong in ({"ngram": 0}, {"ngram": 2.0}, {"ngram": "2"}, {"foo": 1}, {"missingValue": {"sentinel": "smith"}}):
        add(f"v1 {wrong}", schema(old(wrong), version=1, k=10, hash=BLAKE), NAMES[:4])
    for wrong in ({"k": 2.0}, {"k": 0}, {"l": 64.0}):
        config = {"k": 10, "hash": BLAKE, **wrong}
        add(f"v1 config {wrong}", schema(old({}), version=1, **config), NAMES[:4])
    for strategy in ({"k": 7}, {"k": 7.0}, {"k": 7.5}, {"numBits": 60}, {"k": 1, "numBits": 2}, {"k": 7, "x": 1}, {}, {"k": "7"}):
        for hashing in (None, DOUBLE, BLAKE):
            inner = {"strategy": strategy, **({"hash": hashing} if hashing else {})}
            add(f"v2 {strategy} {hashing}", schema(old(inner), version=2), NAMES[:4])
    for version in (1, 2, 3):
        config = {"k": 5, "hash": BLAKE} if version == 1 else {}
        full = feature() if version == 3 else old({} if version == 1 else {"strategy": {"k": 5}})
        for ignored in (
            {"identifier": "b", "ignored": True},
            {"identifier": "b", "ignored": True, "description": "d"},
            {"identifier": "b", "ignored": False},
            {"identifier": "b", "ignored": 1},
            {"identifier": "b", "ignored": True, "extra": 1},
            {**full, "identifier": "b", "ignored": True},
            {**full, "identifier": "b", "ignored": False},
            {"identifier": "b"},
            {"ignored": True},
        ):
            add(f"v{version} ignored {sorted(ignored)} {ignored.get('ignored')}", schema(full, ignored, version=version, **config), [["smith", "x"]])
    for version in (0, 4, 99, "3", None, 3.0, True, 2.5):
        add(f"version {version!r}", schema(version=version), NAMES[:2])


def faults():
    good = schema(feature(hashing=BLAKE, missingValue={"sentinel": ""}))
    for path in (("version",), ("clkConfig",), ("features",), ("clkConfig", "l"), ("clkConfig", "kdf"), ("clkConfig", "kdf", "type"),
                 ("features", 0, "identifier"), ("features", 0, "format"), ("features", 0, "format", "type"), ("features", 0, "hashing"),
                 ("features", 0, "hashing", "strategy"), ("features", 0, "hashing", "comparison"), ("features", 0, "hashing", "comparison", "n"),
                 ("features", 0, "hashing", "hash", "type"), ("features", 0, "hashing", "missingValue", "sentinel")):
        for change in ("drop", None, [], {}, "x", 0, 2, True, -1, 2.5):
            document = json.loads(json.dumps(good))
            node = document
            for key in path[:-1]:
                node = node[key]
            if change == "drop":
                del node[path[-1]]
            else:
                node[path[-1]] = change
            add(f"{'.'.join(map(str, path))} {change!r}", document, ["smith"])
    for name, fmt in {
        "unknown type": {"type": "float"}, "pattern with case": {"type": "string", "pattern": "a", "case": "lower"},
        "minLength below 0": {"type": "string", "minLength": -1}, "maxLength 0": {"type": "string", "maxLength": 0},
        "integer with length": {"type": "integer", "maxLength": 3}, "date without format": {"type": "date"},
        "enum of numbers": {"type": "enum", "values": [1]}, "enum of nothing": {"type": "enum", "values": []},
        "date with encoding": {"type": "date", "format": "%Y", "encoding": "ascii"}, "case title": {"type": "string", "case": "title"},
    }.items():
        add(f"format {name}", schema(feature(fmt)), ["1"])
    for name, more in {
        "singularity of blake": {"hashing": {**BLAKE, "prevent_singularity": False}}, "singularity of text": {"hashing": {**DOUBLE, "prevent_singularity": "x"}},
        "two strategies": {"strategy": {"bitsPerToken": 1, "bitsPerFeature": 1}}, "strategy 0": {"strategy": {"bitsPerToken": 0}},
        "unknown strategy": {"strategy": {"k": 3}}, "unknown comparison": {"comparison": {"type": "soundex"}},
        "numeric without resolution": {"comparison": {"type": "numeric", "thresholdDistance": 1}},
        "numeric threshold 0": {"comparison": {"type": "numeric", "thresholdDistance": 0, "resolution": 1}},
        "numeric too fine": {"comparison": {"type": "numeric", "thresholdDistance": 0.01, "resolution": 1}},
        "more in comparison": {"comparison": {"type": "exact", "n": 2}}, "more in hash": {"hashing": {**BLAKE, "x": 1}},
        "unknown in hashing": {"weight": 2}, "old ngram": {"ngram": 2},
    }.items():
        add(f"hashing {name}", schema(feature(**more)), ["1"])
    for text in ("", "{", "[]", '"x"', "{}", "null", "\ufeff{}", '{"version":3,}', json.dumps(good) + " x"):
        add(f"text {text[:12]!r}", text, ["1"])


def extracts():
    two = schema(feature(), feature(identifier="b"))
    for body in (
        "a,b\n1,2\n", "a,b\r\n1,2\r\n", "a,b\r1,2\r", "a,b\n1,2", 'a,b\n"1,x",2\n', 'a,b\n"1""x",2\n', 'a,b\n1"x",2\n',
        'a,b\n"1"x,2\n', 'a,b\n"1\n2",3\n', 'a,b\n"1\r\n2",3\n', 'a,b\n"1,2\n', "a,b\n,\n", "a,b\n\n1,2\n", "a,b\n1,2\n\n",
        "a,b\n1\n", "a,b\n1,2,3\n", "", "\n", "a,b\n", "a,c\n1,2\n", "\ufeffa,b\n1,2\n", '"a",b\n1,2\n', " a,b\n1,2\n",
        'a,b\n1, "2"\n', "a,b\n1,\u20282\n", "a;b\n1;2\n",
    ):
        for header in ("check", "ignore", "none"):
            add(f"csv {body!r} {header}", two, body, header=header)
            add(f"csv one column {body!r} {header}", schema(), body, header=header)


def main():
    version = importlib.metadata.version("clkhash")
    if version != "0.18.3":
        raise SystemExit(f"clkhash {version} is installed; the known answers are those of 0.18.3")
    for part in (filters, keys, tokens, values, dates, patterns, versions, faults, extracts):
        part()
    target = pathlib.Path(__file__).parent.parent / "testdata" / "clkhash" / "cases.json"
    lines = [json.dumps(case, ensure_ascii=True) for case in CASES]
    target.write_text('{"clkhash": "0.18.3", "cases": [\n' + ",\n".join(lines) + "\n]}\n")
    refused = sum("refused" in case["answer"] for case in CASES)
    print(f"{len(CASES)} cases, {refused} of them refused")


if __name__ == "__main__":
    main()
