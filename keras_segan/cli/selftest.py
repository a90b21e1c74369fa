"""`kseg selftest`: does this installation score correctly?"""

import json
from importlib.metadata import version
from importlib.resources import as_file, files

import click

from keras_segan.errors import MetricError

# Another compiler or FFT moves the last digits; the C code of PESQ works in single precision.
TOLERANCE = 1e-4
PACKAGES = ("keras_segan", "numpy", "scipy", "pesq", "pystoi", "soundfile")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(as_json):
    """Score bundled signals in a worker process and compare with the known scores."""
    rows, failures = check()
    wrong = [row for row in rows if not row["ok"]]
    if as_json:
        click.echo(json.dumps({"ok": not (wrong or failures), "rows": rows, "failures": failures}, indent=2))
    else:
        click.echo(", ".join(f"{name} {version(name)}" for name in PACKAGES))
        click.echo("\n".join(map(_line, rows)))
    if failures:
        raise MetricError(f"This installation cannot score: {'; '.join(failures)}")
    if wrong:
        raise MetricError(
            f"This installation does not score correctly: {len(wrong)} of {len(rows)} values differ from the "
            "known ones; reinstall pesq, pystoi, numpy and scipy."
        )
    click.echo(f"All {len(rows)} scores are right.", err=True)


def check() -> tuple[list[dict], list[str]]:
    """Scores the bundled signals.

    Returns:
        A row a signal and metric (`signal`, `metric`, `known`, `ours`, `ok`), and failures.
    """
    from keras_segan.metrics.pool import ScoreItem, ScoringPool

    with as_file(files("keras_segan.data") / "selftest") as folder:
        known = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
        items = [
            ScoreItem(name, folder / "clean.flac", folder / f"{name}.flac", None, tuple(scores))
            for name, scores in known.items()
        ]
        with ScoringPool(jobs=1) as pool:
            results = list(pool.map(items))
    failures = [f"{result.id}: {result.failure}" for result in results if result.failure]
    rows = [
        {"signal": result.id, "metric": name, "known": value, "ours": result.scores[name]}
        for result in results
        if result.scores
        for name, value in known[result.id].items()
    ]
    return [row | {"ok": abs(row["ours"] - row["known"]) <= TOLERANCE} for row in rows], failures


def _line(row: dict) -> str:
    judgement = "ok" if row["ok"] else "WRONG"
    return f"{row['signal']:<10} {row['metric']:<18} {row['known']:>9.4f} {row['ours']:>9.4f}  {judgement}"
