"""The official files of benchmarks, from where their authors keep them, known by their hashes."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import NamedTuple

from bench.contracts.truth import TruthError
from bench.written import one_line


class Official(NamedTuple):
    """An official file: where it is kept, its name, and the end of its MD5 that its name holds."""

    drive: str
    """Google Drive's identifier."""
    name: str
    what: str


FILES = {
    "nas-bench-201": Official(
        "16Y0UwGisiouVRxW-W5hEtbxmcHw_0hF_",
        "NAS-Bench-201-v1_1-096897.pth",
        "Dong and Yang 2020: 15,625 cells, three data sets, up to three seeds; 4.7 GB",
    ),
    "nas-bench-201-v1_0": Official(
        "1SKW0Cu0u8-gb18zDpaAGi0f74UdXeGKs",
        "NAS-Bench-201-v1_0-e61699.pth",
        "the same, first release; 2.2 GB",
    ),
    "nats-bench-tss": Official(
        "1vzyK0UVH2D3fTpa1_dSWnp1gvGpAxRul",
        "NATS-tss-v1_0-3ffb9.pickle.pbz2",
        "Dong et al. 2021: the topology space in one file",
    ),
}
"""Name → file, as the authors' READMEs name them. The last part of a name before its ending is the
end of the file's MD5, by which `bench truth import` knows it."""


def fetch(name: str, root: Path) -> Path:
    """Download an official file and check the hash that its name holds; what is there is kept.

    Raises
    ------
    TruthError
        One line: an unknown name, no network, or another file than the one that was asked for.
    """
    from torchvision.datasets import utils

    if name not in FILES:
        raise TruthError(f"{name}: no such official file; known: {', '.join(FILES)}")
    file = FILES[name]
    path = root / file.name
    if not path.exists():
        root.mkdir(parents=True, exist_ok=True)
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                utils.download_file_from_google_drive(file.drive, str(root), file.name)
        except Exception as error:
            path.unlink(missing_ok=True)
            raise TruthError(
                f"{name}: cannot be downloaded ({type(error).__name__}: "
                f"{one_line(error, 120)}); without a network, get {file.name} "
                f"by hand (https://drive.google.com/uc?id={file.drive}) and put it in {root}"
            ) from None
    wanted = file.name.partition(".")[0].rpartition("-")[2]
    found: str = utils.calculate_md5(str(path))
    if not found.endswith(wanted):
        raise TruthError(
            f"{path}: is not the official file: its MD5 ends in {found[-len(wanted) :]}, not in "
            f"{wanted}; remove it and fetch it again"
        )
    return path
