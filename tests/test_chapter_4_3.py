"""Chapter 4.3's own functions: the trainer, the augmentation, the scores and their bias, the explorer."""

import math

import pytest
import torch
from chapters import cells, run_core
from matplotlib.figure import Figure

from prodgen import data, evaluation, models, presets, training
from prodgen.data import faces

NAME = "04-3-faces"


@pytest.fixture(scope="module")
def chapter() -> dict:
    """What the cells tagged `core` define, beside the faces."""
    namespace: dict = {"preset": "smoke", "seed": 0, "budget": 64}
    namespace["seeded"] = lambda number=0: torch.Generator().manual_seed(number)
    return run_core(NAME, namespace, "experiment", skip="lfw")


def rng(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def test_the_trainer_is_the_package_s_without_a_penalty(chapter):
    photos, recipe = data.load("faces"), presets.GANRecipe(loss="non-saturating", width=8, r1_gamma=0.0)
    trainers = []
    for kind in (chapter["FaceTrainer"], None):
        torch.manual_seed(0)
        players = models.Generator(width=8), models.Discriminator(width=8)
        trainers.append(kind(players, recipe) if kind else training.GANTrainer(*players, recipe))
        training.train(trainers[-1], photos, images=5 * 64, seed=3, progress=False)
    for name in ("generator", "discriminator"):
        ours, theirs = (getattr(trainer, name).state_dict() for trainer in trainers)
        for key in ours:
            torch.testing.assert_close(ours[key], theirs[key], rtol=0, atol=1e-6)


def test_the_augmentation_stands_at_its_three_places(chapter):
    seen = []

    def note(which):
        def change(x, generator):
            seen.append((which, x.requires_grad))
            return x + 0

        return change

    recipe = presets.GANRecipe(loss="non-saturating", width=8)
    players = models.Generator(width=8), models.Discriminator(width=8)
    trainer = chapter["FaceTrainer"](players, recipe, note("real"), note("fake"))
    trainer.step(chapter["training_faces"][:4], None, rng())
    assert seen == [("real", False), ("fake", False), ("fake", True)]  # the last one teaches G


def test_each_change_does_what_it_says(chapter):
    x = torch.rand(50, 2, 28, 28, generator=rng()) * 2 - 1
    lighter = chapter["brighten"](x, rng(), 0.25) - x
    assert lighter.flatten(1).std(dim=1).max() < 1e-6
    assert 0.2 < lighter.abs().max() <= 0.25 + 1e-6
    assert len(lighter[:, 0, 0, 0].unique()) > 40  # each image has its own draw

    marked = torch.zeros(50, 1, 28, 28)
    marked[:, :, 14, 14] = 1
    places = chapter["shift"](marked, rng(), 0.1).flatten(1).argmax(dim=1)
    assert {int((place // 28 - 14).abs()) for place in places} == {0, 1, 2, 3}
    assert torch.equal(chapter["shift"](torch.ones_like(x), rng()), torch.ones_like(x))

    holes = chapter["cut"](torch.ones_like(x), rng(), 0.4) == 0
    assert torch.equal(holes[:, 0], holes[:, 1])
    sizes = holes[:, 0].flatten(1).sum(dim=1)
    assert sizes.max() == 11**2 and sizes.min() >= 6 * 5
    everything = chapter["cut"](torch.ones_like(x), rng(), 2.0)
    assert everything.abs().max() == 0


def test_auc_is_a_share_of_pairs(chapter):
    a, b = torch.randn(40, generator=rng(1)), torch.randn(30, generator=rng(2)).round()
    pairs = [(x > y) + 0.5 * (x == y) for x in a.tolist() for y in b.tolist()]
    assert chapter["auc"](a, b) == pytest.approx(sum(pairs) / len(pairs))
    assert chapter["auc"](a, a) == 0.5
    assert chapter["logit_gap"](a + 2, a) == pytest.approx(2, abs=1e-6)


def test_copies_are_found_and_strangers_are_not(chapter):
    seen, unseen = (torch.randn(n, 1, 28, 28, generator=rng(n)) for n in (70, 30))
    measure = chapter["nearer_to_training"]
    assert measure(seen + 0.01, seen, unseen) == 1
    assert measure(unseen + 0.01, seen, unseen) == 0
    strangers = torch.randn(2000, 1, 28, 28, generator=rng(5))
    assert measure(strangers, seen, unseen) == pytest.approx(0.7, abs=0.15)


def test_the_inception_score_at_its_ends_and_for_two_sure_classes(chapter):
    score = chapter["inception_score"]
    assert score(torch.full((5, 4), 0.25)) == pytest.approx(1)
    assert score(torch.eye(4)) == pytest.approx(4)
    skewed = torch.tensor([[1.0, 0.0]] * 3 + [[0.0, 1.0]])
    assert score(skewed) == pytest.approx(math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25)))


def test_fid_is_the_package_s_and_survives_too_few_images(chapter):
    x = torch.randn(300, 6, generator=rng(1)) @ torch.randn(6, 6, generator=rng(2))
    y = torch.rand(200, 6, generator=rng(3))
    assert chapter["fid"](x, y) == pytest.approx(evaluation.frechet_distance(x, y), rel=1e-5)
    shift = torch.arange(6.0)
    assert chapter["fid"](x, x + shift) == pytest.approx(shift.square().sum().item(), rel=1e-4)
    few = torch.randn(5, 40, generator=rng(4))
    assert chapter["fid"](few, few) == pytest.approx(0, abs=1e-5)


def test_kid_is_the_package_s_and_unbiased_for_unequal_sizes(chapter):
    x, y = torch.randn(2, 60, 5, generator=rng(1))
    theirs, _ = evaluation.kernel_distance(x, y + 1, subsets=1, subset_size=60)
    assert chapter["kid"](x, y + 1) == pytest.approx(theirs, rel=1e-5)
    values = [
        chapter["kid"](torch.randn(8, 5, generator=rng(i)), torch.randn(20, 5, generator=rng(10_000 + i)))
        for i in range(600)
    ]
    mean, error = torch.tensor(values).mean(), torch.tensor(values).std() / 600**0.5
    assert mean.abs() < 4 * error


def test_the_bias_of_normal_features_is_the_closed_form(chapter):
    x = torch.cat([3 * torch.randn(200_000, 1, generator=rng(1)), torch.zeros(200_000, 1)], dim=1)
    assert chapter["fid_slope"](x) == pytest.approx(3 * 9, rel=0.02)  # one feature, beside a dead one
    f = 5  # 2F for the means, F(F + 1) / 2 for the covariances
    x = torch.randn(200_000, f, generator=rng(2))
    assert chapter["fid_slope"](x) == pytest.approx(2 * f + f * (f + 1) / 2, rel=0.02)
    dead = torch.cat([x, torch.zeros(len(x), 2)], dim=1)
    assert chapter["fid_slope"](dead) == pytest.approx(chapter["fid_slope"](x))


def test_one_seed_of_the_study_has_both_arms_at_the_same_moments(chapter):
    rows = chapter["one_seed"](5, 64)
    assert {row["arm"] for row in rows} == {"none", "both"} and {row["seed"] for row in rows} == {5}
    moments = [[row["images"] for row in rows if row["arm"] == arm] for arm in ("none", "both")]
    assert moments[0] == moments[1] and moments[0][-1] == 64
    assert all(math.isfinite(value) for row in rows for value in row.values() if value != row["arm"])


@pytest.mark.parametrize("strengths", [{}, {"brightness": 1, "translation": 0.5, "cutout": 1, "draw": 7}])
def test_the_explorer_draws(chapter, strengths):
    figure = chapter["explore"](**strengths)
    assert isinstance(figure, Figure)
    assert [text.get_text() for text in figure.axes[0].texts] == ["x", "T(x)", "T(x)"]


def test_lfw_is_asked_for_on_a_full_run_alone(chapter, monkeypatch):
    [cell] = [c for c in cells(NAME) if c.id == "lfw"]
    asked = []

    def out_of_reach():
        asked.append(True)
        raise data.DataError("Connect this machine to a network.")

    monkeypatch.setattr(faces, "load_lfw", out_of_reach)
    for preset, times in (("smoke", 0), ("quick", 0), ("full", 1)):
        exec(cell.source, chapter | {"preset": preset})
        assert len(asked) == times
