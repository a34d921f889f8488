"""The page of the benchmarks says what their results say."""

import json
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def table(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import table

    return table


def test_the_table_is_the_one_that_the_results_give(table):
    page = table.PAGE.read_text("utf-8")
    assert table.written_into(page) == page, "run: python benchmarks/table.py"


def test_a_goal_without_a_measurement_is_not_called_reached(table, monkeypatch, tmp_path):
    monkeypatch.setattr("results.FOLDER", tmp_path)
    rows = [
        line for line in table.written_into(table.PAGE.read_text("utf-8")).splitlines() if "| – |" in line
    ]
    assert len(rows) == len(table.GOALS)
    assert all(table.NOT_MEASURED in row for row in rows)


@pytest.mark.parametrize(("ours", "verdict"), [(4.0, "reached"), (5.0, "**not reached**")])
def test_the_verdict_is_that_of_the_mean_over_seeds(table, monkeypatch, tmp_path, ours, verdict):
    monkeypatch.setattr("results.FOLDER", tmp_path)
    for method, excess in (("dcgan", 130), ("wgan-gp", 130), ("prodgen", ours)):
        for seed, error in enumerate((-0.3, 0.0, 0.3)):
            row = {"method": method, "fid_fmnist_excess": excess + error}
            (tmp_path / f"gan-{method}-{seed}.json").write_text(json.dumps(row))
    figure, found = table.gan("prodgen", 30, 15)
    assert found == verdict and f"{ours:.2f} ({ours - 0.3:.2f} to {ours + 0.3:.2f}, 3 seeds)" in figure
