"""Run all benchmarks and print their ratios: ``python -m benchmarks [pytest options]``.

Every number that a benchmark keeps in its ``extra_info`` is a row of the table, whatever file it is
in. ``--only-print FILE`` prints the table of a JSON that is there; ``growth`` draws how cost grows;
``runs`` counts runs an hour.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

HERE = Path(__file__).parent


def table(content: dict) -> str:
    """Return the rows (benchmark, what, value) as Markdown."""
    rows = [("benchmark", "what", "value"), ("---", "---", "--:")]
    for entry in content["benchmarks"]:
        name = entry["name"].removeprefix("test_").replace("|", "\\|")
        for what, value in entry["extra_info"].items():
            shown = f"{value:.3g}" if isinstance(value, float) else str(value)
            rows.append((name, what, shown))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    )


def main(arguments: list[str]) -> int:
    """Run, or print only, and return the exit code of pytest."""
    if arguments[:1] == ["growth"]:
        from benchmarks import growth

        growth.main(only_draw="--draw" in arguments)
        return 0
    if arguments[:1] == ["shares"]:
        from benchmarks import shares

        shares.main(arguments[1:])
        return 0
    if arguments[:1] == ["runs"]:
        from benchmarks import runs

        runs.main(arguments[1:])
        return 0
    if arguments[:1] == ["--only-print"]:
        print(table(json.loads(Path(arguments[1]).read_text())))
        return 0
    import pytest

    output = Path("benchmarks.json")
    output.unlink(missing_ok=True)
    code = pytest.main(
        [
            str(HERE),
            "--benchmark-only",
            f"--benchmark-json={output}",
            "--benchmark-columns=median",
            "-p",
            "no:cacheprovider",
            *arguments,
        ]
    )
    if output.exists() and output.stat().st_size:
        print(f"\n{table(json.loads(output.read_text()))}\n\n{output} holds all of it.")
    return int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
