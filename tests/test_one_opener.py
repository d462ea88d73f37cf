"""Nothing in the package opens a file but through `bench.files`: found by walking its source."""

import ast
from pathlib import Path

import bench

PACKAGE = Path(bench.__file__).parent
IN_MEMORY = ("io.BytesIO(", "pa.BufferReader(")
METHODS = {"open", "read_text", "read_bytes"}
LOADERS = {
    "torch": {"load"},
    "np": {"load", "fromfile", "loadtxt", "genfromtxt", "memmap"},
    "pd": {"read_csv", "read_parquet", "read_json", "read_pickle", "read_table"},
    "pq": {"read_table", "read_schema", "ParquetFile", "ParquetDataset"},
    "pc": {"read_csv"},
    "zipfile": {"ZipFile", "is_zipfile"},
    "bz2": {"open", "BZ2File"},
    "gzip": {"open", "GzipFile"},
    "tarfile": {"open"},
    "io": {"open", "FileIO"},
    "json": {"load"},
    "pickle": {"load"},
}
"""By the names under which the package imports them."""

ALLOWED = {
    "files.py": {
        "os.open(path, flags)": "the one opener",
        'os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o644)': "appending",
        "os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)": "a folder, to be synchronised",
        "zipfile.ZipFile(archive)": "what is open already",
    },
    "ownership.py": {
        "os.open(place.anchor, _FOLDER)": "a folder",
        "os.open(name, _FOLDER, dir_fd=above)": "a folder",
    },
    "runs/lock.py": {
        "os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | SAFELY, 0o644)": "looked at once open",
        "os.open(folder / LOCK, os.O_RDONLY | SAFELY)": "looked at once open",
        'Path("/proc/sys/kernel/random/boot_id").read_text()': "the system's",
        'Path(f"/proc/{pid}/stat").read_text()': "the system's",
    },
    "runs/provenance.py": {
        'Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")': "the system's",
    },
    "truth/_import_worker.py": {
        'Path("/proc/self/statm").read_text(encoding="ascii")': "the system's",
    },
    "kernels/__init__.py": {
        "source.read_bytes()": "the package's own source",
        "h.read_bytes()": "the package's own source",
        'Path("/proc/cpuinfo").read_bytes()': "the system's",
    },
    "runs/sources.py": {
        'path.read_text(encoding="utf-8", errors="replace")': "source that was imported",
        "path.read_bytes()": "source that was imported",
    },
    "scaffold/__init__.py": {
        "(HERE / f'{seam}.txt').read_text(encoding='utf-8')": "the package's own",
        "path.read_text(encoding='utf-8')": "the package's own",
    },
    "report/page.py": {'(folder / name).read_text(encoding="utf-8")': "the package's own"},
    "papers/__init__.py": {
        '(resources.files(__package__) / f"{name}.yaml").read_text(encoding="utf-8")': "own",
    },
    "commands/new.py": {'path.open("x", encoding="utf-8")': "made new, in the package"},
    "data/_cache.py": {"np.load(file, allow_pickle=False)": "what is open already"},
    "truth/_official_files.py": {
        "bz2.BZ2File(raw)": "what is open already",
        "zipfile.is_zipfile(raw)": "what is open already",
        "zipfile.ZipFile(raw)": "what is open already",
        "archive.open(info)": "a member of what is open already",
    },
}
"""File → call → why it is no other way to open what somebody else may have made."""


def opens(call):
    """Say whether a call may open a file by its path."""
    function = call.func
    given = [*call.args[:1], *(word.value for word in call.keywords if word.arg == "fileobj")]
    if any(ast.unparse(value).startswith(IN_MEMORY) for value in given):
        return False
    if isinstance(function, ast.Name):
        return function.id == "open"
    if not isinstance(function, ast.Attribute):
        return False
    owner = function.value.id if isinstance(function.value, ast.Name) else ""
    if owner in LOADERS:
        return function.attr in LOADERS[owner]
    return function.attr in METHODS and owner != "files"


def calls(path):
    """Yield the calls of a source file that open files, as they would be formatted."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and opens(node):
            yield ast.unparse(node)


def test_every_file_is_opened_by_the_one_opener():
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        if there := set(calls(path)):
            found[path.relative_to(PACKAGE).as_posix()] = there
    allowed = {
        name: {ast.unparse(ast.parse(call, mode="eval")) for call in known}
        for name, known in ALLOWED.items()
    }
    surplus = {name: there - allowed.get(name, set()) for name, there in found.items()}
    assert not {name: there for name, there in surplus.items() if there}
    stale = {name: there - found.get(name, set()) for name, there in allowed.items()}
    assert not {name: there for name, there in stale.items() if there}, "allowed, and not there"


def test_the_walk_sees_what_it_should():
    source = "\n".join(
        (
            "open(p)",
            "p.open('rb')",
            "p.read_text()",
            "os.open(p, 0)",
            "torch.load(p)",
            "json.load(f)",
            "files.read_text(p, 9)",
            "json.loads(t)",
            "np.array(x)",
        )
    )
    found = [
        ast.unparse(n) for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call) and opens(n)
    ]
    assert len(found) == 6 and "files.read_text(p, 9)" not in found
