import dataclasses

import pytest

from keras_segan.data import mini
from keras_segan.metrics.pool import ScoringPool
from keras_segan.training.run_folder import Run


@pytest.fixture(scope="session")
def pool():
    """Scoring workers that all tests here share."""
    with ScoringPool(jobs=1) as workers:
        yield workers


@pytest.fixture(scope="session")
def pairs(tmp_path_factory):
    """Some test pairs of the mini corpus."""
    manifest = mini.prepare(tmp_path_factory.mktemp("mini"))
    return dataclasses.replace(manifest, utterances=manifest.split("test")[:6])


@pytest.fixture
def run(tmp_path, pool):
    """An empty run folder."""
    return Run.create(tmp_path / "run", {"paper": "toy", "variant": "mini"}, pool=pool, quiet=True)
