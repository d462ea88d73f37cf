"""What the torchvision data sets share: a local root or a download, and a one-line error."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from bench.contracts.data import DataError, DataSource, Images
from bench.contracts.identity import INCIDENTAL, Place
from bench.terminal import command


class TorchvisionSource(DataSource):
    """A data set that torchvision reads from a local root, or downloads when allowed to."""

    root: Place = Field(Path("data"), description="folder that holds the files")
    download: Annotated[bool, INCIDENTAL] = Field(
        False, description="let torchvision download what is missing"
    )

    torchvision_class: ClassVar[str]
    statistics: ClassVar[tuple[tuple[float, ...], tuple[float, ...]]]
    classes: ClassVar[int] = 10
    padding: ClassVar[int] = 4
    mirrored: ClassVar[bool] = True

    def offline(self) -> Self:
        """See `DataSource.offline`."""
        return self.model_copy(update={"download": False})

    def read(self, train: bool) -> Images:
        """See `DataSource.read`."""
        from torchvision import datasets

        constructor: Any = getattr(datasets, self.torchvision_class)
        try:
            found = constructor(str(self.root), **self.part(train), download=self.download)
        except (RuntimeError, OSError) as error:
            what = "could not be downloaded" if self.download else "is not there"
            raise DataError(
                f"{self.name} {what} under {str(self.root)!r} ({str(error).splitlines()[0][:120]}); get it "
                f"with `{command('data', 'fetch', self.name, '--root', self.root)}`"
            ) from error
        pixels, labels = self.arrays(found)
        mean, std = self.statistics
        return Images(
            pixels.contiguous(), labels.long(), self.classes, mean, std, self.padding, self.mirrored
        )

    def part(self, train: bool) -> dict[str, Any]:
        """Return the arguments by which torchvision knows training from test images."""
        return {"train": train}

    def arrays(self, found: Any) -> tuple[Tensor, Tensor]:
        """Return the pixels [N, C, H, W] and labels [N] of a data set of torchvision's."""
        pixels = torch.as_tensor(np.asarray(found.data))
        pixels = pixels[:, None] if pixels.dim() == 3 else pixels.permute(0, 3, 1, 2)
        return pixels, torch.as_tensor(found.targets)
