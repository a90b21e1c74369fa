"""`kseg evaluate`: scores enhanced files against clean ones."""

import json
import math
import tempfile
from dataclasses import asdict
from pathlib import Path

import click

from keras_segan.cli import options
from keras_segan.errors import FileError, MetricError

FOLDER = click.Path(file_okay=False, exists=True, path_type=Path)
DEFAULT_METRICS = "pesq,csig,cbak,covl,ssnr,stoi"


@click.command()
@click.option("--enhanced", type=FOLDER, required=True, help="Folder of the files to be judged.")
@click.option("--clean", type=FOLDER, help="Folder of clean files; pairs have the same relative stem.")
@click.option("--noisy", type=FOLDER, help="Folder of noisy files, to say how much is won over them.")
@click.option(
    "--manifest",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="CSV of the corpus in place of --clean and --noisy: pairs by id, breakdown by SNR, noise, speaker.",
)
@click.option(
    "--metrics",
    default=DEFAULT_METRICS,
    show_default=True,
    help="Names with commas between; module:function@WORST..BEST for your own; 'all' for all built in.",
)
@click.option(
    "--csv", "csv_file", type=click.Path(dir_okay=False, path_type=Path), help="Write a line per file."
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option(
    "--sample-rate",
    type=click.Choice(["8000", "16000"]),
    help="Resample all files to this rate. Default: theirs, or 16000 if it is another one.",
)
@click.option(
    "--on-error",
    type=click.Choice(["floor", "skip", "raise"]),
    default="raise",
    show_default=True,
    help="A file without scores counts as the worst value, is left out, or ends in exit code 1. "
    "Everything is scored and listed in any case.",
)
@options.jobs
@click.option("--dask", metavar="ADDRESS", help="Score on this dask cluster instead (extra: dask).")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), help="Seconds for one file.")
def command(
    enhanced, clean, noisy, manifest, metrics, csv_file, as_json, sample_rate, on_error, jobs, dask, timeout
):
    """Score enhanced files: mean, standard deviation and bootstrap 95 % interval of every metric."""
    from keras_segan.evaluation import Scoring, evaluate_folders

    if (clean is None) == (manifest is None) or (manifest and noisy):
        raise click.UsageError("Give either --clean (and --noisy), or --manifest.")
    if csv_file:
        _try_output(csv_file)
    scoring = Scoring(
        _names(metrics), sample_rate and int(sample_rate), on_error, jobs, dask, timeout, _progress_bar
    )
    evaluation = evaluate_folders(clean, enhanced, noisy, _manifest(manifest), scoring)
    try:
        _print(evaluation, as_json)
    finally:
        if csv_file:
            _write_csv(evaluation, csv_file)
    if evaluation.failed and on_error == "raise":
        raise MetricError(
            f"{len(evaluation.failed)} of {len(evaluation.rows)} files could not be scored, as listed above; "
            "--on-error skip leaves them out."
        )


def _try_output(path: Path):
    """Refuses to replace what is no table of scores; says before the work if nothing can be written."""
    from keras_segan import files
    from keras_segan.evaluation import is_score_table

    files.check_replaceable(path, force=True, is_ours=is_score_table)
    try:
        files.check_output(path)
    except FileError as error:
        click.echo(f"Warning: {error} The scores will be printed all the same.", err=True)


def _write_csv(evaluation, path: Path):
    """Writes the lines; where that fails after all the work, into a temporary file, which is named."""
    try:
        evaluation.write_csv(path)
    except FileError as error:
        kept = Path(tempfile.mkdtemp(prefix="kseg-")) / "scores.csv"
        evaluation.write_csv(kept)
        raise FileError(f"{error} The lines are in {kept} instead.") from error


def _print(evaluation, as_json: bool):
    for note in evaluation.notes():
        click.echo(f"Note: {note}.", err=True)
    for row in evaluation.failed:
        for failure in row.failures:
            click.echo(f"Failed: {row.pair.id}: {failure}", err=True)
    click.echo(json.dumps(as_dict(evaluation), indent=2) if as_json else as_text(evaluation))


def _names(metrics: str) -> tuple[str, ...]:
    from keras_segan.metrics import names

    if metrics == "all":
        return names()
    asked = tuple(dict.fromkeys(name.strip() for name in metrics.split(",") if name.strip()))
    if not asked:
        raise click.UsageError("--metrics names no metric.")
    return asked


def _manifest(path: Path | None):
    from keras_segan.data.manifest import Manifest

    return Manifest.read(path) if path else None


def _progress_bar(results, total):
    from tqdm import tqdm

    return tqdm(results, "Scoring", total, unit="file", disable=None, leave=False)


def as_dict(evaluation) -> dict:
    """Returns everything known of an evaluation in plain types; numbers that are not finite become `None`."""
    from keras_segan import metrics

    definitions = {name: metrics.get(name) for name in evaluation.metrics}
    return _plain(
        {
            "files": len(evaluation.rows),
            "scored": len(evaluation.scored),
            "floored": len(evaluation.floored),
            "failed": len(evaluation.failed),
            "seed": evaluation.seed,
            "metrics": {
                name: {
                    "definition": m.definition,
                    "label": m.label,
                    "unit": m.unit,
                    "range": m.range,
                    "higher_is_better": m.higher_is_better,
                    "reference": m.reference,
                }
                for name, m in definitions.items()
            },
            "summary": evaluation.summary(),
            "noisy": evaluation.noisy_summary(),
            "improvement": evaluation.improvement(),
            "conditions": evaluation.by_condition(),
            "notes": evaluation.notes(),
            "rows": [_row(row) for row in evaluation.rows],
        }
    )


def _row(row) -> dict:
    return {
        "id": row.pair.id,
        "scores": row.result.scores,
        "noisy": row.noisy.scores if row.noisy else None,
        "failures": [asdict(failure) for failure in row.failures],
        "notes": row.result.notes,
    }


def _plain(value):
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "__dataclass_fields__"):
        return _plain(asdict(value))
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def as_text(evaluation) -> str:
    """Returns the tables for people."""
    scored, total = len(evaluation.scored), len(evaluation.rows)
    floored = (
        f", {len(evaluation.floored)} of them failed and got the worst value" if evaluation.floored else ""
    )
    lines = [
        f"{scored} of {total} files scored{floored}; intervals: bootstrap 95 %, seed {evaluation.seed}.",
        "",
    ]
    lines += _columns(_summary_table(evaluation))
    for condition, groups in evaluation.by_condition().items():
        lines += ["", *_columns(_condition_table(condition, groups, evaluation.metrics))]
    return "\n".join(lines)


def _summary_table(evaluation) -> list[list[str]]:
    from keras_segan import metrics

    summary, noisy, gain = evaluation.summary(), evaluation.noisy_summary(), evaluation.improvement()
    table = [["metric", "mean", "std", "95 % interval"] + (["noisy", "improvement"] if noisy else [])]
    table[0] += ["unit", "better", "definition"]
    for name, s in summary.items():
        metric = metrics.get(name)
        line = [metric.label or name, f"{s.mean:.4f}", f"{s.std:.4f}", f"{s.low:.4f} .. {s.high:.4f}"]
        if noisy:
            won = gain[name]
            line += [f"{noisy[name].mean:.4f}", f"{won.mean:+.4f} ({won.low:+.4f} .. {won.high:+.4f})"]
        better = "higher" if metric.higher_is_better else "lower"
        table.append([*line, metric.unit, better, metric.definition])
    return table


def _condition_table(condition: str, groups: dict, names: tuple[str, ...]) -> list[list[str]]:
    from keras_segan import metrics

    table = [[condition, "n", *(metrics.get(name).label or name for name in names)]]
    for value, summary in groups.items():
        table.append([value, str(summary[names[0]].n), *(f"{summary[name].mean:.4f}" for name in names)])
    return table


def _columns(table: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in table
    ]
