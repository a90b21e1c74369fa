"""Writes the generated parts of the documentation: result blocks, list of reproductions, cards of models."""

import re
from pathlib import Path

import model_cards

from keras_segan.reproduction import recipe, tables

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "reproductions"
BLOCK = re.compile(r"(<!-- results:begin[^>]*-->\n).*?(<!-- results:end -->)", re.DOTALL)


def ledger(name: str) -> str:
    """Returns a ledger's text with its result block made anew from the CSV file."""
    text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    numbers = recipe.read_table(FOLDER / f"{name}.csv")
    table = tables.results_block(numbers)
    return BLOCK.sub(lambda match: match[1] + table + "\n" + match[2], text)


def overview() -> str:
    """Returns the text of reproductions/README.md."""
    rows = [
        f"| [{name}]({name}.md) | {recipe.summary(name)} | `kseg reproduce {name}` |"
        for name in recipe.names()
    ]
    head = "# Reproductions\n\nMade by `make docs`.\n\n| name | paper | command |\n|---|---|---|\n"
    return head + "\n".join(rows) + "\n"


def main():
    """Writes the files."""
    (FOLDER / "README.md").write_text(overview(), encoding="utf-8")
    for name in recipe.names():
        (FOLDER / f"{name}.md").write_text(ledger(name), encoding="utf-8")
    model_cards.write(ROOT / "pretrained")


if __name__ == "__main__":
    main()
