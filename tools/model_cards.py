"""Writes a card for every model of a registry, and the list of them: `README.md` in the models' folder."""

from pathlib import Path

import predictor_cards

from keras_segan import metrics
from keras_segan.models import registry

MEGABYTE = 1e6
PER_ROW = 10  # epochs of a curve
BARS = "▁▂▃▄▅▆▇█"


def card(entry: registry.Entry) -> str:
    """Returns a model's card in Markdown.

    Args:
        entry: The model.

    Returns:
        The text of `<name>.md`.
    """
    facts = entry.facts
    if predictor_cards.is_predictor(facts):
        return predictor_cards.card(entry, _table)
    parts = [
        f"# {entry.name}",
        "Made by `make docs` from `registry.toml`.",
        facts.get("summary", ""),
        _table(("", ""), _facts(entry)),
        "## Use\n\n```bash\n"
        f"kseg enhance noisy.wav -o enhanced.wav --model {entry.name}\n```\n\n"
        f'```python\nmodel = ks.load_model("{entry.name}")\n'
        "enhanced = ks.enhance(model, noisy, sample_rate)\n```",
        f"## Training\n\n{facts['data']}\n\n```bash\n{facts['command']}\n```",
        _curve(facts),
        f"## Scores\n\n{_scores(facts)}",
        f"## Distance from the paper\n\n{facts['distance']}" if facts.get("distance") else "",
        f"## Licence\n\n{facts['licence']}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _facts(entry: registry.Entry) -> list[tuple[str, str]]:
    facts = entry.facts
    rows = [
        ("recipe", f"{facts['recipe']}, variant {facts['variant']}, seed {facts['seed']}"),
        *((unit, str(facts[unit])) for unit in ("epochs", "iterations") if unit in facts),
        ("target", facts["target"]),
        ("file", f"`{facts['file']}`, {entry.path.stat().st_size / MEGABYTE:.1f} MB"),
        ("sha256", f"`{facts['sha256']}`"),
    ]
    if "levels" in facts:
        low, high = facts["levels"]
        rows.append(
            ("input", f"{low:g} to {high:g} dB (RMS); `ks.enhance` brings others to the nearest and back")
        )
    if entry.twin:
        difference = facts["onnx"]["largest_difference"]
        rows.append(
            ("ONNX twin", f"`{facts['onnx']['file']}`, differs from Keras by {difference:.1e} at most")
        )
    return [*rows, ("made with", f"keras_segan {facts['keras_segan']}, Keras {facts['keras']}")]


def _scores(facts: dict) -> str:
    rows = []
    for definition, score in facts["scores"].items():
        published = score.get("published")
        rows.append(
            (
                metrics.get(definition).label,
                definition,
                f"{score['noisy']:.3f}",
                f"{score['mean']:.3f}",
                f"{score['low']:.3f} .. {score['high']:.3f}",
                f"{score['gain']:+.3f} ({score['gain_low']:+.3f} .. {score['gain_high']:+.3f})",
                "-" if published is None else f"{published:g}",
            )
        )
    header = ("metric", "definition", "noisy", "enhanced", "95 % interval", "change", "published")
    count = next(iter(facts["scores"].values()))["n"]
    intervals = "bootstrap intervals of the mean"
    return f"{facts['tested_on']}, {count} utterances; {intervals}.\n\n{_table(header, rows)}"


def _curve(facts: dict) -> str:
    if not facts.get("curve"):
        return ""
    (definition, values), *_ = facts["curve"].items()
    rows = []
    for first in range(0, len(values), PER_ROW):
        part = values[first : first + PER_ROW]
        numbers = " ".join(f"{value:.3f}" for value in part)
        rows.append((f"{first + 1} to {first + len(part)}", numbers, _bars(part, values)))
    return f"### Curve\n\n{_table(('epochs', f'{definition} on the validation set', ''), rows)}"


def _bars(part: list[float], values: list[float]) -> str:
    low, high = min(values), max(values)
    steps = [round((value - low) / ((high - low) or 1.0) * (len(BARS) - 1)) for value in part]
    return "".join(BARS[step] for step in steps)


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def overview(entries: dict[str, registry.Entry]) -> str:
    """Returns the text of `README.md`: a line per model, and what the registry's fields mean."""
    rows = []
    for name, entry in sorted(entries.items()):
        change = _change(entry.facts)
        rows.append((f"[{name}]({name}.md)", entry.facts["target"], change, entry.facts["tested_on"]))
    listed = (
        _table(("model", "target", "noisy -> enhanced (95 %)", "tested on"), rows) if rows else "None yet."
    )
    return f"# Pretrained models\n\nMade by `make docs` from `registry.toml`.\n\n{listed}\n\n{FIELDS}"


def _change(facts: dict) -> str:
    if predictor_cards.is_predictor(facts):
        return predictor_cards.summary(facts)
    score = facts["scores"][facts["target"]]
    return f"{score['noisy']:.3f} -> {score['mean']:.3f} ({score['low']:.3f} .. {score['high']:.3f})"


FIELDS = """`tools/add_pretrained.py` adds a model from a run folder; `kseg models verify` checks that
files and output are what was recorded. The registry says of each model:

| field | content |
|---|---|
| `file`, `sha256` | the `.keras` file and its checksum, which loading checks |
| `recipe`, `variant`, `seed`, `epochs` or `iterations`, `command` | how to train it again |
| `data`, `licence` | what it was trained on, and under which conditions it may be used |
| `target` | definition id of the metric that it must improve |
| `scores.<definition>` | `mean`, `low`, `high` (bootstrap 95 %), `noisy`, `gain`, its interval, `n` |
| `curve.<definition>` | its value on the validation set after each epoch |
| `agreement.<group>` | of a predictor, not `scores`: `n`, `lcc`, `srcc`, `mse` with intervals, mean `error` |
| `calibration`, `range` | of a predictor: true and predicted scores by range, and the range in training |
| `weaknesses`, `files_changed` | of a predictor: how its score moves when files are changed |
| `tested_on` | the data of the scores |
| `levels` | RMS levels in dB of inputs that it knows; `ks.enhance` brings others to the nearest and back |
| `distance` | how far it is from the published number, and why |
| `output` | samples of an enhanced bundled sentence, which `kseg models verify` compares |
| `onnx` | the same network for ONNX Runtime: `file`, `sha256`, `largest_difference` from Keras |
| `keras`, `keras_segan` | versions it was made with |
"""


def write(folder: Path):
    """Writes the cards of a folder's models, and the list.

    Args:
        folder: Holds `registry.toml`.
    """
    entries = registry.entries_of(folder)
    for name, entry in entries.items():
        (folder / f"{name}.md").write_text(card(entry), encoding="utf-8")
    (folder / "README.md").write_text(overview(entries), encoding="utf-8")
