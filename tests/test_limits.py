import re
from pathlib import Path

import pytest

from keras_segan import limits

TEXT = (Path(__file__).parents[1] / "docs" / "limits.md").read_text(encoding="utf-8")
NAMES = [name for name in vars(limits) if name.isupper()]


@pytest.mark.parametrize("name", NAMES)
def test_every_limit_is_in_the_table_with_its_value(name):
    row = next(line for line in TEXT.splitlines() if f"`{name}`" in line)
    numbers = [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", row)]
    value = limits.LONGEST // 3600 if name == "LONGEST" else getattr(limits, name)
    assert value in numbers
