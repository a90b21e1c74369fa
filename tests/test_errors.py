import pickle

import pytest

from keras_segan import errors
from keras_segan.cli import run
from keras_segan.errors import KsegError, ModelUsageError, UsageError

TOPICS = [errors.AudioError, errors.DataError, errors.MetricError, errors.ModelError, errors.RecipeError]


@pytest.mark.parametrize("topic", TOPICS)
def test_wrong_use_is_told_from_failure_by_class_and_survives_a_worker_process(topic):
    wrong = getattr(errors, topic.__name__.replace("Error", "UsageError"))
    again = pickle.loads(pickle.dumps(wrong("x: what to do.")))
    assert isinstance(again, topic)
    assert isinstance(again, UsageError)
    assert str(again) == "x: what to do."
    assert not isinstance(topic("x"), UsageError)


@pytest.mark.parametrize(("error", "code"), [(KsegError, 1), (UsageError, 2), (ModelUsageError, 2)])
def test_the_command_line_maps_classes_to_exit_codes(error, code, monkeypatch, capsys):
    def fail(*_, **__):
        raise error("x: wrong.")

    monkeypatch.setattr("keras_segan.cli.group.main", fail)
    assert run([]) == code
    assert capsys.readouterr().err == "Error: x: wrong.\n"
