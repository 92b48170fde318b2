#!/usr/bin/env python3
"""Rebuilds config/names/canonical.tsv and config/names/skeletons.tsv.

    pip install nicknames==1.0.1
    scripts/name_tables.py

canonical.tsv: given name -> canonical form, from PyPI `nicknames` (Apache-2.0, Carlton Northern and Nick
Crews), the transliterations of src/synth/tables/alternatives.csv and the reviewed additions below.
skeletons.tsv: how often a name skeleton is seen in each name-origin group, from src/synth/tables/names.csv.
Both are aggregates: no person is in them. A change here is a new version of the schemas that use them.
"""
import collections
import csv
import importlib.resources
import pathlib
import re
import unicodedata

from vectors import skeleton

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLES = ROOT / "src/synth/tables"
OUT = ROOT / "config/names"

# Share of families per mille, as in src/synth/tables.rs.
SHARES = dict(
    re.findall(r'\("([a-z]+)", (\d+)\)', (ROOT / "src/synth/tables.rs").read_text().split("const SHARES")[1].split("];")[0])
)

# One line a name: the canonical form, then spellings of it. Reviewed by hand.
ADDITIONS = """
muhammad mohammed mohammad muhammed mohamed mohamad mohammod muhamed muhamad mohamud muhammod mahammed mohd muhammet mehmet mohamoud mohamood
ahmed ahmad ahmet achmed ahmedd
yusuf yousef youssef yousuf yusef yusif yousaf youcef
ibrahim ebrahim ibraheem ebraheem ibrahima
hussein hussain husain husein hussayn hossain hussien houssein
hassan hasan hassane hasaan
ali aly
fatima fatimah fatma fathima fatema fatimata faatimah
aisha ayesha aishah aysha aicha aaisha aesha aysha ayisha
zainab zaynab zeinab zeynep zaineb zainabb
khadija khadijah kadija khadeeja khadeejah hadija
maryam mariam maryum meryem
abdullah abdallah abdulla abdullahi abdoulaye
abdulrahman abdurrahman abdirahman abdurahman abdulrehman abdelrahman
omar umar omer umer
usman othman uthman osman ousmane
bilal belal bilaal
hamza hamzah
zain zayn zane zayne zaine
musa moussa mousa moosa
isa eesa essa issa eisa
idris idrees idriss
imran emran imraan
sulaiman suleiman sulayman suleman sulaymaan suliman
yahya yahia yahyaa
yaqub yakub yaqoob yacoub
zakariya zakaria zakariyya zakariyah
safiya safiyya safia safiyah
sumayyah sumaya sumaiya sumayya sumaiyah
hafsa hafsah
noor nour nur noora
layla leila leyla laila lailah laylah
amina aminah ameena aamina
khalid khaled
said saeed sayed saied
rashid rasheed
tariq tarek tareq tarik
bushra boushra
asma asmaa
amir ameer emir
karim kareem
nadia nadiya nadja
samir sameer
jamal jamaal gamal
rayan rayyan rayaan
ayaan ayan
aaliyah aliyah aliya alia aaliya
aayan ayaan
ishaq ishaaq isaaq
haris harris haaris
alexander aleksander oleksandr aleksandr alexandr alexandru aleksandar alexandre alessandro alejandro
alexandra aleksandra oleksandra alexandrea
michael mykhailo mikhail michal mihail mihai mykhaylo
dmytro dmitri dmitry dimitri dmitriy
julia yulia iulia yuliya yuliia iuliia giulia
katherine catherine kathryn katharine catharine katerina kateryna ekaterina katarzyna cathryn
anastasia anastasiia anastasiya anastazja
vladimir volodymyr
andrei andriy andrii andrej andrzej andrey
sergei sergey serhii sergiy serhiy
maria mariia mariya marija
sofia sophia sofiya sofiia zofia sofija
natalia nataliia nataliya natalya nathalia natalie natalee
victoria viktoria viktoriia viktoriya wiktoria
elizabeth elisabeth elizaveta yelyzaveta elizabet
sarah sara
hannah hanna hana
stephen steven stefan stephan
philip phillip filip
theodore theodor fyodor
catriona caitriona katriona
niamh neve
sean shaun shawn
aidan aiden ayden aedan
connor conor konnor
rhys reece reese
jayden jaiden jaden
zachary zachery zackary zakary
lewis louis luis
isabel isobel isabelle isabella izabella izabela ishbel
""".split("\n")

# Popular names that are still short for another with other letters.
CLASSIC = {"harry": "henry", "molly": "mary", "polly": "mary", "sally": "sarah", "ted": "edward", "bill": "william",
           "billy": "william", "bob": "robert", "bobby": "robert", "teddy": "edward", "ned": "edward",
           "peggy": "margaret", "daisy": "margaret", "jack": "john", "tina": "christina", "tony": "anthony",
           "liam": "william", "nell": "eleanor", "nellie": "eleanor", "dick": "richard", "rick": "richard"}


def plain(text):
    text = text.replace("ł", "l").replace("ı", "i").replace("ø", "o").replace("ß", "ss")
    text = unicodedata.normalize("NFKD", text.lower())
    return "".join(c for c in text if "a" <= c <= "z")


def popularity():
    """Weight of a given name over all origins, and the same by sex."""
    rows = list(csv.DictReader(open(TABLES / "names.csv", encoding="utf-8")))
    total = collections.Counter()
    for row in rows:
        total[row["origin"], row["kind"]] += int(row["weight"])
    both, by_sex = collections.Counter(), collections.Counter()
    for row in rows:
        if row["kind"] == "s":
            continue
        part = int(row["weight"]) * int(SHARES[row["origin"]]) * 1000 // total[row["origin"], row["kind"]]
        both[plain(row["name"])] += part
        by_sex[plain(row["name"]), row["kind"]] += part
    return both, by_sex


def canonical_forms():
    popular, by_sex = popularity()
    form = {}
    for line in ADDITIONS:
        words = line.split()
        for word in words[1:]:
            form.setdefault(word, words[0])
    groups = collections.defaultdict(set)
    for row in csv.DictReader(open(TABLES / "alternatives.csv", encoding="utf-8")):
        if row["kind"] == "translit":
            a, b = plain(row["name"]), plain(row["alternative"])
            groups[a].add(b)
    heads = {line.split()[0] for line in ADDITIONS if line}
    for name in sorted(groups):
        family = sorted(groups[name] | {name}, key=lambda n: (n not in heads, -popular[n], n))
        for other in family[1:]:
            if other not in heads and other not in form and len(other) > 2:
                form[other] = form.get(family[0], family[0])

    def sex(name):
        f, m = by_sex[name, "f"], by_sex[name, "m"]
        return "f" if f > 4 * m else "m" if m > 4 * f else "?"

    formals, nicknames = collections.defaultdict(set), collections.Counter()
    with importlib.resources.files("nicknames").joinpath("names.csv").open() as file:
        for row in csv.DictReader(file):
            formals[plain(row["name2"])].add(plain(row["name1"]))
            nicknames[plain(row["name1"])] += 1
    # Each name is joined to one formal name at most; what is joined is one form.
    parent = {}

    def root(name):
        while name in parent:
            name = parent[name]
        return name

    def join(name, other):
        a, b = root(name), root(other)
        if a != b:
            low, high = sorted((a, b), key=lambda n: (n in heads, popular[n], n))
            parent[low] = high

    for name in sorted(form):
        join(name, form[name])
    for nick in sorted(formals):
        if nick in heads or len(nick) < 3:
            continue
        fit = [f for f in formals[nick] if f != nick and {sex(f), sex(nick)} != {"f", "m"}]
        if popular[nick] > 400:
            # A popular name of its own keeps to itself unless the formal name begins alike.
            fit = [f for f in fit if f[:2] == nick[:2] or f in CLASSIC.get(nick, "").split()]
        if nicknames[nick] > 2:
            # A formal name itself.
            fit = [f for f in fit if f[:4] == nick[:4]]
        if fit:
            join(nick, min(fit, key=lambda f: (-popular[f], f)))
    return {name: root(name) for name in parent}


def skeleton_rates():
    """Per origin and kind: skeleton -> parts per million; skeletons below 20 are left to the floor."""
    given, family, totals = collections.Counter(), collections.Counter(), collections.Counter()
    forms = canonical_forms()
    for row in csv.DictReader(open(TABLES / "names.csv", encoding="utf-8")):
        kind = "f" if row["kind"] == "s" else "g"
        name = plain(row["name"])
        if kind == "g":
            name = forms.get(name, name)
        totals[row["origin"], kind] += int(row["weight"])
        (family if kind == "f" else given)[row["origin"], skeleton(name)] += int(row["weight"])
    rows = []
    for kind, table in (("g", given), ("f", family)):
        for (origin, sk), weight in sorted(table.items()):
            ppm = weight * 1_000_000 // totals[origin, kind]
            if sk and ppm >= 20:
                rows.append((kind, sk, origin, ppm))
    return rows


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    with open(OUT / "canonical.tsv", "w", encoding="ascii") as file:
        file.write("# given name, canonical form; made by scripts/name_tables.py; sources in NOTICE.md\n")
        for name, head in sorted(canonical_forms().items()):
            file.write(f"{name}\t{head}\n")
    by_skeleton = collections.defaultdict(list)
    for kind, sk, origin, ppm in skeleton_rates():
        by_skeleton[kind, sk].append((origin, ppm))
    with open(OUT / "skeletons.tsv", "w", encoding="ascii") as file:
        file.write("# kind (g given, f family), skeleton, origin=parts per million; made by scripts/name_tables.py\n")
        file.write("origins\t" + " ".join(f"{o}={s}" for o, s in SHARES.items()) + "\n")
        for (kind, sk), rates in sorted(by_skeleton.items()):
            file.write(f"{kind}\t{sk}\t" + " ".join(f"{o}={p}" for o, p in rates) + "\n")


if __name__ == "__main__":
    main()
