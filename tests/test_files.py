"""Only regular files of bounded size are read, whatever stands in their place."""

import bz2
import io
import os
import signal
import zipfile

import pytest

from bench import files


@pytest.fixture(autouse=True)
def in_time():
    """Fail a test that waits for a pipe instead of hanging with it."""
    signal.alarm(20)
    yield
    signal.alarm(0)


def test_a_regular_file_is_read_and_a_link_only_where_it_may_be(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 10)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert files.read(tmp_path / "a", 10) == files.read(tmp_path / "b", 10) == b"x" * 10
    with pytest.raises(files.UnfitFileError, match="is a link"):
        files.read(tmp_path / "b", 10, links=False)
    with pytest.raises(FileNotFoundError):
        files.read(tmp_path / "c", 10)


def test_what_is_larger_than_expected_is_not_read(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 10)
    with pytest.raises(files.UnfitFileError, match=r"10 bytes are more than the 9 expected"):
        files.read(tmp_path / "a", 9)


def test_what_grows_while_it_is_read_is_refused(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"x" * 10)
    real = os.fstat

    def small(handle):
        found = list(real(handle))
        found[6] = 5  # st_size
        return os.stat_result(found)

    monkeypatch.setattr(files.os, "fstat", small)
    with pytest.raises(files.UnfitFileError, match="more than the 9"):
        files.read(tmp_path / "a", 9)


def strange(folder):
    """Yield paths that are no regular files, and what they are called."""
    os.mkfifo(folder / "pipe")
    yield folder / "pipe", "a named pipe"
    (folder / "to_pipe").symlink_to(folder / "pipe")
    yield folder / "to_pipe", "a named pipe"
    (folder / "zero").symlink_to("/dev/zero")
    yield folder / "zero", "a device"
    yield folder, "a folder"


def test_pipes_devices_and_folders_are_refused_at_once(tmp_path):
    for path, kind in strange(tmp_path):
        with pytest.raises(files.UnfitFileError, match=kind):
            files.read(path, 10)


def test_a_pipe_put_in_the_place_after_the_look_is_not_waited_for(tmp_path, monkeypatch):
    regular, pipe = tmp_path / "a", tmp_path / "pipe"
    regular.write_bytes(b"x")
    os.mkfifo(pipe)
    real = os.open
    monkeypatch.setattr(files.os, "open", lambda path, flags: real(pipe, flags))
    with pytest.raises(files.UnfitFileError, match="a named pipe"):
        files.read(regular, 10)


def test_text_has_one_kind_of_line_end_and_one_encoding(tmp_path):
    (tmp_path / "a").write_bytes("ä\r\nb\rc".encode())
    assert files.read_text(tmp_path / "a", 99) == "ä\nb\nc"
    (tmp_path / "b").write_bytes(b"ok\xff")
    with pytest.raises(files.UnfitFileError, match=r"not UTF-8 text \(byte 2\)"):
        files.read_text(tmp_path / "b", 99)


def test_bombs_are_not_unpacked_to_their_end():
    bomb = bz2.compress(bytes(50_000_000))
    assert len(bomb) < 100

    class Counted(bz2.BZ2File):
        given = 0

        def read(self, size=-1):
            piece = super().read(size)
            Counted.given += len(piece)
            return piece

    with pytest.raises(files.UnfitFileError, match=r"x: unpacks to more than the 3,000,000 bytes"):
        files.unpack(Counted(io.BytesIO(bomb)), 3_000_000, "x")
    assert Counted.given <= 3_000_000 + files.PIECE
    assert files.unpack(bz2.BZ2File(io.BytesIO(bomb)), 50_000_000, "x") == bytes(50_000_000)


def archive(members, kind=zipfile.ZIP_STORED):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", kind) as file:
        for name, content in members:
            file.writestr(name, content)
    return made


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_hold_no_more_than_they_should():
    files.check_zip(archive([("a", b"12"), ("b", b"34")]), 4, "x")
    for broken, match in (
        (archive([("a", b"12345")]), "unpacks to 5 bytes"),
        (archive([("a", b"1")], zipfile.ZIP_DEFLATED), "compressed members"),
        (archive([("a", b"1"), ("a", b"2")]), "a member twice"),
        (io.BytesIO(b"PK nonsense"), "not a sound archive"),
    ):
        with pytest.raises(files.UnfitFileError, match=match):
            files.check_zip(broken, 4, "x")
    files.check_zip(archive([("a", b"1")], zipfile.ZIP_DEFLATED), 4, "x", packed=True)
