"""The card of a model that predicts a score: agreement with the true one by group, and what it gets wrong."""

from keras_segan.models import registry

MEGABYTE = 1e6
GROUP_HEADER = ("group", "n", "LCC (95 %)", "SRCC (95 %)", "MSE (95 %)", "mean error")


def is_predictor(facts: dict) -> bool:
    """Whether a registry's entry is of a predictor."""
    return "agreement" in facts


def card(entry: registry.Entry, table) -> str:
    """Returns the card in Markdown.

    Args:
        entry: The model.
        table: Formats a head and rows.
    """
    facts = entry.facts
    parts = [
        f"# {entry.name}",
        "Made by `make docs` from `registry.toml`.",
        facts.get("summary", ""),
        table(("", ""), _facts(entry)),
        "## Use\n\n```bash\nkseg evaluate --enhanced DIR --metrics qualitynet\n```\n\n"
        f'```python\nmodel = ks.load_model("{entry.name}")\n'
        'ks.predict(model, waveform, sample_rate)["score"]\n```',
        f"## Training\n\n{facts['data']}\n\n```bash\n{facts['command']}\n```",
        f"## Agreement with {facts['target']}\n\n{facts['tested_on']}\n\n"
        f"{table(GROUP_HEADER, _groups(facts))}",
        _calibration(facts, table),
        _weaknesses(facts, table),
        f"## Distance from the paper\n\n{facts['distance']}" if facts.get("distance") else "",
        f"## Licence\n\n{facts['licence']}",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def summary(facts: dict) -> str:
    """Returns the agreement in a few words, for the list of models."""
    groups = [name for name in ("noisy", "enhanced") if name in facts["agreement"]]
    return ", ".join(f"LCC {name} {facts['agreement'][name]['lcc']:.2f}" for name in groups)


def _facts(entry: registry.Entry) -> list[tuple[str, str]]:
    facts = entry.facts
    return [
        ("recipe", f"{facts['recipe']}, variant {facts['variant']}, seed {facts['seed']}"),
        ("epochs", str(facts["epochs"])),
        ("predicts", facts["target"]),
        ("file", f"`{facts['file']}`, {entry.path.stat().st_size / MEGABYTE:.1f} MB"),
        ("sha256", f"`{facts['sha256']}`"),
        ("scores in training", f"{facts['range'][0]:.2f} to {facts['range'][1]:.2f}"),
        ("made with", f"keras_segan {facts['keras_segan']}, Keras {facts['keras']}"),
    ]


def _groups(facts: dict) -> list[tuple[str, ...]]:
    rows = []
    for name, group in facts["agreement"].items():
        cells = [_with_interval(group, measure) for measure in ("lcc", "srcc", "mse")]
        rows.append((name, str(group["n"]), *cells, f"{group['error']:+.2f}"))
    return rows


def _with_interval(group: dict, measure: str) -> str:
    if measure not in group:
        return "-"
    return f"{group[measure]:.3f} ({group[f'{measure}_low']:.3f} .. {group[f'{measure}_high']:.3f})"


def _calibration(facts: dict, table) -> str:
    rows = [
        (f"{low:.1f} to {low + 0.5:.1f}", str(int(count)), f"{true:.2f}", f"{predicted:.2f}")
        for low, count, true, predicted in facts["calibration"]
    ]
    return (
        f"### By range of the true score\n\n{table(('true score', 'n', 'mean true', 'mean predicted'), rows)}"
    )


def _weaknesses(facts: dict, table) -> str:
    rows = [(name, f"{mean:+.2f}", f"{most:+.2f}") for name, (mean, most) in facts["weaknesses"].items()]
    head = ("what is done to a file", "mean change of its score", "largest")
    return f"## What it gets wrong\n\n{facts['files_changed']} noisy test files:\n\n{table(head, rows)}"
