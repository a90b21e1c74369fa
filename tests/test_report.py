import pytest

from keras_segan import report

NOISY = report.Row("noisy", "PESQ", "pesq-wb-lqo", 1.97, 1.968, (1.91, 2.03), 549)
LAST = report.Row("last", "PESQ", "pesq-wb-lqo", 2.86, 2.7, (2.6, 2.8), 549)
QUOTED = report.Row("SEGAN", "PESQ", "pesq-wb-lqo", 2.16, None, None, 0)


def test_differences_are_stated_only_where_numbers_are_comparable():
    assert "-0.16" in report.markdown_table([LAST], comparable=True)
    table = report.markdown_table([LAST], comparable=False)
    assert "-0.16" not in table
    assert "not comparable" in table


def test_rows_say_definition_interval_and_count():
    table = report.markdown_table([NOISY, QUOTED], comparable=True)
    for word in ("pesq-wb-lqo", "1.910 .. 2.030", "549", "| 1.97 ", "SEGAN"):
        assert word in table
    assert len({len(line) for line in table.splitlines()}) == 1


def test_the_document_gives_the_reasons():
    text = report.document(
        "Title", ["Data: mini."], ["epochs = 3 instead of 600"], [LAST], ["a file was left out"]
    )
    assert "NOT COMPARABLE" in text
    assert "epochs = 3 instead of 600" in text
    assert "a file was left out" in text
    assert "NOT COMPARABLE" not in report.document("Title", [], [], [LAST], [])


def test_curves_of_several_systems_have_a_name_each(tmp_path):
    pytest.importorskip("matplotlib")
    log = [
        {"epoch": e, "DNN_validation_loss": 1 / e, "v-GAN_validation_loss": 2 / e, "test_stoi": 0.9}
        for e in (1, 2)
    ]
    assert {path.name for path in report.learning_curves(log, tmp_path, "x")} == {"loss.png", "stoi.png"}
