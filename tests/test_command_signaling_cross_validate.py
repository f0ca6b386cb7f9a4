"""`jaxllc signaling cross-validate`: held-out values, folds and seeds, resume, bad input."""

import numpy as np
import pandas as pd
import pytest

from jaxllc.signaling.settings import seeds_in
from tests.signaling_commands import printed_json, signaling, tables, unreachable


@pytest.fixture(scope="module")
def validated(toy_tables, tmp_path_factory):
    """Record and folder of one cross-validation: two folds, two seeds."""
    out = tmp_path_factory.mktemp("validated") / "out"
    words = ["--fold-size", 3, "--seeds", "3,1", "--epochs", 5]
    return printed_json("cross-validate", *tables(toy_tables), "--out", out, *words), out


def test_every_held_out_value_stands_in_the_table(validated, toy_tables):
    record, out = validated
    assert record["seeds"] == [3, 1]
    assert sorted(name for fold in record["folds"] for name in fold) == sorted(
        ["none", "first", "second", "both", "half", "half+second"]
    )
    table = pd.read_csv(out / "held_out.csv")
    assert [*table] == ["condition", "tf", "measured", "seed_3", "seed_1", "ensemble"]
    assert len(table) == 6 * 3
    measured = pd.read_csv(toy_tables / "tfs.tsv", sep="\t", index_col=0)
    for row in table.itertuples():
        expected = measured.loc[row.condition, row.tf]
        assert row.measured == expected or (np.isnan(row.measured) and np.isnan(expected))
    np.testing.assert_allclose(table["ensemble"], (table["seed_3"] + table["seed_1"]) / 2)
    seen = table.dropna()
    r = np.corrcoef(seen["measured"], seen["ensemble"])[0, 1]
    assert record["ensemble_correlation"] == pytest.approx(r, abs=1e-6)
    for row in record["correlations"]:
        r = np.corrcoef(seen["measured"], seen[f"seed_{row['seed']}"])[0, 1]
        assert row["pooled"] == pytest.approx(r, abs=1e-6)
    files = {"correlations.csv", "held_out.png", "conditions.png", "records.jsonl"}
    assert files <= {path.name for path in out.iterdir()}
    assert seeds_in(out / "settings.json") == (3, 1)


def test_a_validation_goes_on_from_its_records(validated, toy_tables, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    lines = (validated[1] / "records.jsonl").read_text().splitlines(keepends=True)
    (out / "records.jsonl").write_text("".join(lines[:-1]))
    words = [*tables(toy_tables), "--out", out, "--fold-size", 3, "--seeds", "3,1", "--epochs", 5]
    assert signaling("cross-validate", *words) == 0
    printed = capsys.readouterr()
    assert "going on from" in printed.err
    for part in ("6 of 6 conditions held out in 2 folds", "seed 3", "seed 1", "ensemble"):
        assert part in printed.out
    assert (out / "held_out.csv").read_text() == (validated[1] / "held_out.csv").read_text()


def test_an_interrupted_validation_keeps_its_records(
    validated, toy_tables, tmp_path, monkeypatch, capsys
):
    def interrupted(*_, records, **__):
        records.write_text("a record\n")
        raise KeyboardInterrupt

    monkeypatch.setattr("jaxllc.commands.signaling.cross_validate.cross_validate", interrupted)
    assert signaling("cross-validate", *tables(toy_tables), "--out", tmp_path / "out") == 130
    assert "records.jsonl" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["records.jsonl"]


@pytest.mark.parametrize(
    ("words", "seeds", "sizes"),
    [
        (["--seeds", "0:3"], (0, 1, 2), [1] * 6),
        (["--seed", "4", "--fold-size", "2"], (4,), [2] * 3),
        (["--keep", "both", "none"], (0,), [1] * 4),
        (["--folds", "folds.csv"], (0,), [2, 1]),
    ],
    ids=str,
)
def test_folds_and_seeds_reach_the_validation(
    toy_tables, tmp_path, monkeypatch, words, seeds, sizes
):
    given = []

    def stop(prior, conditions, folds, settings, *, seeds, **_):
        given.append((folds, tuple(seeds)))
        raise KeyboardInterrupt

    monkeypatch.setattr("jaxllc.commands.signaling.cross_validate.cross_validate", stop)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folds.csv").write_text("fold,condition\n1,none\n1,both\n2,half\n")
    assert signaling("cross-validate", *tables(toy_tables), "--out", "out", *words) == 130
    ((folds, found),) = given
    assert (found, [len(fold) for fold in folds]) == (seeds, sizes)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--seeds", "0;3"], "'0;3'"),
        (["--seeds", "3:3"], "'3:3'"),
        (["--seeds", "1,1"], "'1,1'"),
        (["--seeds", "0:2", "--seed", "1"], "--seeds"),
        (["--fold-size", "0"], "--fold-size is 0"),
        (["--keep", "booth"], "did you mean 'both'"),
        (["--folds", "nowhere.csv"], "nowhere.csv"),
        (["--folds", "nowhere.csv", "--fold-size", "2"], "not both"),
    ],
    ids=str,
)
def test_bad_arguments_get_one_sentence(bad, toy_tables, tmp_path, monkeypatch, words, named):
    monkeypatch.setattr("jaxllc.commands.signaling.cross_validate.cross_validate", unreachable)
    out = tmp_path / "out"
    assert named in bad(["signaling", "cross-validate", *tables(toy_tables), "--out", out, *words])
    assert not out.exists()
