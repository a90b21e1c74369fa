"""Writing, reading, naming and listing of files."""

import os
import subprocess
import sys
import threading

import pytest

from keras_segan import files
from keras_segan.errors import DataError, FileError


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


# Writing


def test_a_file_is_written_with_the_folders_it_needs(tmp_path):
    files.write_text(tmp_path / "a" / "b.txt", "é\n")
    assert (tmp_path / "a" / "b.txt").read_bytes() == "é\n".encode()
    assert names(tmp_path / "a") == ["b.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_write_that_is_stopped_leaves_the_old_file_and_nothing_else(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(error), files.writing(target) as file:  # noqa: PT012
        file.write("new")
        raise error
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_two_writers_of_one_file_do_not_share_a_temporary_file(tmp_path):
    with files.writing(tmp_path / "a.txt") as first, files.writing(tmp_path / "a.txt") as second:
        first.write("first")
        second.write("second")
    assert (tmp_path / "a.txt").read_text() == "first"  # the one that ended last
    assert names(tmp_path) == ["a.txt"]


def test_a_temporary_file_has_the_suffix_of_its_target_and_a_short_name(tmp_path):
    with files.replacing(tmp_path / f"{'x' * 240}.keras") as temporary:
        assert temporary.suffix == ".keras"
        assert len(temporary.name) < 40


def test_a_file_that_is_replaced_keeps_its_mode_and_a_new_one_has_that_of_the_user(tmp_path):
    files.write_text(tmp_path / "new", "")
    (tmp_path / "plain").write_text("")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode
    (tmp_path / "new").chmod(0o640)
    files.write_text(tmp_path / "new", "again")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640


def test_a_link_stays_a_link_and_its_target_is_replaced(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link.txt").symlink_to("real/a.txt")
    files.write_text(tmp_path / "link.txt", "1")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real" / "a.txt").read_text() == "1"


def test_a_pipe_is_written_into_and_stays_a_pipe(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    files.check_output(pipe)
    files.write_text(pipe, "through")
    reader.join(10)
    assert got == ["through"]
    assert pipe.is_fifo()
    assert names(tmp_path) == ["pipe"]


def test_standard_output_that_goes_to_a_file_is_written_in_order(tmp_path):
    code = "from keras_segan import files; print('1'); files.write_text('/dev/stdout', '2\\n'); print('3')"
    with open(tmp_path / "out", "w") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, check=True)
    assert (tmp_path / "out").read_text() == "1\n2\n3\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_an_error_with_the_name_that_was_asked_for():
    with pytest.raises(FileError, match=r"^/dev/full: cannot be written \(No space left"):
        files.write_text("/dev/full", "x")


def test_an_error_of_another_file_in_the_block_stays_what_it_is(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"), files.writing(tmp_path / "a"):
        (tmp_path / "absent").read_text()


def bad_outputs(folder):
    (folder / "file").write_text("x")
    return {
        "file/a.txt": "a part of this path is a file",
        ".": "is a folder",
        f"{'x' * 300}.txt": "File name too long",
        f"{'y' * 300}/a.txt": "File name too long",
        "a\0b": "null",
    }


def test_an_output_that_cannot_be_written_is_found_out_before_and_when_writing(tmp_path):
    for name, reason in bad_outputs(tmp_path).items():
        for attempt in (files.check_output, lambda path: files.write_text(path, "x")):
            with pytest.raises(FileError, match=reason) as caught:
                attempt(tmp_path / name)
            assert files.TEMPORARY not in str(caught.value)
    assert names(tmp_path) == ["file"]


def test_trying_an_output_leaves_nothing_behind(tmp_path):
    files.check_output(tmp_path / "new" / "deep" / "a.csv")
    assert names(tmp_path) == []


def test_only_a_plain_file_is_replaced_and_only_when_asked(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    files.check_replaceable(tmp_path / "absent")
    files.check_replaceable(tmp_path / "file", force=True)
    with pytest.raises(DataError, match="exists already; use --force"):
        files.check_replaceable(tmp_path / "file")
    for force in (False, True):
        with pytest.raises(DataError, match="is a folder and will not be replaced"):
            files.check_replaceable(tmp_path / "folder", force)
    files.check_replaceable(tmp_path / "folder", True, is_ours=lambda path: path.name == "folder")


# Reading


HEAD = "id,snr\n"


def rows(tmp_path, content, required=("id", "snr")):
    path = tmp_path / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(files.read_table(path, required))


@pytest.mark.parametrize(
    "content",
    [
        b"id,snr\nu0,2.5\n",
        b"\xef\xbb\xbfid,snr\r\nu0,2.5\r\n",
        "id,snr\nu0,2.5\n".encode("utf-16"),
        b"id;snr\nu0;2,5\n",
        b"id\tsnr\nu0\t2.5",
        b"ID , SNR\nu0 , 2.5 \n",
        b'"id", "snr"\n"u0", "2.5"\n\n,,\n',
        b"sep=;\nid;snr\nu0;2.5\n",
        b"\n\nsnr,extra,id\n2.5,,u0,,\n",
    ],
)
def test_a_table_is_read_whatever_program_wrote_it(tmp_path, content):
    (row,) = rows(tmp_path, content)
    assert row.text("id") == "u0"
    assert row.number("snr", -100, 100) == 2.5


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "line 1: lacks the column id, snr"),
        (b"id,level\nu0,5\n", "line 1: lacks the column snr; its head is: id, level"),
        (b"id,snr\n", "has no rows"),
        (b"id,snr,ID\nu0,5,6\n", "the column 'id' is there twice"),
        (b"id,snr\nu0,5,6\n", "line 2: has 3 cells, the head has 2"),
        (b'id,snr\n"u0,5\nu1,6\n', "is not CSV"),
        (b"id,snr\nu\x000,5\n", "line 2: holds zero bytes"),
        (b"id,snr\n" + b"u" * 2_000_000, "line 2: has more than 1048576 characters"),
        (b"id,caf\xe9\nu0,5\n", "lacks the column snr"),
        ("id,snr\nu0,5\n".encode("utf-16")[:-1], "is not UTF-8 text"),
    ],
)
def test_what_is_no_table_is_named_with_its_line(tmp_path, content, problem):
    with pytest.raises(FileError, match=problem):
        rows(tmp_path, content)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("u0\n", "line 2, column 'snr': is missing, the row has 1 cells instead of 2"),
        ("u0,\n", "line 2, column 'snr': is empty"),
        ("u0,caf\udce9\n", "line 2, column 'snr': is not UTF-8 text"),
    ],
)
def test_a_cell_that_is_not_there_is_named_with_line_and_column(tmp_path, content, problem):
    (row,) = rows(tmp_path, (HEAD + content).encode(errors="surrogateescape"))
    with pytest.raises(FileError, match=problem):
        row.text("snr")


@pytest.mark.parametrize("cell", ["nan", "inf", "-inf", "1e400", "x", "101", '"2,5"'])
def test_a_number_is_finite_and_within_its_range(tmp_path, cell):
    (row,) = rows(tmp_path, f"{HEAD}u0,{cell}\n")
    with pytest.raises(FileError, match="line 2, column 'snr': '.*' is no number from -100 to 100"):
        row.number("snr", -100, 100)


def test_an_empty_number_is_its_default(tmp_path):
    (row,) = rows(tmp_path, HEAD + "u0,\n")
    assert row.number("snr", 0, 1) is None
    assert row.number("snr", 0, 1, 0.5) == 0.5


AWKWARD = [
    "a\rb",
    " a",
    "a;b",
    "=1+1",
    "@x",
    "-x",
    "+x",
    "'=x",
    "''@",
    "'x",
    "-5",
    "a,b",
    'a"b',
    "a\nb",
    "é",
    "caf\udce9",
]


def test_what_is_written_as_a_table_is_read_again(tmp_path):
    files.write_table(tmp_path / "t.csv", ("id", "n"), [(text, 1) for text in AWKWARD])
    assert [row.path("id") for row in files.read_table(tmp_path / "t.csv", ("id",))] == AWKWARD


def test_no_cell_of_a_table_is_a_formula_for_a_spreadsheet():
    text = files.table_text(("id",), [{"id": "=HYPERLINK(1)"}, {"id": "-5"}, {}])
    assert text == 'id\n\'=HYPERLINK(1)\n-5\n""\n'


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is not JSON"),
        (b'{"a": 1', "is not JSON .* at line 1, column 8"),
        (b"[" * 100_000, "is not usable as JSON"),
        (b"1" * 5000, "is not usable as JSON"),
        (b"[1]", "should hold an object"),
        (b'{"a": "\xe9"}', "line 1: is not UTF-8"),
    ],
)
def test_what_is_no_json_is_one_sentence(tmp_path, content, problem):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(FileError, match=problem):
        files.read_json(tmp_path / "a.json", dict)


def test_json_is_read_again(tmp_path):
    files.write_json(tmp_path / "a.json", {"a": [1, "é"]})
    assert files.read_json(tmp_path / "a.json") == {"a": [1, "é"]}


def test_a_text_that_is_too_large_is_refused(tmp_path):
    (tmp_path / "a").write_text("x\n" * 100)
    with pytest.raises(FileError, match="more than 100 characters"):
        files.read_text(tmp_path / "a", most=100)


def test_a_folder_and_a_missing_file_are_not_read(tmp_path):
    for path in (tmp_path, tmp_path / "absent", tmp_path / "a\0b"):
        with pytest.raises(FileError, match="cannot be read"):
            files.read_text(path)


# Names

BAD_NAMES = [
    *("", " ", ".", "..", "../x", "/x", "a/b", "a\\b", "C:x", "a\0b", "a\nb", ".x", "~x", " x", "x "),
    *("con", "NUL.x", "x" * 201, "caf\udce9", "a\ud800"),
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_cannot_be_a_file_is_refused_and_mended(name):
    assert files.name_problem(name)
    assert files.name_problem(files.file_name(name)) == ""


@pytest.mark.parametrize(
    "name", ["u0", "p232_001", "cafe_-2.5dB", "日本　語", "a b", "x" * 200, "(1)+é", "👩‍💻"]
)
def test_a_good_name_stays_as_it_is(name):
    assert files.name_problem(name) == ""
    assert files.file_name(name) == name


def test_long_names_that_begin_alike_stay_different():
    assert files.file_name("x" * 250 + "a") != files.file_name("x" * 250 + "b")


def test_what_is_shown_has_no_control_characters():
    assert files.printable("a\nb\x1b[0m caf\udce9 é \ud800") == r"a\nb\x1b[0m caf\xe9 é \ud800"


# Listing


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def listed(folder):
    return files.list_files(folder, lambda name: name.endswith(".wav"))


def test_linked_folders_are_listed_and_loops_are_cut(tmp_path):
    touch(
        tmp_path / "c/a.wav",
        tmp_path / "other/deep/b.wav",
        tmp_path / "other/back/x.wav",
        tmp_path / "c/t.txt",
    )
    (tmp_path / "c/more").symlink_to(tmp_path / "other")
    (tmp_path / "c/self").symlink_to(".")
    (tmp_path / "c/up").symlink_to("..")
    (tmp_path / "other/deep/round").symlink_to(tmp_path / "c")
    (tmp_path / "other/back/loop").symlink_to(tmp_path / "other/deep")
    found = listed(tmp_path / "c")
    assert list(found.files) == ["a.wav", "more/back/loop/b.wav", "more/back/x.wav", "more/deep/b.wav"]
    assert found.problems == {}


def test_what_cannot_be_listed_is_named(tmp_path):
    touch(tmp_path / "a.wav", tmp_path / ".hidden.wav")
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "v1.0").symlink_to("nowhere")
    (tmp_path / "note.txt").symlink_to("nowhere")
    (tmp_path / "b.wav").symlink_to("nowhere")
    (tmp_path / "self").symlink_to("self")
    os.mkfifo(tmp_path / "pipe.wav")
    found = listed(tmp_path)
    assert list(found.files) == ["a.wav", "b.wav"]
    assert {path.name for path in found.problems} == {"gone", "v1.0", "self", "pipe.wav"}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser reads everything")
def test_an_unreadable_folder_is_named(tmp_path):
    touch(tmp_path / "closed" / "a.wav")
    (tmp_path / "closed").chmod(0)
    assert list(listed(tmp_path).problems) == [tmp_path / "closed"]


def test_a_folder_that_is_none_is_refused(tmp_path):
    touch(tmp_path / "file")
    with pytest.raises(FileError, match="no such folder"):
        listed(tmp_path / "absent")
    with pytest.raises(FileError, match="is a file, not a folder"):
        listed(tmp_path / "file")


def test_links_that_multiply_without_end_are_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_FOLDERS", 50)
    for name in "abcdef":
        (tmp_path / name).mkdir()
    for name in "abcdef":
        for other in set("abcdef") - {name}:
            (tmp_path / name / other).symlink_to(tmp_path / other)
    with pytest.raises(FileError, match="more than 50 folders"):
        listed(tmp_path)
