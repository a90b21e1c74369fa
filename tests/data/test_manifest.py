"""Manifests as people, spreadsheets and other programs write them."""

import os
import threading

import pytest

from keras_segan.data.manifest import Manifest, Utterance, joined
from keras_segan.errors import DataError, FileError


def read(tmp_path, text, name="m.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Manifest.read(path).utterances


ROW = "u0,clean/u0.wav,noisy/u0.wav"


def test_a_spreadsheets_manifest_is_read(tmp_path):
    text = "\ufeffID;Clean; Noisy ;SNR;Scale;Split\r\nu0;clean/u0.wav;noisy/u0.wav;2,5;10;Test\r\n;;;;;\r\n"
    (u,) = read(tmp_path, text)
    assert u == Utterance(
        "u0", tmp_path / "clean/u0.wav", tmp_path / "noisy/u0.wav", "test", snr=2.5, scale=10.0
    )


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("../../x,c,n", "line 3, column 'id': '../../x' holds a slash"),
        ("..,c,n", "'..' leads to another folder"),
        ("/x,c,n", "leads to another folder"),
        (",c,n", "column 'id': is empty"),
        ("u9,c", "column 'noisy': is missing, the row has 2 cells"),
        ("u9,,n", "column 'clean': is empty"),
        ("u9,c,n,exam", "column 'split': 'exam' is none of train, validation, test"),
        ("u9,c,n,,nan", "column 'snr': 'nan' is no number"),
        ("u9,c,n,,-inf", "column 'snr'"),
        ("u9,c,n,,5 dB", "column 'snr': '5 dB'"),
        ("u9,c,n,,,0", "column 'scale': '0' is no number from 1e-06"),
        ("u9,c,n,,,-1", "column 'scale'"),
        ("u9,c,n,,,nan", "column 'scale'"),
        ("u0,c,n", "'u0' appears more than once .line 2."),
        ("u9,c,n,,,,x", "has 7 cells"),
    ],
)
def test_a_wrong_value_is_named_with_line_and_column(tmp_path, row, problem):
    with pytest.raises(FileError, match=problem) as caught:
        read(tmp_path, f"id,clean,noisy,split,snr,scale\n{ROW}\n{row}\n")
    assert f"{tmp_path / 'm.csv'} line 3" in str(caught.value)


def test_two_ids_that_look_alike_are_the_same(tmp_path):
    with pytest.raises(FileError, match="appears more than once"):
        read(tmp_path, "id,clean,noisy\ncaf\u00e9,a,b\ncafe\u0301,c,d\n")


def test_backslashes_and_the_home_folder_are_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "noisy").mkdir()
    (tmp_path / "noisy" / "u0.wav").touch()
    (u,) = read(tmp_path, "id,clean,noisy\nu0,~/clean/u0.wav,noisy\\u0.wav\n")
    assert (u.clean, u.noisy) == (tmp_path / "clean/u0.wav", tmp_path / "noisy/u0.wav")
    (tmp_path / "noisy\\u0.wav").touch()
    (u,) = read(tmp_path, "id,clean,noisy\nu0,c,noisy\\u0.wav\n")
    assert u.noisy == tmp_path / "noisy\\u0.wav"


def test_a_latin_1_manifest_names_latin_1_files_or_is_refused(tmp_path):
    text = "id,clean,noisy\nu0,caf\u00e9.wav,b.wav\n".encode("latin-1")
    with pytest.raises(FileError, match="line 2, column 'clean': is not UTF-8"):
        read(tmp_path, text)
    (tmp_path / "caf\udce9.wav").touch()
    (u,) = read(tmp_path, text)
    assert u.clean.exists()


AWKWARD = ["~", "-x", "=1", " x", "'y", "a,b", 'a"b', "a\nb", "caf\udce9", "a\\b", "..x", "d/../e"]


def test_awkward_file_names_survive_writing_and_reading(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d").mkdir()
    for name in AWKWARD:
        (tmp_path / f"{name}.wav").touch()
    members = [Utterance(f"u{n}", f"{name}.wav", f"{name}.wav") for n, name in enumerate(AWKWARD)]
    Manifest(tuple(members)).write("m.csv")
    for u, name in zip(Manifest.read("m.csv").utterances, AWKWARD, strict=True):
        assert os.path.samefile(u.noisy, f"{name}.wav")


@pytest.mark.parametrize("written", ["link/m.csv", "link.csv", "real/deep/m.csv"])
@pytest.mark.parametrize("named", ["clean/u0.wav", "link/../../clean/u0.wav", "linked/u0.wav"])
def test_names_lead_to_the_files_across_links(tmp_path, monkeypatch, written, named):
    monkeypatch.chdir(tmp_path)
    for folder in ("clean", "real/deep"):
        os.makedirs(folder)
    (tmp_path / "clean" / "u0.wav").touch()
    os.symlink("real/deep", "link")
    os.symlink("clean", "linked")
    os.symlink("real/deep/m.csv", "link.csv")
    for name in (named, os.path.abspath(named) if ".." not in named else named):
        Manifest((Utterance("u0", name, name),)).write(written)
        for path in ("link/m.csv", "real/deep/m.csv", "link.csv"):
            assert os.path.samefile(Manifest.read(path).utterances[0].clean, "clean/u0.wav")
    assert os.path.islink("link.csv")


def test_the_table_in_a_linked_store_is_meant_from_the_link(tmp_path):
    # As git-annex and download caches keep files: the content lies elsewhere under another name.
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "blob").write_text(f"id,clean,noisy\n{ROW}\n")
    (tmp_path / "m.csv").symlink_to("store/blob")
    (tmp_path / "clean").mkdir()
    (tmp_path / "clean" / "u0.wav").touch()
    assert Manifest.read(tmp_path / "m.csv").utterances[0].clean == tmp_path / "clean/u0.wav"


def test_manifests_are_joined_and_ids_stay_unique():
    a, b = (
        Manifest((Utterance("u0", "c", f"n{k}", split),), "mini") for k, split in enumerate(("train", "test"))
    )
    assert [u.id for u in joined([a, b]).utterances] == ["train_u0", "test_u0"]
    assert joined([a, b]).corpus == "mini"
    assert joined([a, Manifest((Utterance("u1", "c", "n"),))]).corpus == "folder"
    with pytest.raises(DataError, match="Two pairs"):
        joined([a, a])


def test_numbers_are_written_as_exactly_as_they_are(tmp_path):
    u = Utterance("u0", tmp_path / "c", tmp_path / "n", snr=1 / 3, scale=1.23456789)
    Manifest((u,)).write(tmp_path / "m.csv")
    assert Manifest.read(tmp_path / "m.csv").utterances == (u,)


def test_a_manifest_goes_through_a_pipe(tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    os.mkfifo(tmp_path / "deep" / "pipe")
    (tmp_path / "c.wav").touch()
    monkeypatch.chdir(tmp_path)
    manifest = Manifest((Utterance("u0", "c.wav", "c.wav"),))
    writer = threading.Thread(target=lambda: manifest.write("deep/pipe"), daemon=True)
    writer.start()
    (u,) = Manifest.read("deep/pipe").utterances
    writer.join(10)
    assert os.path.samefile(u.clean, "c.wav")
