"""A hundred thousand lots from a CSV file into stock: seconds, and again with the same file.

make bench-import
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LOTS = 100_000
PROJECTS = 100
TONNE = str(Path(sys.executable).with_name("tonne"))


def main() -> None:
    """Run it in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        _write(place)
        _tonne(place, "init")
        _tonne(place, "projects", "import", "projects.csv", "--format", "csv")
        for round_ in ("first", "again"):
            began = time.monotonic()
            told = json.loads(_tonne(place, "lots", "import", "lots.csv", "--format", "csv", "--json"))
            seconds = time.monotonic() - began
            print(f"{round_}: {told['rows']} rows, {told['imported']} imported, {seconds:.1f} s")


def _write(place: Path) -> None:
    projects = ["name,project_type,registry_name,registry_project_id,country_code"]
    projects += [f"Fiction {n},Forest,Fiction Registry,F{n:05},PER" for n in range(PROJECTS)]
    lots = ["registry_name,registry_project_id,vintage_year,serial_number"]
    lots += [
        f"Fiction Registry,F{n % PROJECTS:05},{2000 + n % 25},FICTION-{n % PROJECTS}-{n * 1000 + 1}-{n * 1000 + 1000}"
        for n in range(LOTS)
    ]
    (place / "projects.csv").write_text("\n".join(projects))
    (place / "lots.csv").write_text("\n".join(lots))


def _tonne(place: Path, *arguments: str) -> str:
    return subprocess.run([TONNE, *arguments], cwd=place, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()
