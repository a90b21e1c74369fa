import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile

from keras_segan import page
from keras_segan.cli import run as run_command
from keras_segan.data.manifest import Manifest, Utterance
from keras_segan.errors import DataError

TABLE = """# A title with <b>

Authors: Paper.
Data: test.

NOT COMPARABLE with the published numbers:
- epochs = 3 instead of 600

| system |
|--------|

Notes:
- a file was left out
"""


class Halved:
    """Stands for a model."""

    def enhance(self, waveform):
        return 0.5 * waveform


@pytest.fixture
def run_folder(tmp_path):
    pytest.importorskip("matplotlib")
    folder = tmp_path / "run"
    (folder / "report").mkdir(parents=True)
    rng = np.random.default_rng(0)
    utterances, scores = [], []
    for number in range(5):
        for kind in ("clean", "noisy"):
            soundfile.write(tmp_path / f"{kind}{number}.wav", rng.normal(0, 0.1, 8000), 16000)
        files = (tmp_path / f"{kind}{number}.wav" for kind in ("clean", "noisy"))
        utterances.append(Utterance(f"u{number}", *files, "test", "p232", "bus", 5.0))
    Manifest(tuple(utterances), "folder").write(folder / "manifest.csv")
    for system, gain in (("noisy", 0.0), ("last", 0.1)):
        scores += [f"{system},u{number},{1.5 + gain * number},{0.9 - gain}," for number in range(5)]
    (folder / "scores.csv").write_text("system,id,pesq-wb-lqo,stoi,failure\n" + "\n".join(scores) + "\n")
    row = {"metric": "PESQ", "definition": "pesq-wb-lqo", "interval": [1.4, 1.6], "count": 5}
    rows = [
        {**row, "system": "noisy", "published": 1.97, "reproduced": 1.5},
        {**row, "system": "last", "published": None, "reproduced": 1.7},
        {**row, "system": "SEGAN", "published": 2.16, "reproduced": None, "interval": None, "count": 0},
        {
            **row,
            "system": "last",
            "metric": "STOI",
            "definition": "stoi",
            "published": None,
            "reproduced": 0.8,
        },
    ]
    (folder / "scores.json").write_text(json.dumps(rows))
    (folder / "config.json").write_text(
        json.dumps({"paper": "metricgan", "metric": "pesq", "pesq": "pesq-wb-lqo"})
    )
    (folder / "log.csv").write_text("epoch,g_loss\n1,0.5\n2,0.25\n")
    (folder / "table.md").write_text(TABLE)
    return folder


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


def test_the_page_holds_everything(run_folder, tmp_path):
    assert page.write(run_folder, tmp_path / "page.html", lambda path: Halved()) == []
    text = (tmp_path / "page.html").read_text()
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
        "SEGAN",
    ):
        assert words in text


def test_best_median_and_worst_are_by_change_of_the_target(run_folder):
    run = page.RunFolder.read(run_folder)
    assert run.definitions == ["pesq-wb-lqo", "stoi"]
    pairs = page.chosen(page.comparisons(run))
    assert {title: pair.id for title, pair in pairs.items()} == {"Best": "u4", "Median": "u2", "Worst": "u0"}
    assert list(page.chosen(page.comparisons(run)[:1])) == ["Best"]


def test_the_sound_is_the_utterances(run_folder, tmp_path):
    page.write(run_folder, tmp_path / "page.html", lambda path: Halved())
    players = re.findall(r"data:audio/flac;base64,([\w+/=]+)", (tmp_path / "page.html").read_text())
    noisy, enhanced = (soundfile.read(io.BytesIO(base64.b64decode(sound)))[0] for sound in players[:2])
    np.testing.assert_allclose(noisy, soundfile.read(tmp_path / "noisy4.wav")[0], atol=1e-4)
    np.testing.assert_allclose(enhanced, noisy / 2, atol=1e-4)


def test_a_missing_file_leaves_out_its_sound_only(run_folder, tmp_path):
    (tmp_path / "noisy2.wav").unlink()
    notes = page.write(run_folder, tmp_path / "page.html", lambda path: Halved())
    assert len(notes) == 1
    assert "noisy2.wav" in notes[0]
    assert (tmp_path / "page.html").read_text().count("<audio") == 6


def test_unfinished_runs_are_named(run_folder, tmp_path, capsys):
    with pytest.raises(DataError, match="holds no run"):
        page.RunFolder.read(tmp_path)
    (run_folder / "scores.json").unlink()
    assert run_command(["report", str(run_folder)]) == 1
    assert "--resume" in capsys.readouterr().err
