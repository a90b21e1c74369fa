import pytest

from keras_segan.errors import DataError
from keras_segan.reproduction import recipe
from keras_segan.reproduction.run import Request, reproduce


@pytest.fixture(scope="module")
def corpus(short_corpus):
    return short_corpus({"test": 1}, 0.9)


@pytest.mark.parametrize("paper", recipe.names())
def test_they_are_named(paper, corpus, tmp_path):
    with pytest.raises(DataError, match="training"):
        reproduce(Request(paper, str(corpus), out=str(tmp_path / "run"), quiet=True))
