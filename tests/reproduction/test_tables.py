import dataclasses
import json

from keras_segan.reproduction import tables
from keras_segan.reproduction.recipe import Published
from keras_segan.reproduction.tables import Claim, Row

NOISY = Row("noisy", "PESQ", "pesq-wb-lqo", 1.97, 1.968, (1.91, 2.03), 549)
LAST = Row("last", "PESQ", "pesq-wb-lqo", 2.86, 2.7, (2.6, 2.8), 549)
QUOTED = Row("SEGAN", "PESQ", "pesq-wb-lqo", 2.16, None, None, 0)
DOUBTFUL = Row("DNN", "PESQ", "pesq-wb-lqo", 2.49, 2.4, (2.3, 2.5), 549, grade="secondary")
HOLDS = Claim("MMSE-GAN", "DNN", "PESQ", "pesq-wb-lqo", 0.04, 0.051, (0.02, 0.08), 824, "holds")


def content(**changes):
    return {
        "title": "toy on mini: published and reproduced",
        "paper": {"authors": "A. Author", "title": "A paper", "venue": "ICASSP 2018", "url": ""},
        "data": {"title": "mini", "counts": "24 train, 12 test utterances", "split": "test"},
        "variant": "paper",
        "choice": {"metric": "pesq", "causal": True, "levels": [0, 5]},
        "length": "600 epochs",
        "seed": 3,
        "backend": "jax",
        "commit": "abc123",
        "facts": ["Weights chosen on the validation set."],
        "reasons": [],
        "rows": [dataclasses.asdict(LAST)],
        "claims": [],
        "notes": [],
        **changes,
    }


def test_differences_are_stated_only_where_numbers_are_comparable():
    assert "-0.16" in tables.markdown_table([LAST], comparable=True)
    table = tables.markdown_table([LAST], comparable=False)
    assert "-0.16" not in table
    assert "not comparable" in table


def test_rows_say_definition_interval_and_count():
    table = tables.markdown_table([NOISY, QUOTED], comparable=True)
    for word in ("pesq-wb-lqo", "1.910 .. 2.030", "549", "| 1.97 ", "SEGAN"):
        assert word in table
    assert len({len(line) for line in table.splitlines()}) == 1


def test_a_number_that_nobody_could_check_is_never_printed_as_published():
    line = tables.markdown_table([DOUBTFUL], comparable=True).splitlines()[-1]
    assert "2.49 (secondary)" in line
    assert "not attested" in line
    assert "-0.09" not in line
    assert "to be quoted as published" in tables.document(content(rows=[dataclasses.asdict(DOUBTFUL)]))


def test_the_document_states_what_a_result_depends_on():
    text = tables.document(content())
    assert "A. Author: A paper, ICASSP 2018." in text
    assert "Data: mini (24 train, 12 test utterances), scored on test." in text
    assert (
        "Variant paper, metric pesq, causal, levels 0,5, 600 epochs, seed 3, backend jax, commit abc123."
        in text
    )
    assert "Weights chosen on the validation set." in text
    assert "commit" not in tables.document(content(commit=""))


def test_the_document_gives_the_reasons_and_the_notes():
    text = tables.document(content(reasons=["epochs = 3 instead of 600"], notes=["a file was left out"]))
    assert "NOT COMPARABLE with the published numbers:\n- epochs = 3 instead of 600" in text
    assert "Notes:\n- a file was left out" in text
    assert "NOT COMPARABLE" not in tables.document(content())


def test_claims_are_printed_with_our_paired_interval_and_the_verdict():
    open_claim = Claim("v-GAN", "DNN", "STOI", "stoi")
    text = tables.document(content(claims=[dataclasses.asdict(claim) for claim in (HOLDS, open_claim)]))
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    told = [
        "MMSE-GAN better than DNN",
        "PESQ",
        "pesq-wb-lqo",
        "+0.04",
        "+0.051",
        "0.020 .. 0.080",
        "824",
        "holds",
    ]
    assert told in lines
    assert ["v-GAN better than DNN", "STOI", "stoi", "-", "-", "-", "-", "not measured"] in lines


def test_the_document_is_the_same_after_the_content_was_stored():
    whole = content(rows=[dataclasses.asdict(row) for row in (NOISY, LAST, QUOTED, DOUBTFUL)])
    whole["claims"] = [dataclasses.asdict(HOLDS)]
    assert tables.document(json.loads(json.dumps(whole))) == tables.document(whole)


def test_the_ledgers_block_has_a_table_a_source_and_the_claims():
    common = {"table": "Table 1", "variant": "paper", "dataset": "timit", "metric": "PESQ"}
    common["definition"] = "pesq-nb-raw"
    numbers = [
        Published("published", row="Noisy", value=1.6, **common),
        Published("published", row="DNN", value=2.1, deviation=0.2, **common),
        Published("published", row="GAN", value=2.2, grade="unverified", **common),
        Published("claim", row="GAN", than="DNN", value=None, **common),
    ]
    text = tables.results_block(numbers)
    for line in (
        "**published, Table 1, timit**",
        "| DNN | 2.1 ± 0.2 |",
        "| GAN | 2.2 (unverified) |",
        "- GAN better than DNN in PESQ (pesq-nb-raw), Table 1",
    ):
        assert line in text
