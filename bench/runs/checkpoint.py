"""Checkpoints: written atomically, checked before use, loaded without executing anything."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from pathlib import Path
from typing import Any

import torch

MAGIC = b"bench-checkpoint-1\n"


class CheckpointError(ValueError):
    """A checkpoint that is damaged, from something else, or not one."""


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all: temporary file, fsync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            os.fchmod(handle, 0o644)  # temporary files are private; results are for colleagues
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    if hasattr(os, "O_DIRECTORY"):  # the rename itself must survive a power cut
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


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
    identity
        The run that the checkpoint must belong to; None: any.

    Raises
    ------
    CheckpointError
        One line; nothing of a damaged or foreign file is used, and nothing in it is executed.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror})") from None
    if not content.startswith(MAGIC):
        raise CheckpointError(f"{path}: not a checkpoint of this program")
    digest, payload = content[len(MAGIC) : len(MAGIC) + 32], content[len(MAGIC) + 32 :]
    if hashlib.sha256(payload).digest() != digest:
        raise CheckpointError(f"{path}: damaged (checksum differs)")
    try:
        saved = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        found, state = saved["identity"], saved["state"]
    except Exception as error:  # whatever a foreign pickle makes torch raise, it is refused
        reason = " ".join(str(error).split())[:120]
        raise CheckpointError(f"{path}: refused ({type(error).__name__}: {reason})") from None
    if identity is not None and found != identity:
        raise CheckpointError(f"{path}: belongs to run {found}, not {identity}")
    if not isinstance(state, dict):
        raise CheckpointError(f"{path}: holds no state")
    return state
