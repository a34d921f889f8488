"""The labs that train in the page compute what the package and the chapters do; gradients are PyTorch's."""

import itertools
import math
from pathlib import Path

import browser
import numpy as np
import pytest
import torch
from chapters import run_core
from playwright.sync_api import sync_playwright
from torch import nn

from prodgen import data, losses, presets, recorded, training

MATHS = Path(__file__).parents[1] / "book/_static/labs/plane.js"
ACTIVATIONS = {"leaky(0)": nn.ReLU(), "leaky(0.2)": nn.LeakyReLU(0.2), "silu": nn.SiLU()}
CLOSE = {"rtol": 1e-4, "atol": 1e-6}
START = {"shop": "ring", "loss": "non-saturating", "gamma": 0, "turns": [1, 1], "rates": [2e-3, 2e-3]}
PRESETS = recorded.labs()["gan-plane"]["presets"]


@pytest.fixture(scope="module")
def plane(chromium):
    """Evaluates a script's body in a page that has the maths; typed arrays come back as lists."""
    with sync_playwright() as playwright:
        started = browser.launch(playwright, chromium)
        page = started.new_page()
        page.goto("data:text/html,<!doctype html><title>plane</title>")
        page.add_script_tag(path=MATHS)

        def plane(body, **values):
            names = ", ".join(values)
            return page.evaluate(f"({{{names}}}) => {{ const P = prodgenPlane; {body} }}", values)

        yield plane
        started.close()


def tensor(values, *shape):
    return torch.tensor(values, dtype=torch.float32).reshape(shape or (-1,))


def twin(parameters, widths, activation):
    """The same network in PyTorch."""
    layers, rest = [], tensor(parameters)
    for layer, (a, b) in enumerate(itertools.pairwise(widths)):
        linear = nn.Linear(a, b)
        weight, bias, rest = rest[: a * b], rest[a * b : (a + 1) * b], rest[(a + 1) * b :]
        linear.weight.data, linear.bias.data = weight.reshape(a, b).T.contiguous(), bias
        layers += [linear, ACTIVATIONS[activation]] if layer + 2 < len(widths) else [linear]
    assert len(rest) == 0
    return nn.Sequential(*layers)


def gradient_of(network):
    """In the order of the page: each layer's weight, from by to, then its bias."""
    parts = [p.grad.T.flatten() if p.dim() == 2 else p.grad for p in network.parameters()]
    return torch.cat(parts)


# ---------------------------------------------------------------- gradients


@pytest.mark.parametrize("player", ["discriminator", "generator"])
@pytest.mark.parametrize("name", losses.ADVERSARIAL)
def test_a_loss_and_its_slopes(name, player, plane):
    rng = torch.Generator().manual_seed(0)
    real, fake = 4 * torch.randn(2, 50, generator=rng)
    real.requires_grad_(), fake.requires_grad_()
    value = getattr(losses.ADVERSARIAL[name], player)(real, fake)
    slopes = torch.autograd.grad(value.sum(), (real, fake), materialize_grads=True, allow_unused=True)
    ours = plane(
        "return real.map((a, i) => P.losses[name][player](a, fake[i]));",
        name=name,
        player=player,
        real=real.tolist(),
        fake=fake.tolist(),
    )
    expected = torch.stack([value, *slopes], dim=1)
    torch.testing.assert_close(tensor(ours, 50, 3), expected, **CLOSE)


def test_the_page_has_the_losses_of_the_package(plane):
    assert plane("return Object.keys(P.losses);") == list(losses.ADVERSARIAL)


@pytest.mark.parametrize("widths", [[2, 32, 32, 1], [2, 24, 2], [1, 9, 7, 3]], ids=str)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_network_and_its_gradient(activation, widths, plane):
    out, x, parameters, by_x, gradient = plane(
        f"""const [net, n] = [P.network(widths, P.{activation}, P.uniforms(3)), 7];
        const x = P.fillNormal(new Float32Array(n * widths[0]), P.uniforms(4));
        const pass = P.room(net, n);
        const out = P.forward(net, pass, x);
        const byX = P.backward(net, pass, out.map((value, i) => value * (1 + i)));
        return [out, x, net.parameters, byX, net.gradient].map((a) => Array.from(a));""",
        widths=widths,
    )
    network = twin(parameters, widths, activation)
    x = tensor(x, 7, widths[0]).requires_grad_()
    expected = network(x)
    torch.testing.assert_close(tensor(out, 7, widths[-1]), expected, **CLOSE)
    weight = 1 + torch.arange(expected.numel()).view_as(expected)
    (0.5 * weight * expected.square()).sum().backward()
    torch.testing.assert_close(tensor(by_x, *x.shape), x.grad, **CLOSE)
    torch.testing.assert_close(tensor(gradient), gradient_of(network), **CLOSE)


@pytest.mark.parametrize("widths", [[2, 32, 32, 1], [2, 12, 1], [3, 8, 9, 10, 1]], ids=str)
def test_the_penalty_and_its_gradient(widths, plane):
    penalty, x, parameters, gradient = plane(
        """const [net, n] = [P.network(widths, P.leaky(0.2), P.uniforms(5)), 64];
        const x = P.fillNormal(new Float32Array(n * widths[0]), P.uniforms(6));
        const pass = P.room(net, n);
        P.forward(net, pass, x);
        const penalty = P.r1Penalty(net, pass, 3.5);
        return [penalty, ...[x, net.parameters, net.gradient].map((a) => Array.from(a))];""",
        widths=widths,
    )
    network = twin(parameters, widths, "leaky(0.2)")
    x = tensor(x, 64, widths[0]).requires_grad_()
    expected = losses.r1_penalty(network(x).squeeze(1), x).mean()
    assert math.isclose(penalty, expected.item(), rel_tol=1e-4)
    (3.5 * expected).backward()
    for parameter in network.parameters():
        if parameter.grad is None:  # the last bias: no slope depends on it
            parameter.grad = torch.zeros_like(parameter)
    torch.testing.assert_close(tensor(gradient), gradient_of(network), **CLOSE)


@pytest.mark.parametrize("loss", losses.ADVERSARIAL)
def test_both_turns_of_a_game_learn_what_the_trainer_would(loss, plane):
    d, g, real, z, by_d, by_g, said = plane(
        """const game = P.gan(7, settings);
        for (let i = 0; i < 20; i++) game.round();
        const kept = [game.discriminator.parameters, game.generator.parameters, game.real, game.z]
          .map((a) => Array.from(a));
        game.learnD();
        const byD = Array.from(game.discriminator.gradient);
        game.learnG();
        return [...kept, byD, Array.from(game.generator.gradient), game.loss];""",
        settings=START | {"loss": loss, "gamma": 2.0},
    )
    discriminator, generator = twin(d, [2, 32, 32, 1], "leaky(0.2)"), twin(g, [2, 32, 32, 2], "leaky(0)")
    real, fake = tensor(real, 64, 2).requires_grad_(), generator(tensor(z, 64, 2))
    players = losses.ADVERSARIAL[loss]
    real_logits = discriminator(real).squeeze(1)
    loss_d = players.discriminator(real_logits, discriminator(fake.detach()).squeeze(1))
    (loss_d + 2.0 / 2 * losses.r1_penalty(real_logits, real)).mean().backward()
    torch.testing.assert_close(tensor(by_d), gradient_of(discriminator), **CLOSE)
    loss_g = players.generator(discriminator(real).squeeze(1), discriminator(fake).squeeze(1))
    loss_g.mean().backward()
    torch.testing.assert_close(tensor(by_g), gradient_of(generator), **CLOSE)
    assert np.allclose(said, [loss_d.mean().item(), loss_g.mean().item()], rtol=1e-4)


def test_a_turn_of_g_leaves_d_alone(plane):
    assert plane(
        """const game = P.gan(7, settings);
        game.learnG();
        return game.discriminator.gradient.every((value) => value === 0);""",
        settings=START,
    )


@pytest.mark.parametrize("latent", [1, 2])
@pytest.mark.parametrize("beta", [0.0, 1.0, 3.0])
def test_a_vae_learns_the_bound_of_the_package(beta, latent, plane):
    encoder, decoder, log_sigma, x, noise, by_encoder, by_decoder, by_sigma, said = plane(
        """const model = P.vae(7, latent, settings);
        for (let i = 0; i < 20; i++) model.round();
        const { encoder, decoder, logSigma, x, noise, bySigma } = model;
        const lists = (...all) => all.map((one) => Array.from(one));
        const kept = lists(encoder.parameters, decoder.parameters, logSigma, x, noise);
        model.learn();
        const learned = lists(encoder.gradient, decoder.gradient, bySigma);
        return [...kept, ...learned, [model.reward, model.price]];""",
        latent=latent,
        settings={"shop": "ring", "beta": beta, "rate": 4e-3},
    )
    encode, decode = (
        twin(encoder, [2, 32, 32, 2 * latent], "silu"),
        twin(decoder, [latent, 32, 32, 2], "silu"),
    )
    log_sigma, x = tensor(log_sigma).requires_grad_(), tensor(x, 64, 2)
    mean, log_var = encode(x).chunk(2, dim=1)
    z = mean + torch.exp(0.5 * log_var) * tensor(noise, 64, latent)
    reward = losses.gaussian_log_likelihood(x, decode(z), log_sigma)
    price = losses.gaussian_kl(mean, log_var)
    (-losses.elbo(reward, beta * price)).mean().backward()
    assert np.allclose(said, [reward.mean().item(), price.mean().item()], rtol=1e-4)
    torch.testing.assert_close(tensor(by_encoder), gradient_of(encode), **CLOSE)
    torch.testing.assert_close(tensor(by_decoder), gradient_of(decode), **CLOSE)
    torch.testing.assert_close(tensor(by_sigma), log_sigma.grad, **CLOSE)


# ---------------------------------------------------------------- steps


@pytest.mark.parametrize("betas", [presets.GANRecipe().betas, presets.VAERecipe().betas], ids=["gan", "vae"])
def test_adam(betas, plane):
    gradients = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    ours = plane(
        """const [p, g] = [new Float32Array(5), new Float32Array(5)];
        const step = P.adam(p, g, betas);
        return gradients.map((row) => { g.set(row); step(0.01); return [...p, ...g]; });""",
        gradients=gradients.tolist(),
        betas=list(betas),
    )
    parameter = torch.zeros(5, requires_grad=True)
    optimiser = torch.optim.Adam([parameter], lr=0.01, betas=betas)
    for row, found in zip(gradients, ours, strict=True):
        parameter.grad = row.clone()
        optimiser.step()
        torch.testing.assert_close(tensor(found[:5]), parameter.detach(), **CLOSE)
        assert found[5:] == [0] * 5  # begun anew


def test_the_average_is_that_of_the_package(plane):
    first, walk = plane(
        """const game = P.gan(3, settings);
        const first = Array.from(game.generator.parameters);
        return [first, Array.from({ length: 200 }, () => {
          game.round();
          return [game.generator.parameters, game.average.parameters].map((p) => [p[0], p[500], p.at(-1)]);
        })];""",
        settings=START,
    )
    follower = nn.Linear(3, 1, bias=False)
    follower.weight.data = tensor([first[0], first[500], first[-1]], 1, 3)
    average = training.EMA(follower, presets.GANRecipe().ema_half_life)
    for number, (own, followed) in enumerate(walk):
        follower.weight.data = tensor(own, 1, 3)
        average.update(follower, 64 * (number + 1), 64)
        torch.testing.assert_close(
            tensor(followed, 1, 3), average.model.weight.detach(), rtol=1e-3, atol=1e-5
        )


# ---------------------------------------------------------------- as the chapter has it


@pytest.fixture(scope="module")
def chapter():
    names = {"names": data.describe("fashion-mnist").class_names}
    return run_core("03-1-gan", names, "experiment")


def test_the_ring_and_its_counts(chapter, plane):
    centres, spread, photos = plane(
        """const points = P.fillReal(new Float32Array(8000), P.shops.ring, P.uniforms(1));
        return [P.shops.ring.map(({ centre }) => centre), P.SPREAD, Array.from(points)];"""
    )
    torch.testing.assert_close(tensor(centres, 8, 2), chapter["CENTRES"], rtol=0, atol=1e-6)
    assert spread == chapter["SPREAD"]
    photos = tensor(photos, -1, 2)
    distances = torch.cdist(photos, chapter["CENTRES"]).min(dim=1)
    assert torch.bincount(distances.indices).float().div(500).sub(1).abs().max() < 0.2
    assert math.isclose(distances.values.square().mean().item(), 2 * spread**2, rel_tol=0.1)
    sets = [photos, photos[photos[:, 0] > 1.7], photos[photos[:, 1] > 0], 0 * photos, 1.03 * photos]
    looks = plane(
        "return sets.map((points) => P.modesFound(Float32Array.from(points.flat()), P.shops.ring));",
        sets=[points.tolist() for points in sets],
    )
    for points, look in zip(sets, looks, strict=True):
        found, inside = chapter["modes_found"](points)
        assert look["found"] == found and math.isclose(look["inside"], inside, abs_tol=2e-3)
    for some in ([0], [1], [3], [1, 3], [0, 1], [1, 2]):
        assert plane("return P.collapsed(looks, P.shops.ring);", looks=[looks[i] for i in some]) == chapter[
            "collapsed"
        ]([sets[i] for i in some])


@pytest.mark.parametrize("shop", ["ring", "grid", "two", "rare"])
def test_a_shop_finds_all_of_its_own_clouds(shop, plane):
    look, clouds, shares = plane(
        """const points = P.fillReal(new Float32Array(8000), P.shops[shop], P.uniforms(2));
        const clouds = P.shops[shop];
        return [P.modesFound(points, clouds), clouds.length, clouds.map(({ share }) => share)];""",
        shop=shop,
    )
    assert look["found"] == clouds and look["inside"] > 0.98
    assert math.isclose(sum(shares), 1, rel_tol=1e-9)


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("gamma", [0.0, 0.3, 2.5])
@pytest.mark.parametrize("rate", [0.02, 0.2, 1.5])
def test_the_smallest_gan(rate, gamma, at_once, chapter, plane):
    place, factor = plane(
        """let place = [1, 0];
        for (let i = 0; i < 12; i++) place = P.bilinearTurn(place, rate, gamma, atOnce);
        return [place, P.bilinearGrowth(rate, gamma, atOnce)];""",
        rate=rate,
        gamma=gamma,
        atOnce=at_once,
    )
    assert np.allclose(place, chapter["orbit"](12, rate, gamma, at_once)[-1])
    assert math.isclose(factor, chapter["growth"](rate, gamma, at_once), rel_tol=1e-6)


def test_chance_is_normal_and_the_seed_s(plane):
    one, same, other = plane(
        "return [1, 1, 2].map((seed) => Array.from(P.fillNormal(new Float32Array(20001), P.uniforms(seed))));"
    )
    assert one == same and one != other
    values = tensor(one)
    assert abs(values.mean()) < 0.03 and abs(values.std() - 1) < 0.02 and values.abs().max() > 3


def test_what_is_called_a_collapse_is_one_and_its_cure_cures(plane):
    """The settings of the two buttons, on one seed."""
    trial = {"loss": "non-saturating", "rateD": "0.002", "rateG": "0.002"}
    provoked = {"shop": "ring of eight", "gamma": 0, "turns": "ten of G"}
    assert PRESETS == {"provoked": trial | provoked, "cured": trial | {"gamma": 1, "turns": "one each"}}
    before, after = plane(
        """const game = P.gan(3, settings);
        const room = P.room(game.generator, 1000);
        const z = P.fillNormal(new Float32Array(2000), P.uniforms(99));
        const tenLooks = () => Array.from({ length: 10 }, () => {
          for (let i = 0; i < 50; i++) game.round();
          return P.modesFound(P.forward(game.generator, room, z), P.shops.ring);
        });
        const before = [tenLooks(), tenLooks()][1];
        Object.assign(game.settings, { gamma: 1, turns: [1, 1] });
        return [before, [tenLooks(), tenLooks()][1]].map((looks) => P.collapsed(looks, P.shops.ring));""",
        settings=START | {"turns": [1, 10]},
    )
    assert before and not after


def test_a_posterior_collapses_on_the_ring_and_annealing_cures_it(plane):
    """As the chapter's text says: the better bound was there, and the road to it was bad."""
    stuck, annealed = plane(
        """const model = P.vae(0, 1, settings);
        const bound = (rounds, weight) => {
          let sum = 0;
          for (let i = 0; i < rounds; i++) {
            model.settings.beta = weight(i);
            model.round();
            if (i >= rounds - 100) sum += (model.reward - model.price) / 100;
          }
          return sum;
        };
        return [bound(1000, () => 1), bound(2000, (i) => Math.min(1, 0.05 + i / 1500))];""",
        settings={"shop": "ring", "beta": 1, "rate": 4e-3},
    )
    assert stuck < -3.3 and annealed > stuck + 1
