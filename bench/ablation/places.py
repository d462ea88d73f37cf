"""Where ablation files and profiles are looked for: the user's own first, then those shipped."""

from __future__ import annotations

from pathlib import Path

import bench
from bench.ablation.yamlfile import ConfigError
from bench.contracts.registry import did_you_mean

YAML = {".yaml", ".yml"}


def shipped() -> Path:
    """Return the folder of the ablations that come with the package.

    Installed they lie inside the package; in a checkout, beside it.
    """
    package = Path(bench.__file__).parent
    inside = package / "ablations"
    return inside if inside.is_dir() else package.parent / "ablations"


def ablation_file(path: Path) -> Path:
    """Return the file that is meant: a path, or the name of one that is shipped (``skip_dropout``).

    A path that is not there is returned as it is, so that the error names it; one that begins with
    ``ablations/`` is looked for among the shipped ones too.
    """
    if path.exists():
        return path
    inside = Path(*path.parts[1:]) if path.parts[:1] == ("ablations",) else path
    named = inside if inside.suffix in YAML else inside.with_name(f"{inside.name}.yaml")
    found = shipped() / named
    return found if not path.is_absolute() and found.is_file() else path


def profile_file(name: str, ablation: Path) -> Path:
    """Return the file of a profile.

    Parameters
    ----------
    name
        A path to a YAML file, or a name: ``profiles/NAME.yaml`` beside the ablation file, up to two
        folders above it, in the working folder, in its ``ablations``, or among the shipped ones.

    Raises
    ------
    ConfigError
        When there is no profile of that name; says which there are.
    """
    if Path(name).suffix in YAML:
        return Path(name)
    near = list(ablation.resolve().parents)[:3]
    folders = [place / "profiles" for place in (*near, Path(), Path("ablations"), shipped())]
    found = [file for folder in folders if (file := folder / f"{name}.yaml").is_file()]
    if not found:
        known = sorted({p.stem for f in folders if f.is_dir() for p in f.glob("*.yaml")})
        raise ConfigError(f"--profile: unknown profile {name!r}; {did_you_mean(name, known)}")
    return found[0]
