"""pandas, DuckDB and pyarrow read an encoding file that the program wrote, and agree on what is in it.

Usage: readers.py BLINDLINK, the path of the program. Needs pyarrow, pandas and duckdb from PyPI.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import duckdb
import pandas
import pyarrow.parquet


def main(program: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)

        def run(*words: str) -> None:
            subprocess.run([program, *words], cwd=work, check=True, stdout=subprocess.DEVNULL)

        run("generate", "--children", "500", "-o", "kids")
        run("keygen", "-o", "linkage.key")
        for profile in ("clk", "fields", "views"):
            out = f"{profile}.parquet"
            run("encode", "--profile", profile, "--key", "linkage.key", "--agency", "health", "--columns",
                "kids/health.columns.toml", "kids/health.csv", "-o", out)
            check(work / out, profile)
    print("pandas, DuckDB and pyarrow read the encoding files")


def check(path: Path, profile: str) -> None:
    table = pyarrow.parquet.read_table(path)
    told = {k.decode(): v.decode() for k, v in pyarrow.parquet.read_metadata(path).metadata.items()}
    rows = int(told["blindlink.records"])
    assert rows > 400 and table.num_rows == rows, (profile, rows, table.num_rows)
    assert told["blindlink.profile"] == profile, told["blindlink.profile"]
    layout = json.loads(told["blindlink.layout"])
    frame = pandas.read_parquet(path)
    assert len(frame) == rows and frame["ref"].map(len).eq(16).all() and frame["ref"].is_unique
    for view in layout["views"]:
        for slot in range(view["slots"]):
            column = f"{view['name']}.{slot}"
            assert frame[column].map(len).eq(view["bits"] // 8).all(), column
    counted = duckdb.sql(f"select count(*), count(distinct ref) from '{path}'").fetchall()[0]
    assert counted == (rows, rows), counted
    allowed = ("ref", "presence", "exact.", *layout["payload"])
    names = [view["name"] + "." for view in layout["views"]]
    strange = [c for c in frame.columns if not c.startswith((*allowed, *names))]
    assert not strange, strange


if __name__ == "__main__":
    main(str(Path(sys.argv[1]).resolve()))
