"""Kernels are compiled once, kept apart by what made them, and never needed."""

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
