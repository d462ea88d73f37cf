"""The cache of decoded images: believed where it is ours and sound, and never needed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bench.contracts import registry
from bench.data import DataError, _cache, _decode
from tests.data.painted import paint, source

pytestmark = pytest.mark.usefixtures("cache")


def decoded(monkeypatch):
    """Count how often files are decoded."""
    counted = []
    own = _decode._pixels
    monkeypatch.setattr(_decode, "_pixels", lambda *a: counted.append(1) or own(*a))
    return counted


def test_images_are_decoded_once_wherever_they_lie(root, tmp_path, monkeypatch):
    counted = decoded(monkeypatch)
    first = source(root).load()
    assert len(counted) == 8
    shutil.copytree(root, tmp_path / "y")
    for again in (root, tmp_path / "y"):
        assert torch.equal(source(again).load().pixels, first.pixels)
    assert len(counted) == 8


def test_a_folder_that_looks_the_same_is_not_taken_for_the_other(root, tmp_path):
    """Same names, sizes and times, as reproducible archives have them."""
    shutil.copytree(root, tmp_path / "y")
    for folder, value in ((root, 50), (tmp_path / "y", 60)):
        paint(folder / "train" / "a" / "0.png", value)
        for file in folder.rglob("*.png"):
            os.utime(file, ns=(10**18, 10**18))
    assert (root / "train/a/0.png").stat().st_size == (tmp_path / "y/train/a/0.png").stat().st_size
    found = [int(source(folder).load().pixels[0].max()) for folder in (root, tmp_path / "y")]
    assert found == [50, 60]


def test_a_file_changed_under_the_same_looks_is_seen(root):
    path = root / "train" / "a" / "0.png"
    paint(path, 50)
    before = path.stat()
    content = source(root).content()
    handle = os.open(path, os.O_WRONLY)  # the same inode
    paint(root / "new.png", 60)
    os.write(handle, (root / "new.png").read_bytes())
    os.close(handle)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    looks = ("st_ino", "st_size", "st_mtime_ns")
    assert [getattr(before, x) for x in looks] == [getattr(after, x) for x in looks]
    assert source(root).content() != content
    assert int(source(root).load().pixels[0].max()) == 60


def test_files_that_were_touched_just_now_are_not_remembered(root, cache, monkeypatch):
    monkeypatch.setattr(_cache, "SETTLED", 3600.0)
    source(root).content()
    assert not cache.exists()
    monkeypatch.setattr(_cache, "SETTLED", -60.0)
    source(root).content()
    assert len(list(cache.glob("files-*"))) == 1


def test_what_changes_while_it_is_read_is_refused(root, monkeypatch):
    kind = registry.load("data", "image_folder")
    monkeypatch.setattr(kind, "content", lambda self, train=True: "0" * 64)
    with pytest.raises(DataError, match="changed while it was read"):
        source(root).load()


def spoil(file):
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)


def swap(file):
    """Put the sound cache of other images in its place."""
    other = next(f for f in file.parent.iterdir() if f.name.startswith("images-") and f != file)
    file.write_bytes(other.read_bytes())


UNSOUND = {
    "a bit": spoil,
    "cut": lambda file: file.write_bytes(file.read_bytes()[:-50]),
    "empty": lambda file: file.write_bytes(b""),
    "another's": swap,
    "others may write": lambda file: (spoil(file), file.chmod(0o666)),
    "a link": lambda file: (
        file.rename(file.with_suffix(".x")),
        file.symlink_to(file.with_suffix(".x")),
    ),
    "a pipe": lambda file: (file.unlink(), os.mkfifo(file)),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
}


@pytest.mark.parametrize("kind", UNSOUND)
def test_a_cache_that_is_not_sound_is_not_believed(root, cache, monkeypatch, kind):
    first, other = source(root).load().pixels, source(root).load(train=False).pixels
    paint(root / "test" / "a" / "0.png", 77)
    source(root).load(train=False)
    for file in list(cache.glob("images-*")):
        UNSOUND[kind](file)
    counted = decoded(monkeypatch)
    assert torch.equal(source(root).load().pixels, first) and len(counted) == 8
    assert not torch.equal(source(root).load(train=False).pixels, other)


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="only root can give away")
def test_another_users_cache_is_not_believed(root, cache, monkeypatch, capsys):
    source(root).load()
    for file in cache.iterdir():
        os.chown(file, 12345, -1)
    counted = decoded(monkeypatch)
    source(root).load()
    assert len(counted) == 8 and "belongs to another user" in capsys.readouterr().err


def test_a_hash_that_others_may_write_is_not_believed(root, cache):
    content = source(root).content()
    (file,) = cache.glob("files-*")
    paint(root / "train" / "a" / "0.png", 99)
    file.chmod(0o666)
    assert source(root).content() != content


@pytest.mark.parametrize("kind", ["a file", "full", "no folder can be made"])
def test_a_cache_is_not_needed(root, tmp_path, monkeypatch, capsys, kind):
    def refuse(*arguments, **more):
        raise OSError(28, "No space left on device")

    if kind == "a file":
        monkeypatch.setenv("BENCH_CACHE", str(root / "train" / "a" / "0.png"))
    elif kind == "full":
        monkeypatch.setattr(_cache.np, "save", refuse)
    else:
        monkeypatch.setattr(Path, "mkdir", refuse)
    for _ in range(3):
        assert len(source(root).load()) == 8
    said = capsys.readouterr().err
    assert said.count("warning: nothing can be kept in the cache") == 1
    assert not list((tmp_path / "cache").glob("*")) and not list((tmp_path / "cache").glob(".*"))


PROGRAM = """
import os, sys
from bench.contracts import registry
found = registry.parse("data", {"name": "image_folder", "root": sys.argv[1]})
print(len(found.load()))
"""


def test_no_home_is_no_fault(root, tmp_path):
    """A user whom the system does not know, without a home: `~` is no place."""
    (tmp_path / "cwd").mkdir()
    program = "import pwd; pwd.getpwuid = pwd.getpwnam = lambda who: {}[who]\n" + PROGRAM
    environment = {k: v for k, v in os.environ.items() if k not in ("HOME", "BENCH_CACHE")}
    environment["PYTHONPATH"] = str(Path(_cache.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", program, str(root)],
        cwd=tmp_path / "cwd",
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == "8", done.stderr
    assert "BENCH_CACHE" in done.stderr and not list((tmp_path / "cwd").iterdir())
