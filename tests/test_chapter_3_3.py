"""Chapter 3.3's own functions: budget, draws, evenness, intervals, times, costs, first steps, explorer."""

import math

import numpy as np
import pytest
import torch
from chapters import run_core
from matplotlib.figure import Figure
from scipy import stats

from prodgen import evaluation, models

NAME = "03-3-comparison"
SEEDS = range(5)
MEASURES = ("fid", "fid_train", "precision", "recall", "density", "coverage", "sharpness", "evenness")


@pytest.fixture(scope="module")
def chapter() -> dict:
    """What the cells tagged `core` define, at preset smoke."""
    namespace: dict = {"preset": "smoke", "seed": 0}
    return run_core(NAME, namespace)


def made_up(gan, vae, drawn=None, wobble=0.01) -> list[dict]:
    """A record: for each learning rate the GAN's, VAE's and drawn VAE's scores, which wobble over seeds."""
    rows = []
    for rate in (1e-3, 4e-3, 1.6e-2):
        for seed in SEEDS:
            for model, is_drawn, score in (
                ("gan", False, gan),
                ("vae", False, vae),
                ("vae", True, drawn or vae),
            ):
                times = {1e-3: score.get("lower", 1.2), 4e-3: 1.0, 1.6e-2: score.get("higher", 1.2)}[rate]
                factor = 1 + wobble * (seed - 2)
                row = {key: score.get(key, 0.5) * factor for key in MEASURES}
                row |= {"fid": score["fid"] * times * factor, "fid_train": score["fid"] * times * factor}
                row |= {"part": "grid", "model": model, "drawn": is_drawn, "rate": rate, "seed": seed}
                row["path"] = [[n, d * factor] for n, d in score.get("path", [[1, 100.0], [2, 50.0]])]
                rows.append(row)
    for seed in SEEDS:
        for is_drawn in (False, True):
            about = {"part": "photos", "model": "photos", "drawn": is_drawn, "seed": seed}
            rows.append(about | {key: 1.0 for key in MEASURES})
    return rows


def test_a_budget_is_speed_times_seconds_in_thousands(chapter):
    assert chapter["budget"]([990, 1000, 1013], 60) == 60_000
    assert chapter["budget"]([1004.0], 20) == 20_000


def test_drawn_pixels_are_black_or_white_with_the_right_mean(chapter):
    means = torch.linspace(-1, 1, 5)[:, None].repeat(1, 40_000)
    drawn = chapter["draw"](means, seed=3)
    assert set(drawn.unique().tolist()) == {-1.0, 1.0}
    torch.testing.assert_close(drawn.mean(1), means[:, 0], atol=0.02, rtol=0)
    assert torch.equal(drawn, chapter["draw"](means, seed=3))
    assert not torch.equal(drawn, chapter["draw"](means, seed=4))
    # What the package's VAE scores is drawn from photos in the same way.
    target = 2 * models.VAE(width=4).target(means, torch.Generator().manual_seed(0)) - 1
    torch.testing.assert_close(target.mean(1), drawn.mean(1), atol=0.03, rtol=0)


def test_evenness_is_the_entropy_over_its_maximum(chapter):
    labels = torch.randint(0, 7, (500,), generator=torch.Generator().manual_seed(0))
    share = evaluation.class_histogram(labels, 10).double() / 500
    expected = stats.entropy(share.numpy()) / math.log(10)
    assert chapter["evenness"](labels) == pytest.approx(expected)
    assert chapter["evenness"](torch.arange(10)) == pytest.approx(1)


def test_the_interval_is_welch_s(chapter):
    rng = np.random.default_rng(0)
    a, b = rng.normal(3, 1, 5), rng.normal(1, 4, 7)
    expected = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.9)
    assert chapter["difference"](a, b, 0.9) == pytest.approx((expected.low, expected.high))
    assert chapter["difference"]([2.0, 2.0], [1.0, 1.0]) == (1.0, 1.0)


def test_the_time_to_a_level_is_exact_on_a_power_law(chapter):
    seconds_to = chapter["seconds_to"]
    path = [[n, 700 * n**-0.5] for n in (1, 2, 4, 8, 16)]
    for level in (600, 400, 250, 180):
        assert seconds_to(path, level, 32) == pytest.approx(2 * (700 / level) ** 2)
    assert seconds_to(path, 900, 32) == 2  # there at the first look
    assert seconds_to(path, 1, 32) == 32  # never


def test_the_learning_rate_is_chosen_by_training_photos_alone(chapter):
    rows = made_up({"fid": 50}, {"fid": 90})
    assert chapter["chosen_rate"](rows, "gan") == 4e-3
    for row in rows:
        if row["model"] == "gan" and row["rate"] == 1e-3:
            row["fid_train"] = 1.0
    assert chapter["chosen_rate"](rows, "gan") == 1e-3
    assert chapter["neighbours"](rows, "gan") == [4e-3]
    assert chapter["neighbours"](rows, "vae") == [1e-3, 1.6e-2]


def test_the_common_level_is_one_that_both_reach(chapter):
    quick = {"fid": 50, "path": [[1, 100.0], [2, 50.0], [60, 40.0]]}
    slow = {"fid": 50, "path": [[1, 100.0], [30, 70.0], [60, 50.0]]}
    level, spent = chapter["times"](made_up(slow, quick, wobble=0.001))
    assert level == pytest.approx(1.05 * 50)  # the worse of the two ends, and a twentieth of slack
    assert max(spent["vae"]) < 2 < 30 < min(spent["gan"]) < 60


def test_precision_with_all_balls_is_the_package_s(chapter):
    real, generated = torch.randn(2, 300, 8, generator=torch.Generator().manual_seed(0))
    ours = [chapter["precision_within"](real, generated, q) for q in (0.2, 0.6, 1.0)]
    theirs = evaluation.precision_recall_density_coverage(real, generated)["precision"]
    assert ours[-1] == pytest.approx(theirs, abs=0.01)
    assert ours == sorted(ours)


def test_counted_bytes_are_those_of_the_living_tensors(chapter):
    watch = chapter["Watch"]()
    with watch:
        a = torch.zeros(1000)
        b = a + 1
        del a
        c = b.view(10, 100) * 2
        del b
    assert watch.peak == 8000 and watch.alive == 4000 and c.shape == (10, 100)


def test_costs_count_every_parameter_and_more_memory_for_more_images(chapter):
    for kind in ("gan", "vae"):
        small, large = (chapter["cost"](kind, batch) for batch in (4, 8))
        trainer = chapter["new_trainer"](kind, 1e-3, 0)
        networks = trainer.networks.values()
        assert small["parameters"] == sum(p.numel() for net in networks for p in net.parameters())
        assert large["peak"] > small["peak"] > 4 * 4 * small["parameters"]  # weights, slopes, two moments
        assert large["operations"] == pytest.approx(small["operations"], rel=0.05)


@pytest.mark.parametrize("measure", ["fid", "recall", "sharpness"])
def test_the_explorer_draws_every_seed(chapter, measure):
    chapter["rows"] = made_up({"fid": 50}, {"fid": 90}, {"fid": 120})
    figure = chapter["explore"](measure, gan_rate=1e-3, vae_rate=1.6e-2)
    assert isinstance(figure, Figure)
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["GAN", "VAE, means", "VAE, drawn"]
    circles = [line.get_xdata() for line in axes.lines if line.get_marker() == "o"]
    expected = chapter["pick"](chapter["rows"], "gan", measure, 1e-3)
    assert list(circles[0]) == expected and len(circles) == 3
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_the_first_steps_of_a_vae_are_the_trainer_s_and_a_warm_up_starts_small(chapter):
    first_steps = chapter["first_steps"]
    full = first_steps(4e-3, steps=2)
    assert len(full) == 2 and all(math.isfinite(kl) for kl in full)
    assert first_steps(4e-3, steps=2) == full
    slow = first_steps(4e-3, warm_up=1000, steps=2)
    assert slow[0] == full[0] and slow[1] < full[1]  # the first KL is of the untrained network
    assert len(first_steps(1e6, steps=50)) < 50  # ends where it is no longer finite


def test_with_a_bound_on_the_log_variance_a_bold_rate_stays_finite(chapter):
    first_steps = chapter["first_steps"]
    assert first_steps(4e-3, bound=1e6, steps=3) == pytest.approx(first_steps(4e-3, steps=3), rel=1e-3)
    held = first_steps(0.016, bound=5, steps=30)
    assert len(held) == 30 and max(held) < max(kl for kl in first_steps(0.016) if math.isfinite(kl))
