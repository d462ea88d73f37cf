"""What pyproject.toml cannot say: the ablations beside the package are shipped inside it."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
FOLDERS = [HERE / "ablations", *sorted(p for p in (HERE / "ablations").rglob("*") if p.is_dir())]
PLACES = {f"bench.{f.relative_to(HERE).as_posix().replace('/', '.')}": f for f in FOLDERS}

setup(
    packages=[*find_packages(include=["bench", "bench.*"]), *PLACES],
    package_dir={name: folder.relative_to(HERE).as_posix() for name, folder in PLACES.items()},
)
