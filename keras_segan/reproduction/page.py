"""One self-contained HTML page of a run: tables, claims, curves, and examples with spectrograms and sound.

It is made from `result.json`, `log.csv`, `scores.csv` and `config.json`, and shows the pictures and sounds of
`report/`. Nothing of the run is executed, and Keras is not needed.
"""

import base64
import importlib.resources
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import markupsafe
import numpy as np

from keras_segan import audio, files
from keras_segan.errors import AudioError, ModelError
from keras_segan.reproduction import plots, showcase, stored, tables
from keras_segan.reproduction.stored import StoredRun
from keras_segan.reproduction.tables import Row

LOG_ROWS = 30  # of the log that are shown
WORST = 5  # predictions that are shown
LARGEST_FILE = 30_000_000  # bytes of a picture or sound that is put into the page
LONGEST_SOUND = 600  # seconds
PNG = b"\x89PNG\r\n\x1a\n"
NOISY = "noisy"
OF_UTTERANCES = ("spectrogram-", "scatter-")  # how names of pictures of utterances begin


@dataclass(frozen=True)
class Measured:
    """A measure of the utterances, before and after, or true and predicted.

    Attributes:
        label: How the measure is called.
        definition: Its definition id.
        system: The system that is looked at.
        higher_is_better: Whether large values are good.
        pairs: Both values by utterance.
    """

    label: str
    definition: str
    system: str
    higher_is_better: bool
    pairs: Mapping[str, tuple[float, float]]

    def changes(self) -> dict[str, float]:
        """Returns second minus first value by utterance."""
        return {name: after - before for name, (before, after) in self.pairs.items()}


def write(run_folder: Path | str, out: Path | str) -> list[str]:
    """Writes the page.

    Args:
        run_folder: Folder of a finished run.
        out: The HTML file.

    Returns:
        What could not be shown, one sentence each.

    Raises:
        DataError: If the folder holds no finished run, or a file of it is damaged.
        ModelError: If matplotlib is not installed.
    """
    if not plots.is_available():
        raise ModelError("The page needs matplotlib; pip install keras_segan[plot].")
    notes: list[str] = []
    files.write_text(out, document(stored.read(run_folder), notes))
    return notes


def document(run: StoredRun, notes: list[str]) -> str:
    """Returns the HTML page.

    Args:
        run: The run.
        notes: Gets what could not be shown, one sentence each.
    """
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    package = importlib.resources.files("keras_segan.reproduction")
    template = environment.from_string((package / "page.html").read_text(encoding="utf-8"))
    css = (package / "page.css").read_text(encoding="utf-8")
    content = run.content
    return template.render(
        css=markupsafe.Markup(css),  # ours, not the run's
        title=content["title"],
        facts=tables.facts(content),
        reasons=content["reasons"],
        comparable=tables.COMPARABLE,
        results=_results(run.rows),
        claims=[dict(zip(tables.CLAIM_HEADER, tables.claim_cells(c), strict=True)) for c in run.claims],
        claim_header=tables.CLAIM_HEADER,
        flagged=tables.flag(run.rows, run.claims),
        notes=content["notes"],
        utterances=_utterances(run, notes),
        pictures=_pictures(run.folder, notes),
        claims_caption=tables.claims_caption(content["reasons"]),
        log=_log(run.log),
        settings=_settings(run),
    )


def _results(rows: Sequence[Row]) -> dict[str, Any]:
    """Arranges the table: a line for each system, a column for each measure."""
    measures = {row.definition: row.metric for row in rows}
    lines: dict[str, dict[str, Row]] = {}
    for row in rows:
        lines.setdefault(row.system, {})[row.definition] = row
    systems = [
        {
            "name": name,
            "is_quoted": all(row.reproduced is None for row in line.values()),
            "cells": [_cell(line[definition]) if definition in line else None for definition in measures],
        }
        for name, line in lines.items()
    ]
    systems.sort(key=lambda system: bool(system["is_quoted"]))
    count = max((row.count for row in rows), default=0)
    return {"measures": list(measures.items()), "systems": systems, "count": count}


def _cell(row: Row) -> dict[str, str]:
    deviation = "" if row.deviations[1] is None else f" ± {row.deviations[1]:.3f}"
    return {
        "ours": "" if row.reproduced is None else f"{row.reproduced:.3f}{deviation}",
        "interval": "" if row.interval is None else f"{row.interval[0]:.3f} – {row.interval[1]:.3f}",
        "paper": "" if row.published is None else f"{row.published:.2f}",
        "grade": row.grade if row.is_flagged else "",
    }


def _utterances(run: StoredRun, notes: list[str]) -> dict[str, Any]:
    """Returns what is shown of single utterances: a sentence, a diagram, examples, a table."""
    nothing: dict[str, Any] = {"order": "", "diagram": None, "worst": None, "examples": []}
    if run.content["outcome"] == "prediction":
        return {**nothing, **_predictions(run)}
    measured = _before_and_after(run)
    if measured is None:
        return nothing
    chosen = showcase.chosen(measured.changes(), measured.higher_is_better)
    return {
        **nothing,
        "order": f"{', '.join(chosen)} of {len(measured.pairs)} by the change of {measured.label} from noisy "
        f"to {measured.system}.",
        "diagram": _change_diagram(measured, chosen),
        "examples": [_example(title, name, measured, run, notes) for title, name in chosen.items()],
    }


def _before_and_after(run: StoredRun) -> Measured | None:
    """Returns the ranking measure of the noisy files and the first system, `None` if it was not scored."""
    trained = [system for system in run.systems if system != NOISY]
    columns = set().union(*run.scores)
    known = {row.definition: row for row in run.rows if row.definition.lower() in columns}
    target = run.detail("target", str, "")
    row = known.get(target) or next(iter(known.values()), None)
    if row is None or not trained:
        return None
    noisy, enhanced = (_column(run.scores, system, row.definition) for system in (NOISY, trained[0]))
    pairs = {name: (noisy[name], value) for name, value in enhanced.items() if name in noisy}
    if not pairs:
        return None
    return Measured(row.metric, row.definition, trained[0], row.higher_is_better, pairs)


def _column(scores: Iterable[Mapping[str, str]], system: str, name: str) -> dict[str, float]:
    """Returns the finite values of a column by utterance."""
    lines = (line for line in scores if line["system"] == system)
    found = {line["id"]: _number(line.get(name.lower(), "")) for line in lines}
    return {key: value for key, value in found.items() if value is not None}


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and abs(value) < stored.LARGEST else None


def _change_diagram(measured: Measured, chosen: Mapping[str, str]) -> dict[str, str] | None:
    if len(measured.pairs) < 2:
        return None
    before, after = np.array(list(measured.pairs.values())).T
    label = measured.label
    labels = (f"{label} of the noisy file", f"{label} of the enhanced file")
    figure = plots.scatter({"all": (before, after)}, labels, "unchanged")
    for title, name in chosen.items():
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 1}
        offset = {"xytext": (9, -9), "textcoords": "offset points"}
        figure.axes[0].annotate(title, measured.pairs[name], fontsize=9, bbox=box, **offset)
    better = float(np.mean(after > before if measured.higher_is_better else after < before))
    return {
        "source": _drawn(figure),
        "caption": f"{label} ({measured.definition}) of {len(before)} utterances before and after; "
        f"{better:.0%} are better after.",
    }


def _predictions(run: StoredRun) -> dict[str, Any]:
    """Returns the utterances whose score the first system predicted worst."""
    system = run.systems[0]
    true, predicted = (_column(run.scores, system, name) for name in ("true", "predicted"))
    errors = {name: predicted[name] - true[name] for name in predicted if name in true}
    worst = sorted(errors, key=lambda name: -abs(errors[name]))[:WORST]
    rows = [[name, f"{true[name]:.3f}", f"{predicted[name]:.3f}", f"{errors[name]:+.3f}"] for name in worst]
    head = ["utterance", "true", "predicted", "difference"]
    return {
        "order": f"Predicted worst by {system}, of {len(errors)} utterances.",
        "worst": {"head": head, "rows": rows},
    }


def _example(title: str, name: str, measured: Measured, run: StoredRun, notes: list[str]) -> dict[str, Any]:
    """Returns an utterance with its scores, spectrograms and sounds."""
    lines = {line["system"]: line for line in run.scores if line["id"] == name}
    shown = [row for row in run.rows if row.system == measured.system]
    first = next(iter(lines.values()))
    level = _number(first.get("snr", ""))
    about = [name, f"speaker {first['speaker']}" if first.get("speaker") else "", first.get("noise", "")]
    about += [f"{level:g} dB" if level is not None else ""]
    rows = [
        [system, *(_short(lines[system].get(row.definition.lower(), ""), 3) for row in shown)]
        for system in (NOISY, measured.system)
    ]
    return {
        "title": title,
        "about": ", ".join(fact for fact in about if fact),
        "head": ["", *(row.metric for row in shown)],
        "rows": rows,
        "panels": _panels(run.folder, name, notes),
    }


def _panels(folder: Path, name: str, notes: list[str]) -> list[dict[str, str]]:
    """Returns spectrogram and sound of the noisy, the enhanced and the clean file."""
    sounds = showcase.files(folder, name)
    if not any(path.is_file() for path in sounds.values()):
        return []
    try:
        contents = {kind: _content(path) for kind, path in sounds.items()}
        waveforms = {kind: _mono(path) for kind, path in sounds.items()}
    except (AudioError, OSError) as error:
        notes.append(f"{files.printable(name)}: no sound ({error})")
        return []
    levels = {kind: plots.level(*sound) for kind, sound in waveforms.items()}
    loudest = max(float(level.max()) for level in levels.values())
    panels = []
    for kind, level in levels.items():
        figure = plots.new_figure(4.2, 2.5)
        axes = figure.subplots()
        plots.draw_level(axes, level, waveforms[kind][1], loudest)
        axes.set(xlabel="s", ylabel="kHz")
        panels.append({"name": kind, "picture": _drawn(figure), "sound": _data("audio/flac", contents[kind])})
    return panels


def _mono(path: Path) -> tuple[np.ndarray, int]:
    if audio.seconds(path) > LONGEST_SOUND:
        raise AudioError(f"{files.printable(path)}: too long for a page.")
    waveform, sample_rate = audio.read(path)
    if waveform.ndim != 1 or not 1000 <= sample_rate <= 200_000:
        raise AudioError(f"{files.printable(path)}: not a sound that the run wrote.")
    return waveform, sample_rate


def _content(path: Path) -> bytes:
    if not path.is_file() or path.stat().st_size > LARGEST_FILE:
        raise AudioError(f"{files.printable(path)}: not a plain file, or too large for a page.")
    return path.read_bytes()


def _pictures(folder: Path, notes: list[str]) -> dict[str, list[dict[str, str]]]:
    """Returns the PNG files of the run's report: those of utterances and those of the training."""
    pictures: dict[str, list[dict[str, str]]] = {"utterances": [], "training": []}
    for path in sorted((folder / "report").glob("*.png")):
        try:
            content = _content(path)
        except (AudioError, OSError) as error:
            notes.append(f"{files.printable(path)}: not shown ({error})")
            continue
        if content.startswith(PNG):
            kind = "utterances" if path.name.startswith(OF_UTTERANCES) else "training"
            caption = files.printable(path.stem)
            pictures[kind].append({"source": _data("image/png", content), "caption": caption})
        else:
            notes.append(f"{files.printable(path)}: not shown, this is no picture.")
    return pictures


def _drawn(figure: Any) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130, facecolor="white")
    return _data("image/png", buffer.getvalue())


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _log(log: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    if not log:
        return {}
    columns = list(log[0])
    which = f"the last {LOG_ROWS} of {len(log)} rows" if len(log) > LOG_ROWS else f"{len(log)} rows"
    rows = [[_short(row.get(name, "")) for name in columns] for row in log[-LOG_ROWS:]]
    return {"which": which, "head": columns, "rows": rows}


def _short(text: str, decimals: int | None = None) -> str:
    value = _number(text)
    if value is None:
        return text
    return f"{value:.5g}" if decimals is None else f"{value:.{decimals}f}"


def _settings(run: StoredRun) -> list[dict[str, Any]]:
    groups = {"Configuration": run.config, "Machine and versions": run.environment}
    return [
        {"title": title, "rows": [(stored.plain(name), stored.plain(facts[name])) for name in facts]}
        for title, facts in groups.items()
        if facts
    ]
