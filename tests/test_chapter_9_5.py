"""Chapter 9.5's own functions: gradients through both players, starts, clipping, batch norm, balance."""

import math

import pytest
import torch
from chapters import run_core
from torch import nn

NAME = "09-5-gradients"


@pytest.fixture(scope="module")
def chapter() -> dict:
    """What the cells tagged `core` or `experiment` define."""
    return run_core(NAME, {}, "experiment")


def test_a_deviation_is_what_its_name_says(chapter):
    deviations = {name: of(100, 300) for name, of in chapter["STARTS"].items()}
    dense = nn.Linear(100, 4_000)
    assert deviations["PyTorch"] == pytest.approx(dense.weight.std().item(), rel=0.02)
    dense.reset_parameters()
    nn.init.kaiming_normal_(dense.weight, a=chapter["SLOPE"])
    assert deviations["He"] == pytest.approx(dense.weight.std().item(), rel=0.02)
    assert deviations["Xavier"] == pytest.approx(math.sqrt(2 / 400))
    assert deviations["zeros"] == 0 and deviations["twice He"] == 4 * deviations["half He"]


def test_players_fit_together_and_only_hidden_layers_are_normalised(chapter):
    g, d = chapter["players"]("He", 0, norm=True)
    assert d(g(chapter["noise"](5, 0))).shape == (5, 1)
    normed = [sum(isinstance(layer, nn.BatchNorm1d) for layer in player) for player in (g, d)]
    assert normed == [chapter["DEPTH"], chapter["DEPTH"] - 1]
    again, _ = chapter["players"]("He", 0, norm=True)
    assert torch.equal(g[0].weight, again[0].weight)


def test_the_gradient_by_each_layer_s_sums_is_that_of_a_chain_written_out(chapter):
    g, d = chapter["players"]("He", 1, depth=1)
    z = chapter["noise"](7, 0)
    sizes = chapter["gradient_sizes"](g, d, z)
    first = g[0](z).detach().requires_grad_()
    loss = nn.functional.softplus(-d(g[1:](first))[:, 0]).sum()
    (delta,) = torch.autograd.grad(loss, first)
    assert len(sizes) == 4
    assert sizes[0] == pytest.approx(delta.square().sum(dim=1).mean().sqrt().item(), rel=1e-5)


@pytest.mark.parametrize("start", ["half He", "PyTorch", "Xavier", "He"])  # with twice He the loss saturates
def test_a_chain_changes_by_the_factor_a_layer(chapter, start):
    depth, logs = 6, []
    for seed in range(4):
        sizes = chapter["gradient_sizes"](
            *chapter["players"](start, seed), chapter["noise"](256, 1_000 + seed)
        )
        logs.append(math.log(sizes[depth + 1] / sizes[-2]))
    deviation = chapter["STARTS"][start](chapter["WIDTH"], chapter["WIDTH"])
    expected = (depth - 1) / 2 * math.log(chapter["factor"](chapter["WIDTH"], deviation))
    assert sum(logs) / len(logs) == pytest.approx(expected, abs=0.4)


def test_zeros_let_nothing_through(chapter):
    sizes = chapter["gradient_sizes"](*chapter["players"]("zeros", 0), chapter["noise"](8, 0))
    assert sizes[-1] > 0 and not any(sizes[:-1])


def test_kept_is_one_of_a_level_chain_and_small_whichever_way_it_leans(chapter):
    assert chapter["kept"]([2, 2, 2]) == 1
    assert chapter["kept"]([1, 10]) == chapter["kept"]([10, 1]) == 0.1
    assert chapter["kept"]([0, 1]) == chapter["kept"]([0, 0]) == 0


def test_the_scale_of_the_weights_drops_out_under_batch_norm_and_only_there(chapter):
    z, kept = chapter["noise"](256, 0), {}
    for norm in (False, True):
        pairs = (chapter["players"](start, 0, norm) for start in ("half He", "twice He"))
        shares = [chapter["kept"](chapter["gradient_sizes"](*pair, z)) for pair in pairs]
        kept[norm] = min(shares)
    assert kept[True] > 20 * kept[False]


def test_one_image_s_logit_knows_the_others_under_batch_norm_and_only_there(chapter):
    images = torch.randn(6, 784, generator=torch.Generator().manual_seed(0))
    for norm in (False, True):
        _, d = chapter["players"]("He", 0, norm)
        own, *others = chapter["reach"](d, images).tolist()
        assert own > 0 and all((other > 0) == norm for other in others)


def test_what_is_too_long_is_clipped_and_what_is_not_is_left(chapter):
    photos = torch.rand(64, 784, generator=torch.Generator().manual_seed(0))
    moved = []
    for clip in (math.inf, 1e6, 1e-3):
        g, d = chapter["players"]("He", 0)
        before = d[0].weight.detach().clone()
        moves = [torch.optim.SGD(network.parameters(), 1e-3) for network in (g, d)]
        chapter["play"](g, d, moves, photos, 0, 1, clip=clip)
        moved.append((d[0].weight - before).norm().item())
    assert moved[0] == moved[1] > 1e-3 > 1.01e-6 >= moved[2] > 0  # rate times limit


def test_the_penalty_makes_the_discriminator_less_steep(chapter):
    photos = torch.rand(256, 784, generator=torch.Generator().manual_seed(0))
    steep = []
    for gamma in (0.0, 10.0):
        g, d = chapter["players"]("He", 0, depth=2)
        chapter["play"](g, d, chapter["adams"](g, d), photos, 0, 20, gamma)
        steep.append(chapter["reach"](d, photos[:1]).item())
    assert steep[1] < steep[0]


def test_one_seed_gives_the_rows_that_the_claims_select(chapter):
    photos = torch.rand(1_200, 784, generator=torch.Generator().manual_seed(0)) * 2 - 1
    rows = chapter["one_seed"](photos.repeat(2, 1), photos, seed=0, steps=4, turns=1)
    chain = {(r["net"], r["start"], r["at"]) for r in rows if r["study"] == "chain"}
    assert {("plain", "He", "end"), ("norm", "twice He", "start"), ("linear", "orthogonal", "end")} <= chain
    assert all(("steady" in r) == (r["at"] == "end") for r in rows if r["study"] == "chain")
    ways = [r["way"] for r in rows if r["study"] == "balance"]
    assert sorted(ways) == sorted([*chapter["WAYS"], "photos"])
    assert {r["seed"] for r in rows} == {0}
