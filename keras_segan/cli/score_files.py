"""`kseg data score`: noisy, enhanced and clean files with their true score."""

from pathlib import Path

import click

from keras_segan.cli import options

FOLDER = click.Path(path_type=Path)


@click.command(short_help="Enhance and score a corpus, to train a predictor of quality on.")
@click.argument("directory", metavar="DIR", type=FOLDER)
@click.option(
    "--model",
    "models",
    multiple=True,
    help="What enhances: a pretrained model, a .keras or .onnx file, or 'wiener'; repeatable.",
)
@click.option("--out", type=FOLDER, required=True, help="Folder for enhanced files and manifest.csv.")
@click.option("--metric", default="pesq-nb-raw", show_default=True, help="Definition id of the true score.")
@click.option("--every", is_flag=True, help="Every file by every model; if not, by one of them, in turn.")
@click.option(
    "--clean-share",
    type=click.FloatRange(min=0),
    default=0.1,
    show_default=True,
    help="Clean files for each noisy or enhanced one.",
)
@click.option(
    "--hold-out-speakers",
    type=click.IntRange(min=0),
    default=0,
    help="Training speakers that become the validation split.",
)
@click.option(
    "--hold-out-noises",
    type=click.IntRange(min=0),
    default=0,
    help="Noises that are heard in the validation split alone; pairs in the way are left out.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of both choices."
)
@options.jobs
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
def command(
    directory, models, out, metric, every, clean_share, hold_out_speakers, hold_out_noises, seed, jobs, quiet
):
    """Enhance the pairs of DIR, score noisy, enhanced and clean files, and write a manifest with the scores.

    The same call goes on where an earlier one was interrupted.

    \b
    kseg data score CORPUS --model metricgan-plus --model wiener --hold-out-speakers 20 --out SCORED
    kseg reproduce qualitynet --data SCORED/manifest.csv
    """
    from keras_segan import labelling, metrics
    from keras_segan.data import corpora
    from keras_segan.metrics.pool import ScoringPool

    definition = metrics.get(metric).definition
    manifest = corpora.load(directory)
    if hold_out_speakers:
        manifest = labelling.disjoint(manifest, hold_out_speakers, hold_out_noises, seed)
    if any(name != labelling.WIENER for name in models):
        options.import_keras()
    corpus = labelling.Corpus(manifest, labelling.enhancers(models), clean_share, every)
    total = sum(map(len, corpus.tasks().values()))
    from tqdm import tqdm

    with ScoringPool(jobs) as pool, tqdm(total=total, unit="file", disable=quiet or None, leave=False) as bar:
        scored = labelling.label(corpus, out, definition, pool, lambda work, where: bar.update(work))
    scored.write(out / labelling.MANIFEST)
    click.echo(out / labelling.MANIFEST)
    click.echo(f"{len(scored)} of {total} files have a score.", err=True)
    for line in table(labelling.balance(scored)):
        click.echo(line, err=True)


def table(records: list[dict]) -> list[str]:
    """Returns how many files of each split and group lie in each range of the score, a line each."""
    steps = sorted({(record["from"], record["to"]) for record in records})
    counts: dict[tuple[str, str], dict[tuple[float, float], int]] = {}
    for record in records:
        counts.setdefault((record["split"], record["group"]), {})[record["from"], record["to"]] = record[
            "count"
        ]
    lines = [f"{'split':10} {'group':9}" + "".join(f"{low:>6.1f}" for low, _ in steps) + "  (from)"]
    for (split, group), own in counts.items():
        lines.append(f"{split:10} {group:9}" + "".join(f"{own.get(step, 0):>6d}" for step in steps))
    return lines
