"""What is loaded or believed lies where only its user can have put it."""

import os
from pathlib import Path

import pytest

from bench import ownership
from bench.files import UnfitFileError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="rights are another system here")
STRANGER = 54321


@pytest.fixture
def place(tmp_path):
    """Return a folder of three levels with a file in it."""
    folder = tmp_path / "a" / "b" / "c"
    folder.mkdir(parents=True)
    (folder / "file").write_bytes(b"mine")
    for path in (tmp_path, tmp_path / "a", tmp_path / "a" / "b", folder):
        path.chmod(0o755)
    return folder


def given_away(path, monkeypatch):
    """Make a path another user's: really, where tests may; else by a stat that says so."""
    if os.geteuid() == 0:
        os.chown(path, STRANGER, -1, follow_symlinks=False)
        return
    real, target = os.fstat, os.stat(path)

    def fstat(handle):
        found = real(handle)
        if (found.st_dev, found.st_ino) != (target.st_dev, target.st_ino):
            return found
        return os.stat_result([*found[:4], STRANGER, *found[5:]])

    monkeypatch.setattr(os, "fstat", fstat)


def test_one_s_own_file_is_read_links_on_the_way_included(place):
    assert ownership.read_own(place / "file", 10) == b"mine"
    link = place.parents[2] / "link"
    link.symlink_to(place)
    assert ownership.check_folder(link) == place
    assert ownership.read_own(link / "file", 10) == b"mine"


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_another_user_s_folder_anywhere_on_the_way_is_refused(place, level, monkeypatch):
    path = [place / "file", place, *place.parents][level]
    given_away(path, monkeypatch)
    with pytest.raises(PermissionError, match=f"{path}: belongs to another user"):
        ownership.read_own(place / "file", 10)


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_what_others_may_write_to_is_refused(place, level):
    path = [place / "file", place, *place.parents][level]
    path.chmod(0o777)
    with pytest.raises(PermissionError, match=f"{path}: everybody may write here"):
        ownership.read_own(place / "file", 10)
    if level > 1:  # as /tmp is: others may add to it, and not replace what is ours
        path.chmod(0o1777)
        assert ownership.read_own(place / "file", 10) == b"mine"


def test_a_folder_in_which_everybody_may_put_files_is_no_cache(place):
    place.chmod(0o1777)
    with pytest.raises(PermissionError, match="everybody"):
        ownership.read_own(place / "file", 10)


def test_a_group_of_others_may_not_write_and_a_user_s_own_may(place, monkeypatch):
    place.chmod(0o775)
    monkeypatch.setattr(ownership, "_alone", lambda group: False)
    with pytest.raises(PermissionError, match="a group may write here"):
        ownership.check_folder(place)
    monkeypatch.setattr(ownership, "_alone", lambda group: True)
    assert ownership.check_folder(place) == place


def test_a_link_flipped_after_the_look_is_not_followed(place, tmp_path, monkeypatch):
    evil = tmp_path / "evil"
    evil.mkdir()
    (evil / "file").write_bytes(b"evil")
    real = os.path.realpath

    def flips(path):
        found = real(path)
        if Path(found) == place:
            place.rename(place.with_name("away"))
            place.symlink_to(evil)
        return found

    monkeypatch.setattr(os.path, "realpath", flips)
    with pytest.raises(OSError):
        ownership.read_own(place / "file", 10)


def test_links_and_pipes_in_the_file_s_place_are_refused(place):
    (place / "link").symlink_to(place / "file")
    os.mkfifo(place / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(UnfitFileError):
            ownership.read_own(place / name, 10)
