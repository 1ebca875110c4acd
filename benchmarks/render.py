"""Put the recorded results between the marks of Markdown files.

    python benchmarks/render.py README.md benchmarks/README.md docs/optimizers.md

At once; whatever stands between the marks is made from results/*.json: of all of them, or
of those that the first mark names, `<!-- results NAME NAME -->`.
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any

from protocol import RESULTS, Table, markdown

MARKED = re.compile(r"(<!-- results([\w ]*) -->).*?(<!-- /results -->)", re.DOTALL)


def section(result: dict[str, Any]) -> str:
    """Title, table and conditions of one result."""
    table = markdown(Table(**result["table"]))
    return "\n\n".join([f"**{result['title']}**", table, conditions(result)])


def conditions(result: dict[str, Any]) -> str:
    """In a sentence or two, what the numbers depend on."""
    facts = result["protocol"]
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    others = [run["others"] for run in result["runs"] if run["others"] is not None]
    noise = f" Other processes kept at most {max(others):.2f} cores busy." if others else ""
    repeats = facts["repeats"]
    times = f"Median (least to most) of {repeats} runs each" if repeats > 1 else "One run each"
    seeds = ", ".join(map(str, facts["seeds"]))
    return (
        f"{times} {facts.get('how', 'in turn')}, seed {seeds}: "
        f"`{facts['command']}` on {facts['date'][:10]}, commit {facts['commit']}; "
        f"{facts['cpu']}, {facts['cores']} cores, {facts['memory_gib']:.0f} GiB; {versions}.{noise}"
    )


def fill(text: str, sections: dict[str, str]) -> str:
    """Replace what stands between each pair of marks. Raises ValueError where there is none."""

    def filled(marked: re.Match) -> str:
        names = marked[2].split() or sorted(sections)
        if missing := set(names) - set(sections):
            raise ValueError(f"no results of {', '.join(sorted(missing))}; run their benchmarks")
        results = "\n\n".join(sections[name] for name in names)
        results = results or "None recorded yet: `make bench`."
        return f"{marked[1]}\n\n{results}\n\n{marked[3]}"

    found, count = MARKED.subn(filled, text)
    if not count:
        raise ValueError("expected <!-- results --> and, after it, <!-- /results -->")
    return found


def main() -> None:
    """Rewrite the files that are named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    files = parser.parse_args().files
    paths = sorted(RESULTS.glob("*.json"))
    sections = {path.stem: section(json.loads(path.read_text())) for path in paths}
    for path in files:
        try:
            path.write_text(fill(path.read_text(), sections))
        except (OSError, ValueError) as error:
            raise SystemExit(f"{path}: {error}") from error


if __name__ == "__main__":
    main()
