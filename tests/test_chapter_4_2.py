"""Chapter 4.2's own functions say what its propositions say, and are the package's where it has them."""

import math

import pytest
import torch
from chapters import run_core
from matplotlib.figure import Figure
from torch.distributions import Normal, kl_divergence

from prodgen import data, evaluation, losses, models, recorded

NAME = "04-2-derivations"


@pytest.fixture(scope="module")
def chapter() -> dict:
    """What the cells tagged `core` define, and nothing else of the notebook."""
    return run_core(NAME, {})


@pytest.fixture
def logits() -> torch.Tensor:
    return torch.linspace(-30, 30, 121, dtype=torch.float64, requires_grad=True)


def test_a_mean_is_judged_by_its_standard_error(chapter):
    values = torch.randn(10_000, generator=torch.Generator().manual_seed(0))
    found = chapter["estimate"](values + 3)
    assert found.standard_error == pytest.approx(0.01, rel=0.05)
    assert chapter["agrees"](found, 3) and not chapter["agrees"](found, 3.1)


def test_the_logarithms_are_those_of_the_sigmoid(chapter, logits):
    torch.testing.assert_close(chapter["log_sigmoid"](logits), torch.nn.functional.logsigmoid(logits))
    torch.testing.assert_close(
        chapter["log_one_minus_sigmoid"](logits), torch.nn.functional.logsigmoid(-logits)
    )


def test_the_article_s_identity_holds_nowhere_and_the_second_at_one_logit(chapter, logits):
    ours, theirs = chapter["log_sigmoid"](logits), chapter["article_s_log_sigmoid"](logits)
    torch.testing.assert_close(theirs, torch.nn.functional.softplus(logits))
    assert ((theirs - ours) >= math.log(4) - 1e-12).all()
    gap = chapter["article_s_log_one_minus_sigmoid"](logits) - chapter["log_one_minus_sigmoid"](logits)
    signs = gap.sign().diff().abs()
    assert signs.sum() == 2  # it changes sign once
    crossing = logits[signs.argmax()].item()
    assert crossing < -0.7645 < crossing + 0.5


def test_the_article_s_third_line_is_the_minimax_loss(chapter, logits):
    lines = list(chapter["generator_lines"](logits).values())
    torch.testing.assert_close(lines[0], losses.non_saturating_generator(logits, logits))
    torch.testing.assert_close(lines[1], losses.minimax_generator(logits, logits))
    torch.testing.assert_close(lines[3], lines[0])
    assert lines[2][-1] < -29  # no lower end


def test_the_slopes_are_autograd_s(chapter, logits):
    for ours, loss in zip(
        chapter["slopes"](logits), (losses.minimax_generator, losses.non_saturating_generator), strict=True
    ):
        (slope,) = torch.autograd.grad(loss(logits, logits).sum(), logits)
        torch.testing.assert_close(ours, slope)


def test_the_discriminator_s_losses(chapter, logits):
    real, fake = logits, logits.flip(0)
    ours = chapter["discriminator_loss"](real, fake)
    assert torch.equal(ours, losses.cross_entropy_discriminator(real, fake))
    wrong = chapter["article_s_discriminator_loss"](real, fake)
    for slope in torch.autograd.grad(wrong.sum(), logits):  # pushes all logits up
        assert (slope < 0).all()


def test_a_gradient_s_length_is_that_of_all_weights_together(chapter):
    torch.manual_seed(0)
    classes = data.Condition.of_classes("abcdef")
    G, D = models.Generator(width=8, condition=classes), models.Discriminator(width=8)
    z, condition = torch.randn(6, 64), classes.in_turn(6)
    length = chapter["gradient_length"](G, D, losses.non_saturating_generator, z, condition)
    a = D(G(z, condition))
    losses.non_saturating_generator(a, a).mean().backward()
    assert length == pytest.approx(math.sqrt(sum(p.grad.square().sum().item() for p in G.parameters())))


def test_a_seed_s_rows_and_their_ratio(chapter):
    rows = chapter["one_seed"](3, stages=(0, 2))
    assert [(r["seed"], r["generator"], r["steps"]) for r in rows] == [
        (3, name, step) for name in ("untrained", "shipped") for step in (0, 2)
    ]
    assert all(r["minimax"] > 0 and r["non-saturating"] > 0 and 0 < r["belief"] < 1 for r in rows)
    (ratio,) = chapter["log_ratios"](rows, "shipped")
    assert ratio == pytest.approx(math.log10(rows[3]["minimax"] / rows[3]["non-saturating"]))


def test_the_record_holds_the_study_that_the_text_describes(chapter):
    record = recorded.load_result("04-2-derivations")
    assert len(record["stamp"]["seeds"]) >= 5
    found = {(r["seed"], r["generator"], r["steps"]) for r in record["values"]}
    assert found == {
        (seed, name, step)
        for seed in record["stamp"]["seeds"]
        for name in chapter["GENERATORS"]
        for step in chapter["STAGES"]
    }


def test_the_best_discriminator_s_logit_is_the_ratio(chapter):
    p, q = Normal(0.0, 1.0), Normal(1.5, 2.0)
    x = torch.linspace(-5, 5, 11)
    best = chapter["optimal_discriminator"](p.log_prob(x), q.log_prob(x))
    density = p.log_prob(x).exp(), q.log_prob(x).exp()
    torch.testing.assert_close(best, density[0] / (density[0] + density[1]))
    a = torch.zeros(11, requires_grad=True)  # the loss's slope is zero there and nowhere else
    a.data = chapter["optimal_logit"](p.log_prob(x), q.log_prob(x))
    loss = (density[0] * losses.cross_entropy_discriminator(a, torch.full((11,), -1e9))).sum()
    loss = loss + (density[1] * losses.cross_entropy_discriminator(torch.full((11,), 1e9), a)).sum()
    (slope,) = torch.autograd.grad(loss, a)
    torch.testing.assert_close(slope, torch.zeros(11), atol=1e-6, rtol=0)


def test_the_divergences_on_the_grid(chapter):
    grid = chapter["GRID"]
    p, q = Normal(0.0, 1.0), Normal(1.0, 2.0)
    on_grid = p.log_prob(grid), q.log_prob(grid)
    assert chapter["kl"](*on_grid).item() == pytest.approx(kl_divergence(p, q).item(), rel=1e-5)
    jsd = chapter["jensen_shannon"]
    assert jsd(*on_grid).item() == pytest.approx(jsd(*on_grid[::-1]).item())
    assert jsd(on_grid[0], on_grid[0]).item() == pytest.approx(0, abs=1e-12)
    far = Normal(25.0, 0.5).log_prob(grid)
    assert jsd(on_grid[0], far).item() == pytest.approx(math.log(2))
    assert chapter["value_at_optimum"](on_grid[0], far).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("apart", [0.0, 1.0, 5.0])
def test_what_the_two_losses_descend(chapter, apart):
    for left, right in chapter["gradients_at_optimum"](apart):
        assert left == pytest.approx(right, abs=1e-8)


@pytest.mark.parametrize("settings", [{}, {"apart": 0.0, "width": 1.0}, {"apart": 8.0, "width": 0.25}])
def test_the_explorer_draws_and_writes_the_divergence(chapter, settings):
    figure = chapter["explore"](**settings)
    assert isinstance(figure, Figure) and len(figure.axes) == 3
    jsd = chapter["jensen_shannon"](
        *chapter["gaussian_pair"](*({"apart": 2.0, "width": 1.0} | settings).values())
    )
    assert figure.axes[2].get_title() == f"JSD = {jsd.item():.3f}"
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_the_gaussian_divergence(chapter):
    rng = torch.Generator().manual_seed(0)
    mean, log_var, other, other_log_var = torch.randn(4, 8, 5, generator=rng)
    torch.testing.assert_close(chapter["gaussian_kl"](mean, log_var), losses.gaussian_kl(mean, log_var))
    of_torch = kl_divergence(
        Normal(mean, torch.exp(log_var / 2)), Normal(other, torch.exp(other_log_var / 2))
    ).sum(dim=1)
    torch.testing.assert_close(chapter["gaussian_kl"](mean, log_var, other, other_log_var), of_torch)


def test_the_linear_model_s_evidence_is_likelihood_times_prior_over_posterior(chapter):
    x = torch.randn(300, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = x @ torch.linspace(0.2, 3, 9, dtype=torch.float64).diag()
    model = chapter["LinearVAE"](x, d=3)
    mean, log_var = model.posterior(x[:1])
    for z in torch.randn(4, 1, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64):
        log_joint = model.log_likelihood(x[0], z) + Normal(0.0, 1.0).log_prob(z).sum()
        log_posterior = Normal(mean, torch.exp(log_var / 2)).log_prob(z).sum()
        evidence = chapter["elbo_from_joint"](log_joint, log_posterior)
        torch.testing.assert_close(evidence, model.log_evidence(x[:1]))
        assert abs(chapter["gap"](model.log_evidence(x[:1]), evidence)) < 1e-9


def test_the_linear_model_is_the_most_likely_one(chapter):
    x = torch.randn(500, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = x @ torch.tensor([4.0, 3, 1, 0.9, 0.8, 0.7], dtype=torch.float64).diag()
    model = chapter["LinearVAE"](x, d=2)
    best = model.log_evidence(x).mean()
    for change in (0.9, 1.1):
        other = chapter["LinearVAE"](x, d=2)
        other.W = other.W * change
        assert other.log_evidence(x).mean() < best
        other = chapter["LinearVAE"](x, d=2)
        other.variance = other.variance * change
        assert other.log_evidence(x).mean() < best


def test_the_bounds_are_the_package_s(chapter):
    log_weights = 40 * torch.randn(16, 9, generator=torch.Generator().manual_seed(3)) - 300
    ours = chapter["importance_weighted_bound"](log_weights)
    assert torch.equal(ours, losses.importance_weighted_bound(log_weights))
    torch.testing.assert_close(chapter["logsumexp"](log_weights), torch.logsumexp(log_weights, dim=0))
    values = torch.randn(2, 9)
    assert torch.equal(chapter["elbo"](*values), losses.elbo(*values))


def test_the_log_weights_are_those_of_the_package_s_bound(chapter):
    torch.manual_seed(0)
    vae = models.VAE(width=8, latent_dim=4).eval()
    images = torch.randint(0, 256, (5, 1, 28, 28), dtype=torch.uint8)
    some = data.dataset.ImageDataset("noise", "test", images, "CC0", "made here")
    target = vae.target(some.batch(slice(0, 5)), torch.Generator().manual_seed(7))
    log_w = chapter["log_weights"](vae, target, 6, torch.Generator().manual_seed(8))
    assert log_w.shape == (6, 5)
    theirs = evaluation.importance_weighted(vae, some, k=6, seed=7, batch_size=5)
    bound = chapter["importance_weighted_bound"](log_w)
    assert bound.double().mean().item() == pytest.approx(theirs.mean, rel=1e-6)


def test_softplus_stays_within_the_machine(chapter):
    a = torch.tensor([-1e4, -104.0, -20.0, 0.0, 20.0, 104.0, 1e4], requires_grad=True)
    ours = chapter["stable_softplus"](a)
    torch.testing.assert_close(ours, torch.nn.functional.softplus(a))
    (slope,) = torch.autograd.grad(ours.sum(), a)
    assert slope.isfinite().all()


def test_both_estimators_are_right_on_average_and_the_pathwise_one_is_exact_for_a_line(chapter):
    slope = torch.tensor([2.0, -1.0])
    mean, log_var = torch.tensor([0.5, 1.0]), torch.tensor([0.0, -1.0])
    noise = torch.randn(200_000, 2, generator=torch.Generator().manual_seed(0))

    def f(z):
        return z @ slope + 100

    path = chapter["pathwise_gradient"](f, mean, log_var, noise)
    assert torch.allclose(path[:, :2], slope.expand(len(noise), 2))
    score = chapter["score_gradient"](f, mean, log_var, noise, 100.0)
    torch.testing.assert_close(score.mean(0)[:2], slope, atol=0.05, rtol=0)
    plain = chapter["score_gradient"](f, mean, log_var, noise)
    assert plain.var(0).sum() > 100 * score.var(0).sum()


def test_the_gradient_study_finds_the_same_expectation(chapter):
    torch.manual_seed(0)
    vae = models.VAE(width=8, latent_dim=3).eval()
    binary = torch.randint(0, 2, (2, 1, 28, 28), generator=torch.Generator().manual_seed(1)).float()
    rng = torch.Generator().manual_seed(2)
    variances, t_values = chapter["gradient_study"](vae, binary, 400, rng)
    names = "pathwise", "score, baseline", "score"
    assert {name: len(v) for name, v in variances.items()} == dict.fromkeys(names, 2)
    assert len(t_values) == 12 and t_values.abs().max() < 4.5
    assert (variances["pathwise"] < variances["score"]).all()
