"""One self-contained HTML page of a run: tables, curves, spectrograms and sound of three utterances."""

import base64
import csv
import html
import io
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from keras_segan import audio, dsp, metrics
from keras_segan.data.manifest import Manifest, Utterance
from keras_segan.data.pipeline import UtteranceReader
from keras_segan.errors import DataError, KsegError, ModelError
from keras_segan.inference import WaveformEnhancer

PANELS = ("noisy", "enhanced", "clean")
RANGE = 75.0  # dB below the loudest point of the three that a spectrogram shows
HOP = 128  # samples between the columns of a spectrogram
LOG_ROWS = 30  # of the log that are shown


@dataclass(frozen=True)
class RunFolder:
    """What a run left behind.

    Attributes:
        folder: Where.
        settings: `config.json`.
        environment: `env.json`.
        log: Rows of `log.csv`.
        scores: Rows of `scores.csv`.
        table: Rows of `scores.json`.
        text: `table.md`.
    """

    folder: Path
    settings: dict
    environment: dict
    log: list[dict]
    scores: list[dict]
    table: list[dict]
    text: str

    @classmethod
    def read(cls, folder: Path | str) -> "RunFolder":
        """Reads a run folder.

        Args:
            folder: Of a run that `kseg reproduce` finished.

        Returns:
            Its content.

        Raises:
            DataError: If it is none, or not finished.
        """
        folder = Path(folder)
        if not (folder / "config.json").is_file():
            raise DataError(f"{folder}: holds no run; name the folder that kseg reproduce made.", exit_code=2)
        if not (folder / "scores.json").is_file():
            raise DataError(f"{folder}: this run is not finished; kseg reproduce --resume goes on with it.")

        def text(name: str) -> str:
            return (folder / name).read_text(encoding="utf-8") if (folder / name).is_file() else ""

        try:
            loaded = (json.loads(text(name) or "{}") for name in ("config.json", "env.json"))
            rows = (list(csv.DictReader(io.StringIO(text(name)))) for name in ("log.csv", "scores.csv"))
            return cls(folder, *loaded, *rows, json.loads(text("scores.json")), text("table.md"))
        except (OSError, ValueError) as error:
            raise DataError(f"{folder}: a file of this run is damaged ({error}).") from error

    @property
    def definitions(self) -> list[str]:
        """Definition ids of the scores, the target's first; PESQ's if there is no target."""
        found = list(dict.fromkeys(row["definition"] for row in self.table if row["reproduced"] is not None))
        wanted = self.settings.get("metric", "")
        aliases = {wanted, self.settings.get(wanted, "")}
        return sorted(found, key=lambda name: (name not in aliases, not name.startswith("pesq")))

    @property
    def system(self) -> str:
        """The first trained system, which `model.keras` holds."""
        systems = list(dict.fromkeys(row["system"] for row in self.scores))
        return next(name for name in systems if name != "noisy")


@dataclass(frozen=True)
class Comparison:
    """Scores of an utterance before and after.

    Attributes:
        id: Of the utterance.
        noisy: Scores of the noisy file by definition id.
        enhanced: Those of the enhanced one.
    """

    id: str
    noisy: dict[str, float]
    enhanced: dict[str, float]


def comparisons(run: RunFolder) -> list[Comparison]:
    """Pairs the scores of the first system with those of the noisy files.

    Args:
        run: The run.

    Returns:
        The utterances that were scored both ways, from the most to the least improved.
    """
    by_system: dict[str, dict[str, dict[str, float]]] = {}
    for row in run.scores:
        values = {name: float(row[name]) for name in run.definitions if row.get(name)}
        if len(values) == len(run.definitions):
            by_system.setdefault(row["system"], {})[row["id"]] = values
    noisy, enhanced = by_system.get("noisy", {}), by_system.get(run.system, {})
    pairs = [Comparison(name, noisy[name], enhanced[name]) for name in enhanced if name in noisy]
    target = run.definitions[0]
    sign = 1.0 if metrics.get(target).higher_is_better else -1.0
    return sorted(pairs, key=lambda pair: sign * (pair.noisy[target] - pair.enhanced[target]))


def chosen(pairs: list[Comparison]) -> dict[str, Comparison]:
    """Chooses what the page shows: the best, the median and the worst, as far as there are so many."""
    if not pairs:
        return {}
    places = {"Best": 0, "Median": len(pairs) // 2, "Worst": len(pairs) - 1}
    used: dict[int, str] = {}
    for title, place in places.items():
        used.setdefault(place, title)
    return {title: pairs[place] for place, title in used.items()}


def write(run_folder: Path | str, out: Path | str, load: Callable[[Path], WaveformEnhancer]) -> list[str]:
    """Writes the page.

    Args:
        run_folder: Of a finished run.
        out: The HTML file; its folder must exist.
        load: Loads `model.keras`, called if a file must be enhanced anew.

    Returns:
        What could not be shown, one sentence each.

    Raises:
        DataError: If the folder holds no finished run.
        ModelError: If matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise ModelError("The page needs matplotlib; pip install keras_segan[plot].") from error
    matplotlib.use("Agg")
    run, notes = RunFolder.read(run_folder), []
    out = Path(out)
    temporary = out.with_name(out.name + ".writing")
    temporary.write_text(_document(run, load, notes), encoding="utf-8")
    os.replace(temporary, out)
    return notes


def _document(run: RunFolder, load, notes: list[str]) -> str:
    title, facts, verdict, remarks = _paragraphs(run.text, run.folder.name)
    pairs = comparisons(run)
    sections = [
        f"<header><h1>{_escape(title)}</h1>{_lines(facts)}</header>",
        _verdict(verdict),
        _section("Results", _tables(run)),
        _section(
            "Utterances", _order(run, pairs) + _scatter(run, pairs) + _examples(run, pairs, load, notes)
        ),
        _section("Training", _curves(run) + _log(run)),
        _section("Settings", _settings(run)),
    ]
    if remarks:
        sections.insert(2, _section("Notes", _list(remarks)))
    return PAGE.format(title=_escape(title), body="\n".join(sections))


def _escape(text) -> str:
    return html.escape(str(text))


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>\n{content}\n</section>" if content else ""


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"<p>{_escape(line)}</p>" for line in lines)


def _list(items: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{_escape(item)}</li>' for item in items)}</ul>"


def _table(header: Iterable[str], rows: Iterable[Iterable[str]], kind: str = "") -> str:
    """Formats a table; cells are text, the first column names the row."""
    head = "".join(f"<th>{_escape(cell)}</th>" for cell in header)
    body = "".join(f"<tr>{''.join(f'<td>{_escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return (
        f'<div class="wide"><table class="{kind}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _paragraphs(text: str, default: str) -> tuple[str, list[str], list[str], list[str]]:
    """Takes `table.md` apart: title, facts, verdict and notes, a list of lines each."""
    blocks = [block.splitlines() for block in text.split("\n\n") if block.strip()]
    title = blocks[0][0].removeprefix("# ") if blocks else default
    facts = blocks[1] if len(blocks) > 1 else []
    verdict = blocks[2] if len(blocks) > 2 else []
    notes = [block[1:] for block in blocks if block[0].startswith("Notes")]
    return title, facts, verdict, [line.removeprefix("- ") for lines in notes for line in lines]


def _verdict(lines: list[str]) -> str:
    if not lines:
        return ""
    kind = "warning" if len(lines) > 1 else "fine"
    reasons = _list(line.removeprefix("- ") for line in lines[1:]) if len(lines) > 1 else ""
    return f'<aside class="{kind}"><p>{_escape(lines[0])}</p>{reasons}</aside>'


def _tables(run: RunFolder) -> str:
    """One line per system, one column per measure; the published number in brackets below ours."""
    measures = {row["definition"]: row["metric"] for row in run.table}
    lines: dict[str, dict[str, dict]] = {}
    for row in run.table:
        lines.setdefault(row["system"], {})[row["definition"]] = row
    ours = {
        name: line for name, line in lines.items() if any(r["reproduced"] is not None for r in line.values())
    }
    quoted = {name: line for name, line in lines.items() if name not in ours}
    head = "".join(
        f"<th>{_escape(label)}<small>{_escape(definition)}</small></th>"
        for definition, label in measures.items()
    )
    body = "".join(_result_line(name, line, measures) for name, line in ours.items())
    body += "".join(_result_line(name, line, measures, "quoted") for name, line in quoted.items())
    count = max((row["count"] for row in run.table), default=0)
    return (
        f'<div class="wide"><table class="scores"><thead><tr><th>system</th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
        f'<p class="caption">Mean over {count} utterances, its 95 % bootstrap interval, and what the paper'
        " states. Lines in grey are quoted from the paper only.</p>"
    )


def _result_line(name: str, line: dict[str, dict], measures: Iterable[str], kind: str = "") -> str:
    cells = "".join(f"<td>{_result_cell(line.get(definition))}</td>" for definition in measures)
    return f'<tr class="{kind}"><td>{_escape(name)}</td>{cells}</tr>'


def _result_cell(row: dict | None) -> str:
    if row is None:
        return ""
    parts = []
    if row["reproduced"] is not None:
        low, high = row["interval"]
        parts.append(f"<b>{row['reproduced']:.3f}</b><small>{low:.3f} – {high:.3f}</small>")
    if row["published"] is not None:
        parts.append(f"<small>paper {row['published']:.2f}</small>")
    return "".join(parts)


def _order(run: RunFolder, pairs: list[Comparison]) -> str:
    label = metrics.get(run.definitions[0]).label
    text = f"Best, median and worst of {len(pairs)} by the change of {label} from noisy to {run.system}."
    return f"<p>{_escape(text)}</p>" if pairs else ""


def _scatter(run: RunFolder, pairs: list[Comparison]) -> str:
    from matplotlib import pyplot

    if len(pairs) < 2:
        return ""
    target = run.definitions[0]
    label = metrics.get(target).label
    before, after = (
        np.array([getattr(pair, kind)[target] for pair in pairs]) for kind in ("noisy", "enhanced")
    )
    figure, axes = pyplot.subplots(figsize=(5.2, 4.2), layout="constrained")
    limits = [min(before.min(), after.min()), max(before.max(), after.max())]
    axes.plot(limits, limits, color="gray", linewidth=1, label="unchanged")
    axes.scatter(before, after, s=12, alpha=0.6, edgecolors="none")
    for title, pair in chosen(pairs).items():
        place = (pair.noisy[target], pair.enhanced[target])
        box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 1}
        axes.annotate(title, place, xytext=(9, -9), textcoords="offset points", fontsize=9, bbox=box)
        axes.scatter(*place, s=40, facecolors="none", edgecolors="black", linewidths=1)
    axes.set(xlabel=f"{label} of the noisy file", ylabel=f"{label} of the enhanced file")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    better = float(
        np.mean(after > before) if metrics.get(target).higher_is_better else np.mean(after < before)
    )
    return _figure(
        _png(figure),
        f"{label} ({target}) of {len(pairs)} utterances before and after; {better:.0%} are better after.",
        "medium",
    )


def _png(figure) -> str:
    from matplotlib import pyplot

    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=130, facecolor="white")
    pyplot.close(figure)
    return _data("image/png", buffer.getvalue())


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _figure(source: str, caption: str, kind: str = "") -> str:
    text = _escape(caption)
    return f'<figure class="{kind}"><img src="{source}" alt="{text}"><figcaption>{text}</figcaption></figure>'


def _examples(run: RunFolder, pairs: list[Comparison], load, notes: list[str]) -> str:
    utterances = _utterances(run, notes)
    reader = UtteranceReader(run.settings.get("int16_divisor", 32768.0))
    enhancer: list[WaveformEnhancer] = []

    def enhanced(noisy: np.ndarray) -> np.ndarray:
        if not enhancer:
            enhancer.append(load(run.folder / "model.keras"))
        return np.clip(enhancer[0].enhance(noisy), -1.0, 1.0)

    parts = []
    for title, pair in chosen(pairs).items():
        waveforms = {}
        try:
            utterance = utterances[pair.id]
            noisy = reader.noisy(utterance)
            waveforms = {"noisy": noisy, "enhanced": enhanced(noisy), "clean": reader.clean(utterance)}
        except KeyError:
            notes.append(f"{pair.id}: not in the run's manifest; no sound.")
        except (KsegError, OSError) as error:
            notes.append(f"{pair.id}: no sound ({error})")
        parts.append(_example(title, pair, utterances.get(pair.id), waveforms, run))
    return "".join(parts)


def _utterances(run: RunFolder, notes: list[str]) -> dict[str, Utterance]:
    try:
        return {u.id: u for u in Manifest.read(run.folder / "manifest.csv").utterances}
    except DataError as error:
        notes.append(str(error))
        return {}


def _example(
    title: str,
    pair: Comparison,
    utterance: Utterance | None,
    waveforms: dict[str, np.ndarray],
    run: RunFolder,
) -> str:
    facts = []
    if utterance is not None:
        facts = [f"speaker {utterance.speaker}" if utterance.speaker else "", utterance.noise]
        facts += [f"{utterance.snr:g} dB"] if utterance.snr is not None else []
    about = ", ".join([_escape(pair.id), *(_escape(fact) for fact in facts if fact)])
    header = ["", *(metrics.get(name).label for name in run.definitions)]
    rows = [
        [system, *(f"{scores[name]:.3f}" for name in run.definitions)]
        for system, scores in (("noisy", pair.noisy), (run.system, pair.enhanced))
    ]
    levels = {name: _level(waveform) for name, waveform in waveforms.items()}
    top = max((level.max() for level in levels.values()), default=0.0)
    loudest = max((np.abs(waveform).max() for waveform in waveforms.values()), default=0.0)
    panels = "".join(
        _panel(name, waveforms[name], loudest, levels[name], top) for name in PANELS if name in waveforms
    )
    return (
        f"<article><h3>{title} <small>{about}</small></h3>"
        f'<div class="panels">{panels}</div>{_table(header, rows, "numbers")}</article>'
    )


def _panel(name: str, waveform: np.ndarray, loudest: float, level: np.ndarray, top: float) -> str:
    sound = io.BytesIO()
    # One factor for the three of them, so that they can be compared by ear.
    soundfile.write(sound, waveform / max(loudest, 1.0), audio.SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    player = f'<audio controls preload="metadata" src="{_data("audio/flac", sound.getvalue())}"></audio>'
    return f'<div class="panel"><h4>{name}</h4>{_spectrogram(name, level, top)}{player}</div>'


def _level(waveform: np.ndarray) -> np.ndarray:
    """Short-time level in dB, `(bins, frames)`."""
    spectrum = dsp.stft(waveform, 512, HOP, "hann-periodic", "constant")
    return 20.0 * np.log10(np.maximum(np.abs(spectrum), 1e-6)).T


def _spectrogram(name: str, level: np.ndarray, top: float) -> str:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(4.2, 2.5), layout="constrained")
    seconds = level.shape[1] * HOP / audio.SAMPLE_RATE
    axes.imshow(
        level,
        origin="lower",
        aspect="auto",
        cmap="magma",
        vmin=top - RANGE,
        vmax=top,
        extent=(0, seconds, 0, audio.SAMPLE_RATE / 2000),
    )
    axes.set(xlabel="s", ylabel="kHz")
    return f'<img src="{_png(figure)}" alt="Spectrogram of the {name} file">'


def _curves(run: RunFolder) -> str:
    figures = [
        _figure(_data("image/png", path.read_bytes()), path.stem)
        for path in sorted((run.folder / "report").glob("*.png"))
    ]
    return f'<div class="figures">{"".join(figures)}</div>' if figures else ""


def _log(run: RunFolder) -> str:
    if not run.log:
        return ""
    columns = [name for name in run.log[0] if name is not None]
    shown = run.log[-LOG_ROWS:]
    rows = [[_short(row.get(name)) for name in columns] for row in shown]
    which = (
        f"the last {LOG_ROWS} of {len(run.log)} rows" if len(run.log) > len(shown) else f"{len(shown)} rows"
    )
    return f"<details><summary>Log ({which})</summary>{_table(columns, rows, 'numbers')}</details>"


def _short(value) -> str:
    try:
        return f"{float(value):.5g}"
    except (TypeError, ValueError):
        return value or ""


def _settings(run: RunFolder) -> str:
    parts = []
    for title, facts in (("Configuration", run.settings), ("Machine and versions", run.environment)):
        if facts:
            table = _table(("name", "value"), ((name, value) for name, value in facts.items()))
            parts.append(f"<details><summary>{title}</summary>{table}</details>")
    return "".join(parts)


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --text: #1c2128; --soft: #5d6673; --line: #d8dde4; --back: #fff;
  --card: #f6f7f9; --accent: #2458b8; --warning: #9a5b00; --fine: #1a7f4b; }}
@media (prefers-color-scheme: dark) {{ :root {{ --text: #e4e7eb; --soft: #9aa4b2; --line: #363d48;
  --back: #15181d; --card: #1d2229; --accent: #86aef5; --warning: #e0a84d; --fine: #5cc48c; }} }}
* {{ box-sizing: border-box; }}
body {{ margin: 0 auto; max-width: 1120px; padding: 1.5rem 1.25rem 4rem; background: var(--back);
  color: var(--text); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }}
h1 {{ font-size: 1.6rem; line-height: 1.25; margin: 0 0 .75rem; }}
h2 {{ font-size: 1.25rem; margin: 2.5rem 0 .75rem; padding-bottom: .3rem;
  border-bottom: 1px solid var(--line); }}
h3 {{ font-size: 1.05rem; margin: 0 0 .75rem; }}
h3 small {{ font-weight: 400; color: var(--soft); margin-left: .4rem; }}
h4 {{ font-size: .8rem; margin: 0 0 .25rem; color: var(--soft); font-weight: 600; }}
header p {{ margin: .2rem 0; color: var(--soft); }}
aside {{ margin: 1.25rem 0 0; padding: .75rem 1rem; border-left: 4px solid var(--fine);
  background: var(--card); }}
aside.warning {{ border-color: var(--warning); }}
aside p {{ margin: 0; font-weight: 600; }}
aside ul {{ margin: .4rem 0 0; padding-left: 1.2rem; }}
.wide {{ overflow-x: auto; overflow-wrap: normal; }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }}
th, td {{ padding: .4rem .75rem .4rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }}
th {{ font-weight: 600; white-space: nowrap; }}
td:first-child {{ white-space: nowrap; }}
.scores td, .numbers td {{ white-space: nowrap; }}
.numbers th:not(:first-child), .numbers td:not(:first-child) {{ text-align: right; padding-left: .75rem; }}
td small, th small {{ display: block; color: var(--soft); font-weight: 400; font-size: .8rem; }}
tr.quoted {{ color: var(--soft); }}
.caption, figcaption {{ color: var(--soft); font-size: .85rem; margin: .5rem 0 0; }}
figure {{ margin: 0; }}
figure.medium {{ max-width: 560px; margin-bottom: 1.5rem; }}
img {{ display: block; width: 100%; height: auto; border-radius: 4px; background: #fff; }}
.figures {{ display: grid; gap: 1.25rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr)); }}
article {{ background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 1rem;
  margin: 0 0 1.25rem; }}
.panels {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 290px), 1fr)); gap: 1rem;
  margin-bottom: .75rem; }}
audio {{ width: 100%; height: 36px; margin-top: .4rem; display: block; }}
details {{ margin: .75rem 0; }}
summary {{ cursor: pointer; color: var(--accent); padding: .25rem 0; }}
</style>
</head>
<body>
{body}
</body>
</html>
"""
