"""Reading pickles from strangers: only named classes, and of those only plain stand-ins."""

from __future__ import annotations

import contextlib
import gc
import pickle
import pickletools
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from bench import files
from bench.contracts.truth import TruthError

Allowed = Mapping[tuple[str, str], Callable[..., Any]]
"""(module, name) as the pickle writes it → what is used in its place."""


class SafeUnpickler(pickle.Unpickler):
    """An unpickler that knows exactly the names it was given and imports nothing.

    A pickle is a program: it may call whatever `find_class` hands it. So nothing is looked up in
    a module; a name either stands in ``allowed`` or ends the reading. Persistent ids are refused
    by the base class.

    Parameters
    ----------
    file
        Binary file, positioned at the pickle.
    allowed
        Every name that may occur and its replacement. Replacements of classes should be made
        afresh for each file, since a pickle may set attributes on a class it is given.
    source
        What the file is called in errors.
    """

    def __init__(self, file: IO[bytes], allowed: Allowed, source: str) -> None:
        super().__init__(file)
        self._allowed, self.source = allowed, source

    def find_class(self, module: str, name: str) -> Any:
        """Return the replacement of an allowed name.

        Raises
        ------
        TruthError
            For every other name.
        """
        try:
            return self._allowed[module, name]
        except (KeyError, TypeError):
            raise TruthError(
                f"{self.source}: refused, the file asks for {module!r:.80}.{name!r:.80}, which "
                "is not on the allow-list; nothing of it was run"
            ) from None


def safe_load(file: IO[bytes], allowed: Allowed, source: str) -> Any:
    """Read one pickle with `SafeUnpickler`.

    Raises
    ------
    TruthError
        When the pickle is damaged, cut short or asks for anything that is not allowed.
    """
    return load_safely(SafeUnpickler(file, allowed, source))


def refuse_deep(data: bytes, source: str, most: int = 64) -> None:
    """Refuse a pickle with tuples in tuples so deep that hashing one would end the interpreter.

    Python guards against depth where it shows a thing, and not where it hashes a tuple, which is what
    a key of a mapping is for.

    Raises
    ------
    TruthError
        Where tuples are nested deeper than ``most``.
    """
    if tuple_depth(data, most) > most:
        raise TruthError(f"{source}: refused: tuples in it are nested more than {most} deep")


def tuple_depth(data: bytes, enough: int) -> int:
    """Return how deep tuples stand in tuples, ``enough`` and one at most; a second for 500 kB.

    The program is followed step by step, and not run. Of one that is damaged, as far as it goes.
    """
    stack: list[int | None] = []  # how deep each thing is in tuples; None: a mark
    memo: dict[int, int] = {}
    deepest = 0
    try:
        for step, argument, _ in pickletools.genops(data):
            first = len(stack) - len(step.stack_before)
            if pickletools.markobject in step.stack_before:
                mark = len(stack) - 1 - stack[::-1].index(None)
                first = mark - step.stack_before.index(pickletools.markobject)
            depth = max((inside or 0 for inside in stack[first:]), default=0)
            del stack[first:]
            if step.name in ("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "FROZENSET"):
                depth += 1
            elif step.name in ("GET", "BINGET", "LONG_BINGET"):
                depth = memo[int(argument or 0)]
            elif step.name in ("PUT", "BINPUT", "LONG_BINPUT"):
                memo[int(argument or 0)] = stack[-1] or 0
            elif step.name == "MEMOIZE":
                memo[len(memo)] = depth
            elif step.name != "DUP":
                depth = 0  # what holds a tuple and is none is not hashed by what it holds
            deepest = max(deepest, depth)
            if deepest > enough:
                break
            stack += [
                None if thing is pickletools.markobject else depth for thing in step.stack_after
            ]
    except (ValueError, IndexError, KeyError, TypeError):
        pass
    return deepest


def load_safely(unpickler: SafeUnpickler) -> Any:
    """Read one pickle, and turn whatever goes wrong into one line.

    Raises
    ------
    TruthError
        When the pickle is damaged, cut short or asks for anything that is not allowed.
    """
    try:
        with _without_collector():
            return unpickler.load()
    except TruthError:
        raise
    except MemoryError:  # what does not fit need not be damaged
        raise TruthError(
            f"{unpickler.source}: not enough memory to read it, or it asks for more than it needs"
        ) from None
    except Exception as error:  # a damaged pickle may raise nearly anything, OSError from bz2 too
        raise TruthError(f"{unpickler.source}: damaged or cut short: {one_line(error)}") from None


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    # Hundreds of thousands of new objects make the collector walk all of torch again and again:
    # 0.35 s instead of 0.10 s for the embedded table.
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def stand_in(name: str) -> type[Any]:
    """Return a new empty class that only ever holds attributes."""
    return type(name, (), {})


def one_line(error: BaseException, limit: int = 160) -> str:
    """Return an exception's class and message on one line of at most ``limit`` characters."""
    text = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")
    return text if len(text) <= limit else text[: limit - 1] + "…"


def read_bytes(path: Path, limit: int) -> bytes:
    """Read a whole file of at most ``limit`` bytes.

    Raises
    ------
    TruthError
        When it is missing, not a file, not readable or larger.
    """
    try:
        return files.read(path, limit)
    except FileNotFoundError:
        raise TruthError(f"{path}: no such file") from None
    except files.UnfitFileError as error:
        raise TruthError(str(error)) from None
    except (OSError, ValueError) as error:
        raise TruthError(f"{path}: cannot be read: {one_line(error)}") from None
