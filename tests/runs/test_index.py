"""The index: read without parsing what has not changed, and always what the folders say."""

from pathlib import Path

import pandas as pd

from bench.runs import index, store


def _table(root: Path, rebuild: bool = False) -> pd.DataFrame:
    return pd.DataFrame(index.rows(root, rebuild=rebuild))


def make(root, number, **numbers):
    digest = f"{number:016x}"
    folder = root / f"v{number % 20}-seed{number // 20}-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    history = [{"epoch": n, "alpha": [[0.1] * 5] * 6} for n in range(2)]
    result = {
        "label": f"v{number % 20}",
        "digest": digest,
        "status": "ok",
        "tau": 0.5,
        "history": history,
    }
    text = store._text(store.seal(result | numbers))
    temporary = folder / "t"
    temporary.write_bytes(text)  # without the fsync of ten thousand
    temporary.replace(folder / store.RESULT)
    return folder


def test_what_has_not_changed_is_not_parsed_again(tmp_path, monkeypatch):
    """So that ten thousand runs are listed at once; how fast stands in the benchmarks."""
    for number in range(200):
        make(tmp_path, number)
    first = _table(tmp_path)
    monkeypatch.setattr(index.store, "read_result", lambda folder: 1 / 0)
    again = _table(tmp_path)
    assert len(first) == 200
    pd.testing.assert_frame_equal(first, again)


def test_every_change_is_seen(tmp_path):
    folders = [make(tmp_path, number) for number in range(5)]
    assert _table(tmp_path)["tau"].tolist() == [0.5] * 5
    make(tmp_path, 3, tau=0.7)  # the same size
    assert sorted(_table(tmp_path)["tau"]) == [0.5] * 4 + [0.7]
    (folders[0] / store.RESULT).unlink()
    assert len(_table(tmp_path)) == 4
    make(tmp_path, 9, status="failed")
    assert sorted(_table(tmp_path)["status"]) == ["failed"] + ["ok"] * 4
    text = (folders[1] / store.RESULT).read_text()
    (folders[1] / store.RESULT).write_text(text.replace('"tau": 0.5', '"tau": 0.9'))
    assert len(_table(tmp_path)) == 4  # damaged: not in it
    for folder in folders[2:]:
        (folder / store.RESULT).unlink()
    assert _table(tmp_path)["status"].tolist() == ["failed"]


def test_a_ranking_that_changes_takes_its_result_out(tmp_path):
    import hashlib

    ranking = b"some parquet"
    folder = make(tmp_path, 1, files={store.RANKING: hashlib.sha256(ranking).hexdigest()})
    assert _table(tmp_path).empty
    (folder / store.RANKING).write_bytes(ranking)
    assert len(_table(tmp_path)) == 1
    (folder / store.RANKING).write_bytes(ranking + b"!")
    assert _table(tmp_path).empty


def test_a_folder_that_cannot_be_written_can_be_listed(tmp_path, monkeypatch):
    make(tmp_path, 1)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(index, "write_atomically", full)
    assert len(_table(tmp_path)) == 1
    assert _table(tmp_path / "nowhere").empty
