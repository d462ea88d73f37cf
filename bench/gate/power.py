"""``python -m bench.gate.power``: false alarms and power of the recorded bank, as docs/gate.md has them."""

from __future__ import annotations

import numpy as np

from bench.gate.baseline import read
from bench.gate.calibration import replay


def main() -> None:
    """Print what docs/gate.md says of the recorded bank."""
    base = read()
    margins = list(base.margins.values())
    for title, fixed in (("new bank each time", False), ("the recorded bank kept", True)):
        rates = replay(base.matrix, margins, fixed_bank=fixed, replays=20_000)
        print(
            f"nothing changed, {title}: suspect {100 * rates.suspect:.2f} %, "
            f"false alarms {100 * rates.red:.3f} % of {rates.replays} checks"
        )
    for i, (name, size) in enumerate(base.detectable.items()):
        drop = np.zeros(len(margins))
        drop[i] = size
        red = replay(base.matrix, margins, drop=drop.tolist(), replays=20_000, seed=1).red
        print(f"{name} down by {size:.4g}: seen in {100 * red:.1f} % of 20000 checks")


if __name__ == "__main__":
    main()
