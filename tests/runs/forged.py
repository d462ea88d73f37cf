"""An output folder whose files were forged: sealed again, one value of one of them another."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import random
import re
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from bench.ablation.file import read_ablation
from bench.cli import _one_line, application
from bench.runs import index, manifest, sources, store
from bench.runs.campaign import Campaign
from bench.runs.record import record
from bench.runs.spec import plan
from tests.executors.common import ROOT
from tests.report.builders import failed, history, ok, ranking

GONE, MORE = "<removed>", "<one more>"
DEEP: Any = 1
for _ in range(200):
    DEEP = [DEEP]
VALUES: tuple[Any, ...] = (
    GONE, MORE, None, True, -1, 0, 3, 0.5, -1e308, 1e308, 10**30, float("nan"), float("inf"), "text",
    "", "../../../etc/passwd", "/etc/passwd", "a/b", "\x1b[2J\x1b]0;x\x07", "two\nlines", "=1+1",
    "%s%n{0}", "x" * 100_000, "\ud800", [], {}, [1], ["x"], [[1], [2, 3]], {"x": 1}, {"name": "x"}, DEEP,
)  # fmt: skip
COMMANDS = ("status", "gc", "report", "verdict", "compare", "retry")

ABLATION = """\
question: Does it help?
contrast: {metric: skip_count, of: skip_dropout, against: darts, expect: lower}
explanation:
  claim: It does.
  failure: {metric: collapsed, of: darts, above: 0.0}
  criteria:
    - {role: primary, says: fewer, metric: skip_count, of: skip_dropout, against: darts,
       expect: lower, smallest: 1}
    - {says: sooner, metric: train_loss, of: darts, expect: higher, smallest: 1, when: [0, 0.5]}
space: nb201
variants:
  darts: {}
  skip_dropout:
    skip_dropout: {rate: 0.3}
"""


def output(place: Path) -> Path:
    """Write a folder as `bench run` leaves it: runs that are done, one that failed, one that waits."""
    file = place / "asked.yaml"
    file.write_text(ABLATION)
    asked = read_ablation(file, str(ROOT / "ablations/profiles/smoke.yaml"), [], "3")
    runs, root = plan(asked), place / "out"
    record(asked, runs, root, "python -m bench run asked.yaml")
    for number, run in enumerate(runs):
        folder = root / run.folder
        store.write_spec(folder, run)
        store.write_json(
            folder / store.PROGRESS,
            {"time": 1.0, "elapsed": 2.0, "pid": 1, "status": "running", "epoch": 1, "epochs": 2},
        )
        store.write_json(folder / "slurm.json", {"job": "12_3", "time": 1.0})
        if number == len(runs) - 1:
            continue  # it waits
        outcome = failed() if number == len(runs) - 2 else ok(number, 80.0 + number)
        scores = ranking(run.seed).to_parquet(index=False)
        result = {
            "schema": run.code,
            "ablation": run.ablation,
            "label": run.label,
            "seed": run.seed,
            "digest": run.digest,
            "contents": run.contents,
            **outcome,
            "work": 1000,
            "stopped": {"reason": "enough", "epoch": 1},
            "history": history(2, run.seed),
            "kernel": "torch",
            "kernel_reason": "",
            "processor": "one",
            "source": "ab",
            "reasons": {"tau": "it was not asked for"},
            "provenance": {"bench": "0", "sources": sources.sources(run), "legs": []},
        }
        if outcome["status"] == "ok":
            (folder / store.RANKING).write_bytes(scores)
            result["files"] = {store.RANKING: hashlib.sha256(scores).hexdigest()}
        store.write_json(folder / store.RESULT, store.seal(result))
    index.rows(root)
    return root


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of everything in a parsed file, itself included."""
    yield at
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*at, key))


def changed(content: Any, at: tuple[Any, ...], value: Any) -> Any:
    """Return a copy with another value at a place, nothing there, or one more thing in it."""
    made = copy.deepcopy(content)
    if not at:
        return value if value not in (GONE, MORE) else {}
    here = made
    for key in at[:-1]:
        here = here[key]
    if value == GONE:
        del here[at[-1]]
    elif value == MORE:
        inside = here[at[-1]]
        if isinstance(inside, dict):
            inside["../\x1b[2J extra"] = {"x": [1]}
        elif isinstance(inside, list):
            inside.append(copy.deepcopy(inside[0]) if inside else "extra")
        elif isinstance(here, dict):
            here["=extra"] = 5
        else:
            here.append("=extra")
    else:
        here[at[-1]] = value
    return made


def read(path: Path) -> Any:
    """Return what a file says, without the checksum."""
    if path.name == index.CACHE:
        return json.loads(path.read_bytes().partition(b"\n")[2])
    content = json.loads(path.read_bytes())
    content.pop("checksum", None)
    return content


def write(path: Path, content: Any) -> None:
    """Write a file as whoever forges it would, so that every checksum is right."""
    if path.name == index.CACHE:
        text = json.dumps(content).encode()
        path.write_bytes(hashlib.sha256(text).hexdigest().encode() + b"\n" + text)
        return
    sealed = path.name in (store.RESULT, store.SPEC, manifest.MANIFEST)
    if sealed and isinstance(content, dict):
        with contextlib.suppress(ValueError, RecursionError):
            content = {**content, "checksum": store.seal(content)["checksum"]}
    path.write_text(json.dumps(content, indent=1), encoding="utf-8", errors="surrogatepass")


def few(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the paths of `places`, of a list only the first and the last."""
    yield at
    if isinstance(value, dict | list):
        inside: dict[Any, Any] = value if isinstance(value, dict) else dict(enumerate(value))
        for key in inside if isinstance(value, dict) else {0, len(value) - 1} & set(inside):
            yield from few(inside[key], (*at, key))


def refusals(
    content: Any,
    put: Callable[[Any], None],
    use: Callable[[], Any],
    names: str,
    draw: random.Random,
    times: int = 0,
) -> tuple[int, list[str]]:
    """Forge every field of a file with a value drawn at random; return refusals, and what is wrong.

    Parameters
    ----------
    put
        Writes the forged content, its checksum right.
    use
        Reads it and does with it what is done with it; a ValueError of one line is a refusal.
    names
        What a refusal must name: the file.
    times
        Changes at random places; 0: every place once with each of the `VALUES`.
    """
    every = [at for at in few(content) if at]
    pairs = [(draw.choice(every), draw.choice(VALUES)) for _ in range(times)]
    refused, wrong = 0, []
    for at, value in pairs or [(at, value) for at in every for value in VALUES]:
        what = f"{'.'.join(map(str, at))} = {str(value)[:40]!r}"
        put(changed(content, at, value))
        try:
            use()
        except ValueError as error:
            refused += 1
            line = _one_line(error)
            if names not in line or not line.isprintable() or len(line) > 600:
                wrong.append(f"{what}: {line[:300]}")
        except Exception as error:  # that is what is looked for
            steps = traceback.extract_tb(error.__traceback__)
            last = ([step for step in steps if "/bench/" in step.filename] or steps)[-1]
            found = f"{type(error).__name__}: {str(error)[:200]}"
            wrong.append(f"{what}: {found} at {last.filename}:{last.lineno}")
    return refused, wrong


def sealed(content: Any) -> Any:
    """Return content with the checksum that whoever forges it would write; as it is where none can be."""
    with contextlib.suppress(ValueError, RecursionError, AttributeError, TypeError):
        return {**content, "checksum": store.seal(content)["checksum"]}
    return content


def text_of(content: Any) -> str:
    """Write JSON as `bench` does, and what it would not write as well as can be."""
    return json.dumps(content, indent=1)


def words(command: str, root: Path) -> list[str]:
    """Return a command line over the folder."""
    more = {
        "status": ["--json"],
        "gc": ["--foreign"],
        "report": ["--csv", "--md", "--tex"],
        "verdict": ["--to", str(root.parent / "verdict")],
        "retry": ["--executor", "inline"],
    }
    if command == "compare":
        return ["compare", "skip_dropout", "darts", "--in", str(root)]
    return [command, str(root), *more.get(command, [])]


def invoke(command: str, root: Path) -> tuple[str, str]:
    """Run a command in this process, without executing any run; return its output and what is wrong."""
    kept = Campaign.run
    Campaign.run = lambda *_, **__: None  # type: ignore[method-assign]
    try:
        done = CliRunner().invoke(application(), words(command, root))
    finally:
        Campaign.run = kept  # type: ignore[method-assign]
    text = done.output
    error = done.exception
    if error is not None and not isinstance(error, SystemExit):
        line = _one_line(error)
        if not isinstance(error, ValueError):
            steps = traceback.extract_tb(error.__traceback__)
            own = [s for s in steps if "/bench/" in s.filename][-1]
            return text, f"{line} at {Path(own.filename).name}:{own.lineno}"
        if not re.search(r"\.json|\.parquet|seed", line):
            return text, f"names no file: {line}"
        text += line
    if bad := [c for c in text if not c.isprintable() and c != "\n"]:
        return text, f"prints {bad[0]!r}"
    return text, ""


def sound(root: Path) -> set[str]:
    """Return the runs whose result is there and believed."""
    return {path.name for path in root.iterdir() if path.is_dir() and store.read_result(path)}


def seen(root: Path) -> set[str]:
    """Return the runs of which `status` shows a result."""
    text, _ = invoke("status", root)
    states = json.loads(text)[0]["runs"]
    return {state["folder"] for state in states if state["status"] in ("ok", "diverged")}


ARTEFACTS = (manifest.MANIFEST, store.RESULT, store.SPEC, store.PROGRESS, "slurm.json", index.CACHE)


def path_of(root: Path, name: str) -> Path:
    """Return the file of a name that is forged: of the folder, of a run that is done or that waits."""
    if name in (manifest.MANIFEST, index.CACHE):
        return root / name
    runs = sorted(path for path in root.iterdir() if path.is_dir())
    if name in (store.SPEC, store.PROGRESS):
        return next(path for path in runs if not (path / store.RESULT).exists()) / name
    return next(path for path in runs if (path / store.RANKING).exists()) / name


def forge(root: Path, name: str, draw: random.Random) -> str:
    """Change one thing at random in a file; return what, empty where nothing could be changed."""
    path = path_of(root, name)
    content = read(path)
    at, value = draw.choice(list(places(content))), draw.choice(VALUES)
    if not at and value in (GONE, MORE):
        return ""
    write(path, changed(content, at, value))
    return f"{name}: {'.'.join(map(str, at))} = {str(value)[:40]!r}"


def attack(root: Path, name: str, draw: random.Random, commands: Iterable[str]) -> list[str]:
    """Forge one thing, run commands over it, put back what was there; return what went wrong."""
    path = path_of(root, name)
    kept, before = path.read_bytes(), sound(root)
    wrong = []
    try:
        if not (what := forge(root, name, draw)):
            return []
        for command in commands:
            _, problem = invoke(command, root)
            if problem:
                wrong.append(f"{what}: {command}: {problem}")
        others = {path.parent.name}
        if lost := before - others - sound(root):
            wrong.append(f"{what}: lost {lost}")
        if name != manifest.MANIFEST and not before - others <= seen(root):
            wrong.append(f"{what}: status does not see {before - others - seen(root)}")
    finally:
        path.write_bytes(kept)
        (root / index.CACHE).unlink(missing_ok=True)
        index.rows(root)
    return wrong
