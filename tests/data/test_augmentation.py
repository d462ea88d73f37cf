"""Whether images are mirrored and shifted is the user's to say, of every source."""

import pytest

from bench.contracts import registry

SETTINGS = [
    ({}, (0, False)),
    ({"augment": True}, (1, False)),
    ({"flip": True}, (0, True)),
    ({"crop": 3}, (3, False)),
    ({"augment": True, "crop": 0, "flip": True}, (0, True)),
    ({"augment": False, "crop": 2}, (2, False)),
    ({"resolution": 4, "crop": 2}, (2, False)),
]


@pytest.mark.parametrize(("fields", "wanted"), SETTINGS)
def test_what_is_said_wins(fields, wanted):
    found = registry.parse("data", {"name": "digits", **fields}).load()
    assert (found.crop, found.flip) == wanted


@pytest.mark.parametrize(
    ("fields", "wanted"), [({}, (1, True)), ({"flip": False}, (1, False)), ({"crop": 0}, (0, True))]
)
def test_folders_are_mirrored_only_as_long_as_nobody_objects(tmp_path, monkeypatch, fields, wanted):
    from PIL import Image

    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "x" / "a").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "x" / "a" / "0.png")
    root = str(tmp_path / "x")
    found = registry.parse("data", {"name": "image_folder", "root": root, **fields}).load()
    assert (found.crop, found.flip) == wanted
