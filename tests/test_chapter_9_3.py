"""Chapter 9.3's own functions: players, one cost for all losses, ranges, equal seconds, rows of a seed."""

import math

import pytest
import torch
from chapters import run_core
from torch import nn

from prodgen import evaluation, losses, recorded

NAME = "09-3-improving"


@pytest.fixture(scope="module")
def chapter() -> dict:
    """What the cells tagged `core` or `experiment` define."""
    return run_core(NAME, {}, "experiment")


@pytest.fixture(scope="module")
def photos() -> torch.Tensor:
    return torch.rand(300, 1, 28, 28, generator=torch.Generator().manual_seed(0)) * 2 - 1


def dense(network: nn.Module) -> int:
    return sum(isinstance(part, nn.Linear) for part in network.modules())


def test_deeper_players_have_twice_the_layers_and_half_of_them_can_be_frozen(chapter):
    for deep, layers in ((False, 3), (True, 6)):
        g, d = chapter["players"](chapter["BASE"] | {"deep": deep}, 0)
        assert dense(g) == dense(d) == layers
        assert d(g(torch.randn(5, chapter["LATENT"]))).shape == (5, 1)
    for player in chapter["players"](chapter["BASE"] | {"deep": True, "frozen": True}, 0):
        still = [part for part in player if not any(p.requires_grad for p in part.parameters())]
        assert sum(dense(part) for part in still) == 3


def test_a_seed_draws_the_same_players(chapter):
    one, other = (chapter["players"](chapter["BASE"], 7)[0][0].weight for _ in range(2))
    assert torch.equal(one, other)


@pytest.mark.parametrize("span", [(-1, 1), (0, 1), (0, 255), (-0.95, 0.95)])
def test_a_range_has_its_ends_and_is_undone(chapter, photos, span):
    ends = chapter["spread_out"](torch.tensor([-1.0, 0.0, 1.0]), span)
    assert ends.tolist() == pytest.approx([span[0], sum(span) / 2, span[1]])
    again = chapter["gathered"](chapter["spread_out"](photos, span), span)
    torch.testing.assert_close(again, photos, rtol=0, atol=1e-5)


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.randn(784, generator=torch.Generator().manual_seed(1)) / 10

    def forward(self, x):
        return (x.flatten(1) @ self.w)[:, None]


@pytest.mark.parametrize("name", losses.ADVERSARIAL)
def test_the_cost_is_loss_and_penalties_added_as_the_equation_says(chapter, photos, name):
    d, fake = Linear(), -photos[:6]
    way = chapter["BASE"] | {"loss": name, "r1": 0.3, "r2": 0.5, "gp": 2.0, "photos": (0, 1)}
    cost, a = chapter["cost_of_d"](way, d, photos[:6].clone(), fake, torch.Generator().manual_seed(0))
    seen = (photos[:6] + 1) / 2
    plain = losses.ADVERSARIAL[name].discriminator(d(seen)[:, 0], d(fake)[:, 0])
    square = d.w.square().sum()
    # R1 is by the photo in [-1, 1], of which the range [0, 1] sees half.
    expected = plain + 0.15 * square / 4 + 0.25 * square + 2 * (square.sqrt() - 1).square()
    torch.testing.assert_close(cost, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(a, d(seen)[:, 0])


def test_the_weight_of_r1_means_the_same_in_every_range(chapter, photos):
    penalties = []
    for span in ((-1, 1), (0, 255)):
        d = Linear()
        d.w = d.w * 2 / (span[1] - span[0])  # the same function of the photo
        way = chapter["BASE"] | {"photos": span}
        costs = []
        for r1 in (0.0, 1.0):
            rng = torch.Generator().manual_seed(0)
            cost, _ = chapter["cost_of_d"](way | {"r1": r1}, d, photos[:4].clone(), -photos[:4], rng)
            costs.append(cost.mean().item())
        penalties.append(costs[1] - costs[0])
    assert penalties[0] == pytest.approx(penalties[1], rel=1e-3) and penalties[0] > 0.1


def test_a_game_is_the_same_twice_and_turns_hold_the_generator_back(chapter, photos):
    way = chapter["BASE"] | {"turns": 5}
    twice = [chapter["play"](way, photos, 3, 4 * 64)[0][0].weight for _ in range(2)]
    assert torch.equal(*twice)
    start, _ = chapter["players"](way, 3)
    assert not torch.equal(twice[0], start[0].weight)  # five turns at least, so that G moves once
    adam, sgd = (
        chapter["moves"](nn.Linear(2, 2), way | {"optimiser": name, "rate": 0.1}) for name in ("Adam", "SGD")
    )
    assert type(adam) is torch.optim.Adam and type(sgd) is torch.optim.SGD


def test_frozen_layers_stay_and_the_others_move(chapter, photos):
    way = chapter["BASE"] | {"deep": True, "frozen": True}
    (g, _, _), (start, _) = chapter["play"](way, photos, 0, 128), chapter["players"](way, 0)
    for part, was in zip(g, start, strict=True):
        if isinstance(part, nn.Linear):
            assert not torch.equal(part.weight, was.weight)
        elif isinstance(part, chapter["Skip"]):
            assert torch.equal(part.correction[0].weight, was.correction[0].weight)


def test_every_setting_changes_what_the_base_has_and_gets_photos_by_its_speed(chapter):
    table = chapter["SETTINGS"] | chapter["OBSERVED"]
    assert table["base"] == ({}, 1.0)
    assert all(changes.keys() <= chapter["BASE"].keys() and speed > 0 for changes, speed in table.values())
    assert chapter["share_of"](0.5, 1_000) == 500 and chapter["share_of"](1.0) == chapter["IMAGES"]
    assert table["half frozen"][0] == table["deeper"][0] | {"frozen": True}
    alone, whole = table["Wasserstein alone"][0], table["Wasserstein + GP"][0]
    assert alone == whole | {"gp": 0.0} and whole["gp"] > 0 == whole["r1"]


def test_one_seed_gives_the_rows_that_the_claims_select_and_goes_on(chapter, photos, tmp_path):
    judge = recorded.load_model("classifier-fashion-mnist")
    real = evaluation.extract(photos[:100], judge)
    chapter["pictures"].__defaults__ = (40,)
    log = tmp_path / "runs.jsonl"
    rows = chapter["one_seed"](photos, judge, real, 5, images=64, log=log)
    found = {row["setting"] for row in rows}
    assert found == {*chapter["SETTINGS"], "no average", "untrained"}
    for claim in recorded.claims(NAME):
        for test in claim.get("tests", []):
            test = claim.get("rule", {}) | test
            for part in (test, *claim["controls"]):
                for side in ("of", "to"):
                    assert part.get(side, {}).get("setting", "base") in found
    written = log.read_text()
    again = chapter["one_seed"](photos, judge, real, 5, images=64, log=log)
    assert again == rows and log.read_text() == written
    assert math.isclose(chapter["effects"](chapter["failed_scored"](rows), "base")[0], 1)


def test_a_failed_game_has_the_score_of_an_untrained_network(chapter):
    assert chapter["score"](torch.full((4, 1, 28, 28), math.nan), None, None) is None
    rows = [
        {"seed": 1, "setting": "untrained", "distance": 500.0, "failed": False},
        {"seed": 1, "setting": "base", "distance": 100.0, "failed": False},
        {"seed": 1, "setting": "deeper", "distance": None, "failed": True},
    ]
    assert chapter["effects"](chapter["failed_scored"](rows), "deeper") == [5.0]
