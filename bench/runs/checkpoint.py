"""Checkpoints: written atomically, checked before use, loaded without executing anything."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import torch

from bench.files import UnfitFileError, check_zip, open_regular, write_atomically
from bench.written import one_line

MAGIC = b"bench-checkpoint-1\n"


class CheckpointError(ValueError):
    """A checkpoint that is damaged, from something else, or not one."""


class RefusedError(CheckpointError):
    """A checkpoint of this run whose checksum is right and whose content is not one."""


def save(path: Path, identity: str, state: dict[str, Any]) -> None:
    """Write tensors and plain values with a checksum and the identity of their run."""
    buffer = io.BytesIO()
    torch.save({"identity": identity, "state": state}, buffer)
    payload = buffer.getvalue()
    write_atomically(path, MAGIC + hashlib.sha256(payload).digest() + payload)


def load(path: Path, identity: str | None = None) -> dict[str, Any]:
    """Read what `save` wrote.

    Parameters
    ----------
    path
        Of the file.
    identity
        The run that the checkpoint must belong to; None: any.

    Returns
    -------
    dict[str, Any]
        Part of the state → tensors and plain values, on the CPU.

    Raises
    ------
    CheckpointError
        One line; nothing of a damaged or foreign file is used, and nothing in it is executed. A `RefusedError`
        where the checksum is right and the content is not that of a checkpoint.
    OSError
        When it cannot be read: it may be sound all the same.
    MemoryError
        When there is no room for it.
    """
    try:
        with open_regular(path, links=False) as file:
            content = file.read()
    except UnfitFileError as error:
        raise CheckpointError(str(error)) from None
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    if not content.startswith(MAGIC):
        raise CheckpointError(f"{path}: not a checkpoint of this program")
    digest, payload = content[len(MAGIC) : len(MAGIC) + 32], content[len(MAGIC) + 32 :]
    if hashlib.sha256(payload).digest() != digest:
        raise CheckpointError(f"{path}: damaged (checksum differs)")
    try:
        # What `save` writes is not compressed: nothing may unpack to more than was read.
        check_zip(io.BytesIO(payload), len(payload), path)
    except UnfitFileError as error:
        raise RefusedError(f"{path}: refused ({str(error).removeprefix(f'{path}: ')})") from None
    try:
        saved = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        found, state = saved["identity"], saved["state"]
    except Exception as error:  # whatever a foreign pickle makes torch raise, it is refused
        if isinstance(error, OSError) or out_of_memory(error):
            raise  # says nothing about the file
        reason = one_line(error, 120)
        raise RefusedError(f"{path}: refused ({type(error).__name__}: {reason})") from None
    if identity is not None and found != identity:
        raise CheckpointError(f"{path}: belongs to run {found}, not {identity}")
    if not isinstance(state, dict):
        raise RefusedError(f"{path}: holds no state")
    return state


def out_of_memory(error: BaseException) -> bool:
    """Say whether an error means that there was no memory left, here or on the device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # What torch says of the CPU's memory has no class of its own.
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
