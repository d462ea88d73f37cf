"""Kernels are compiled once, kept apart by what made them, and never needed."""

import hashlib
import subprocess
import sys

import pytest

from bench import kernels

COMPILER = """#!/bin/sh
[ "$1" = --version ] && { echo "fake VERSION"; exit 0; }
echo compiled >> LOG
sleep 0.3
while [ "$1" != -o ]; do shift; done
echo library > "$2"
"""


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """Give an empty cache and a fake compiler; return (set version, log of compilations)."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    script, log = tmp_path / "cxx", tmp_path / "log"

    def version(text):
        script.write_text(COMPILER.replace("VERSION", text).replace("LOG", str(log)))
        script.chmod(0o755)

    version("1")
    monkeypatch.setenv("CXX", str(script))
    kernels.load.cache_clear()
    yield version, lambda: log.read_text().count("compiled") if log.exists() else 0
    kernels.load.cache_clear()


def source():
    return next(kernels.Path(kernels.__file__).parent.glob("*.cpp"))


def test_compiled_once_and_again_only_for_another_compiler(fresh):
    version, count = fresh
    first = kernels._compiled(source())
    assert kernels._compiled(source()) == first and count() == 1
    version("2")
    assert kernels._compiled(source()) != first and count() == 2
    assert not list(first.parent.glob("tmp*"))


def test_processes_that_start_together_compile_once(fresh):
    _, count = fresh
    code = f"from bench import kernels; from pathlib import Path; kernels._compiled(Path({str(source())!r}))"
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [process.wait(300) for process in running] == [0, 0, 0]
    assert count() == 1


@pytest.mark.parametrize("compiler", ["", "/nowhere/g++", "false"])
def test_without_a_compiler_there_is_no_kernel(fresh, monkeypatch, compiler):
    monkeypatch.setenv("CXX", compiler)
    assert kernels.load("nb201_cell_float8") is None


def test_a_library_that_does_not_load_is_no_kernel(fresh):
    assert kernels.load("nb201_cell_float8") is None  # the fake compiler's


def test_a_cache_that_others_may_write_to_is_not_trusted(fresh, tmp_path):
    folder = tmp_path / "cache" / "kernels"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    with pytest.raises(PermissionError):
        kernels._compiled(source())
    assert kernels.load("nb201_cell_float8") is None


def test_a_damaged_library_is_compiled_again(fresh):
    _, count = fresh
    library = kernels._compiled(source())
    whole = library.read_bytes()
    for broken in (whole[:-1], whole[1:], bytes([whole[0] ^ 1]) + whole[1:], b""):
        library.write_bytes(broken)
        with pytest.raises(ValueError, match="checksum"):
            kernels._library(library)
        assert kernels._compiled(source()) == library and library.read_bytes() == whole
    assert count() == 5


@pytest.mark.skipif(kernels.compiler() is None, reason="NO C++ COMPILER: no library was loaded")
def test_a_real_library_is_loaded_through_its_descriptor(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "seven.cpp").write_text('extern "C" int seven() { return 7; }')
    library = kernels._compiled(tmp_path / "seven.cpp")
    loaded = kernels._library(library)
    assert loaded.seven() == 7 and "/proc/self/fd/" in str(loaded)
    (tmp_path / "seven.cpp").write_text('extern "C" int seven() { return 8; }')
    assert kernels._library(kernels._compiled(tmp_path / "seven.cpp")).seven() == 8
    link = tmp_path / "cache" / "kernels" / "link.so"
    link.symlink_to(library)
    with pytest.raises(ValueError, match="is a link"):
        kernels._library(link)


def test_a_library_that_lacks_a_function_is_no_kernel_and_says_why(monkeypatch, tmp_path):
    """Its checksum is right: whoever put it there made one."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    if kernels.compiler() is None:
        pytest.skip("needs a C++ compiler")
    (tmp_path / "other.cpp").write_text('extern "C" int something() { return 1; }\n')
    monkeypatch.setattr(kernels, "_compiled", lambda _: kernels_of(tmp_path))
    kernels.load.cache_clear()
    try:
        assert kernels.load("dropout") is not None  # nothing is asked of it
        assert kernels.load("dropout", "fill_float") is None
        assert kernels.PROBLEMS.pop("dropout") == (
            "dropout: the library that is kept has no 'fill_float'"
        )
    finally:
        kernels.load.cache_clear()


def kernels_of(folder):
    """Compile another library into the cache, with its checksum."""
    library = folder / "cache" / "x.so"
    library.parent.mkdir(mode=0o700, exist_ok=True)
    if not library.exists():
        command = [*kernels.compiler(), "-shared", "-fPIC", str(folder / "other.cpp")]
        subprocess.run([*command, "-o", str(library)], check=True)
        content = library.read_bytes()
        library.write_bytes(content + hashlib.sha256(content).digest())
        library.chmod(0o700)
    return library
