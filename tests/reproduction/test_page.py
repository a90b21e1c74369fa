import base64
import dataclasses
import io
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile

from keras_segan.cli import run as run_command
from keras_segan.errors import KsegError
from keras_segan.reproduction import page, showcase, stored
from keras_segan.reproduction.tables import Claim, Row

pytest.importorskip("matplotlib")
RATE = 8000
IDS = [f"u{number}" for number in range(5)]
SCORES = {"noisy": [1.5] * 5, "last": [1.5 + 0.1 * number for number in range(5)]}


def waveform(name, kind):
    seed = IDS.index(name) * 10 + showcase.SOUNDS.index(kind)
    return np.random.default_rng(seed).normal(0, 0.1, RATE).astype(np.float32)


def content(**changes):
    pesq, stoi = ("PESQ", "pesq-wb-lqo"), ("STOI", "stoi")
    rows = [
        Row("noisy", *pesq, 1.97, 1.5, (1.4, 1.6), 5),
        Row("last", *pesq, 2.49, 1.7, (1.5, 1.9), 5, grade="secondary"),
        Row("SEGAN", *pesq, 2.16, None, None, 0),
        Row("last", *stoi, None, 0.8, None, 5, (None, 0.02)),
    ]
    claims = [
        Claim("last", "noisy", *pesq, 0.5, 0.2, (0.1, 0.3), 5, "holds"),
        Claim("GAN", "last", *stoi),
    ]
    return {
        "format": 2,
        "outcome": "enhancement",
        "recipe": "toy",
        "title": "A title with <b>",
        "paper": {"authors": "A. Author", "title": "A paper", "venue": "ICASSP", "url": "", "metrics": []},
        "data": {"corpus": "mini", "title": "mini", "counts": "5 test utterances", "split": "test"},
        "variant": "mini",
        "choice": {"metric": "pesq"},
        "length": "3 epochs",
        "seed": 1,
        "backend": "tensorflow",
        "commit": "abc",
        "details": {"target": "pesq-wb-lqo", "sample_rate": RATE},
        "facts": [],
        "reasons": ["epochs = 3 instead of 600"],
        "rows": [dataclasses.asdict(row) for row in rows],
        "claims": [dataclasses.asdict(claim) for claim in claims],
        "notes": ["a file was left out"],
        **changes,
    }


@pytest.fixture
def run_folder(tmp_path):
    folder = tmp_path / "run"
    (folder / "report").mkdir(parents=True)
    lines = [
        f"{system},{name},p232,bus,5,{values[number]},{0.9},"
        for system, values in SCORES.items()
        for number, name in enumerate(IDS)
    ]
    head = "system,id,speaker,noise,snr,pesq-wb-lqo,stoi,failure"
    (folder / "scores.csv").write_text("\n".join([head, *lines]) + "\n")
    (folder / "result.json").write_text(json.dumps(content()))
    (folder / "config.json").write_text(json.dumps({"format": 2, "paper": "toy", "levels": [0, 5]}))
    (folder / "env.json").write_text(json.dumps({"keras": "3"}))
    (folder / "log.csv").write_text("epoch,g_loss\n1,0.5\n2,0.25\n")
    for name in ("u4", "u2", "u0"):
        showcase.write(folder, name, {kind: waveform(name, kind) for kind in showcase.SOUNDS}, RATE)
    return folder


@pytest.fixture
def bare_folder(run_folder):
    """A run of one utterance without sounds: a page of it has no pictures and is made fast."""
    shutil.rmtree(run_folder / "report")
    (run_folder / "scores.csv").write_text("system,id,stoi\nnoisy,a,0.5\nlast,a,0.6\n")
    return run_folder


def written(folder):
    """Returns the page, and what could not be shown."""
    out = folder / "page.html"
    notes = page.write(folder, out)
    return out.read_text(encoding="utf-8"), notes


def page_or_error(folder):
    """Returns the page and the error, one of them empty."""
    try:
        return page.document(stored.read(folder), []), ""
    except KsegError as error:
        return "", str(error)


class Tags(HTMLParser):
    """Collects tags and checks that they are closed."""

    VOID = {"meta", "img", "br"}

    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_holds_everything_and_needs_nothing_else(run_folder):
    text, notes = written(run_folder)
    assert notes == []
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    sources = [attributes["src"] for _, attributes in tags.seen if "src" in attributes]
    assert all(source.startswith("data:") for source in sources)
    assert sum(source.startswith("data:audio/flac") for source in sources) == 9
    assert "http" not in text
    for words in (
        "A title with &lt;b&gt;",
        "epochs = 3 instead of 600",
        "a file was left out",
        "1.400 – 1.600",
        "0.800 ± 0.020",
        "SEGAN",
        "paper 2.49 (secondary)",
        "last better than noisy",
        '<td class="holds">holds</td>',
        '<td class="not-measured">not measured</td>',
        "Variant mini, metric pesq, 3 epochs, seed 1, backend tensorflow, commit abc.",
    ):
        assert words in text


def test_best_median_and_worst_are_by_change_of_the_target(run_folder):
    text, _ = written(run_folder)
    shown = re.findall(r"<h3>(\w+) <small>(\w+), speaker p232, bus, 5 dB", text)
    assert shown == [("Best", "u4"), ("Median", "u2"), ("Worst", "u0")]


def test_the_sound_is_what_the_run_wrote_at_its_rate(run_folder):
    players = re.findall(r"data:audio/flac;base64,([\w+/=]+)", written(run_folder)[0])
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(players[1])))
    assert rate == RATE
    np.testing.assert_allclose(samples, waveform("u4", "enhanced"), atol=1e-4)


def test_a_missing_or_broken_sound_leaves_out_that_example_only(run_folder):
    showcase.files(run_folder, "u2")["clean"].unlink()
    showcase.files(run_folder, "u0")["clean"].write_bytes(b"fLaC no sound")
    text, notes = written(run_folder)
    assert text.count("<audio") == 3
    assert len(notes) == 2


def test_pictures_of_the_report_are_shown_and_other_files_of_that_name_are_not(run_folder, tmp_path):
    from keras_segan.reproduction import plots

    plots.learning_curves([{"epoch": 1, "g_loss": 0.5}], run_folder / "report", "x")
    secret = tmp_path / "secret"
    secret.write_text("password")
    (run_folder / "report" / "figure.png").symlink_to(secret)
    text, notes = written(run_folder)
    assert "<figcaption>loss</figcaption>" in text
    assert base64.b64encode(b"password").decode() not in text
    assert len(notes) == 1
    assert "figure.png" in notes[0]


def test_a_prediction_shows_what_was_predicted_worst(run_folder):
    rows = [Row("net", "LCC", "lcc", None, 0.9, (0.8, 0.95), 5)]
    changes = {"outcome": "prediction", "rows": [dataclasses.asdict(row) for row in rows], "claims": []}
    (run_folder / "result.json").write_text(json.dumps(content(**changes)))
    lines = [f"net,{name},p,bus,,2.0,{2 + 0.1 * number}," for number, name in enumerate(IDS)]
    head = "system,id,speaker,noise,snr,true,predicted,failure"
    (run_folder / "scores.csv").write_text("\n".join([head, *lines]))
    text, _ = written(run_folder)
    assert "Predicted worst by net, of 5 utterances." in text
    assert text.index("<td>u4</td>") < text.index("<td>u3</td>")
    assert "+0.400" in text


@pytest.mark.parametrize("outcome", ["listening", "features"])
def test_every_outcome_has_a_page(run_folder, outcome):
    (run_folder / "result.json").write_text(json.dumps(content(outcome=outcome, details={})))
    assert "Best" in written(run_folder)[0]


def test_a_run_of_which_nothing_could_be_scored_has_a_page(run_folder):
    (run_folder / "result.json").write_text(json.dumps(content(rows=[], claims=[])))
    (run_folder / "scores.csv").write_text("system,id,failure\nnoisy,a,broken\nlast,a,broken\n")
    (run_folder / "log.csv").write_text("")
    assert "A title with" in written(run_folder)[0]


def test_unfinished_runs_and_other_folders_are_named(run_folder, tmp_path, capsys):
    assert run_command(["report", str(tmp_path)]) == 2
    assert "holds no run" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()
    (run_folder / "result.json").unlink()
    assert run_command(["report", str(run_folder)]) == 1
    assert "--resume" in capsys.readouterr().err
    (run_folder / "config.json").write_text('{"paper": "metricgan"}')
    assert run_command(["report", str(run_folder)]) == 1
    assert "another version" in capsys.readouterr().err


def test_a_definition_in_a_run_folder_is_never_imported(run_folder, monkeypatch):
    (run_folder / "evil.py").write_text("open('ran', 'w')\ndef f(c, p, r): return 1.0\n")
    monkeypatch.chdir(run_folder)
    monkeypatch.syspath_prepend(str(run_folder))
    spec = "evil:f@0..1"
    text = json.dumps(content(details={"target": spec})).replace("pesq-wb-lqo", spec)
    (run_folder / "result.json").write_text(text)
    (run_folder / "scores.csv").write_text(
        (run_folder / "scores.csv").read_text().replace("pesq-wb-lqo", spec)
    )
    assert spec in written(run_folder)[0]
    assert not (run_folder / "ran").exists()


def test_markup_in_a_run_folder_is_text(run_folder):
    evil = "<script>alert(1)</script>"
    text = json.dumps(content(notes=[evil], title=evil, length=evil)).replace('"last"', json.dumps(evil))
    (run_folder / "result.json").write_text(text)
    for name in ("scores.csv", "log.csv"):
        changed = (run_folder / name).read_text().replace("last", evil).replace("g_loss", evil)
        (run_folder / name).write_text(changed)
    (run_folder / "config.json").write_text(json.dumps({"format": 2, evil: [evil]}))
    assert "<script" not in written(run_folder)[0]


DAMAGES = [
    b"",
    b"{",
    b"null",
    b"[]",
    b"3",
    b'"text"',
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b"{}",
    b"1e999",
    b"\0",
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: repr(damage[:8]))
@pytest.mark.parametrize("name", ["result.json", "config.json", "env.json", "scores.csv", "log.csv"])
def test_a_damaged_file_is_one_sentence(bare_folder, name, damage, capsys):
    (bare_folder / name).write_bytes(damage)
    harmless = name == "log.csv" or (name == "env.json" and damage == b"{}")
    code = run_command(["report", str(bare_folder)])
    said = capsys.readouterr().err
    assert "Traceback" not in said
    assert code == 1 or (harmless and code == 0)
    if code:
        assert len(said.strip().splitlines()) == 1
        assert str(bare_folder) in said


@pytest.mark.parametrize("value", [None, True, 3, -1.5, "text", [], {}, [[]], 10**400, [1, 2, 3]])
def test_any_value_of_another_type_is_one_sentence_with_its_place(bare_folder, value):
    path = bare_folder / "result.json"
    places = [(key,) for key in stored.CONTENT]
    places += [("rows", 1, key) for key in stored.ROW] + [("claims", 0, key) for key in stored.CLAIM]
    places += [("paper", "title"), ("data", "counts"), ("details", "target")]
    for place in places:
        whole = content()
        inner = whole
        for step in place[:-1]:
            inner = inner[step]
        inner[place[-1]] = value
        path.write_text(json.dumps(whole))
        text, error = page_or_error(bare_folder)
        assert text.startswith("<!doctype html>") or (str(path) in error and place[-1] in error)


def test_a_missing_key_is_named(run_folder):
    for key in stored.CONTENT:
        whole = content()
        del whole[key]
        (run_folder / "result.json").write_text(json.dumps(whole))
        with pytest.raises(KsegError, match=f"'{key}' is missing"):
            stored.read(run_folder)
    whole = content()
    del whole["rows"][2]["count"]
    (run_folder / "result.json").write_text(json.dumps(whole))
    with pytest.raises(KsegError, match=re.escape("'rows[2].count' is missing")):
        stored.read(run_folder)


@pytest.mark.parametrize(
    "table",
    [
        "system,id\nnoisy\n",
        "id\nu1\n",
        "system,id,pesq-wb-lqo\n",
        "system,id,pesq-wb-lqo\nnoisy,u0,1,2,3\n",
        "system,id,pesq-wb-lqo\nnoisy,u0,lots\nlast,u0,nan\n",
        "system,id,pesq-wb-lqo\nnoisy,u0,1\nnoisy,u0,2\n",
        "system,id,pesq-wb-lqo\nlast,u0,1e400\nnoisy,u0,1\n",
        "\ufeffsystem;id;pesq-wb-lqo\nlast;../../x;1\nnoisy;../../x;2\n",
        '"',
    ],
)
def test_odd_scores_are_shown_or_named(bare_folder, table):
    (bare_folder / "scores.csv").write_text(table, encoding="utf-8")
    text, error = page_or_error(bare_folder)
    assert "A title with" in text or "scores.csv" in error
