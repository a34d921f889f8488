"""The loop keeps its promises: exact resume, whole files, named failures, an honest average."""

import dataclasses
import errno
import itertools
import json
import os
import pickle
import signal
import subprocess
import sys

import pytest
import torch
from torch.nn.functional import interpolate, pad

from prodgen import device, models, presets, training
from prodgen.data import Condition, Factor, ImageDataset, Shuffled, studio
from prodgen.errors import ModelError, ProdgenError
from prodgen.presets import GANRecipe
from prodgen.training import EMA, GANTrainer, TrainingError, new_trainer, train
from prodgen.training.optimiser import learning_rate


def shapes(n=96, num_classes=3, size=28, channels=1):
    """A small data set with something to learn: a bright square whose place is the class."""
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(0, 60, (n, channels, size, size), generator=rng, dtype=torch.uint8)
    labels = torch.arange(n) % max(num_classes, 1)
    for image, label in zip(images, labels, strict=True):
        image[:, 4 + 6 * label : 10 + 6 * label, 8:20] = 255
    known = ({"label": labels}, Condition.of_classes("abcdef"[:num_classes])) if num_classes else ()
    return ImageDataset("shapes", "train", images, "CC0", "made here", *known)


def small(kind, dataset, **changes):
    recipes = {"gan": presets.GANRecipe, "vae": presets.VAERecipe, "classifier": presets.ClassifierRecipe}
    recipe = recipes[kind](width=8, batch_size=16, **changes)
    return new_trainer(kind, dataset, recipe=recipe)


def state_of(trainer):
    return {
        f"{name}.{key}": value
        for name, network in trainer.networks.items()
        for key, value in network.state_dict().items()
    }


@pytest.mark.parametrize("kind", ["gan", "vae", "classifier"])
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(kind):
    runs = []
    for seed in (0, 0, 1):
        trainer = small(kind, shapes())
        train(trainer, shapes(), images=80, seed=seed, progress=False)
        runs.append(state_of(trainer))
    assert all(torch.equal(runs[0][key], runs[1][key]) for key in runs[0])
    assert not all(torch.equal(runs[0][key], runs[2][key]) for key in runs[0])


@pytest.mark.parametrize(("size", "channels", "num_classes"), [(28, 1, 0), (32, 3, 3), (64, 3, 0)])
@pytest.mark.parametrize("kind", ["gan", "vae"])
def test_every_supported_shape_trains(kind, size, channels, num_classes):
    dataset = shapes(32, num_classes, size, channels)
    run = train(small(kind, dataset), dataset, images=48, progress=False)
    assert models.sample(run.model, 2).shape == (2, channels, size, size)
    assert run.model.condition == dataset.condition


def test_pixels_of_colour_photos_are_scored_as_they_are_and_not_as_black_or_white():
    grey, colour = (shapes(32, 0, 28, channels) for channels in (1, 3))
    assert new_trainer("vae", grey).vae.likelihood == "bernoulli"
    vae = new_trainer("vae", colour).vae
    assert vae.likelihood == "gaussian"
    assert torch.equal(vae.target(colour.batch(slice(0, 4))), colour.batch(slice(0, 4)))


def test_a_vae_of_64_pixels_does_not_run_away_on_products_before_white():
    products = studio.render(**studio.random_factors(96, seed=7)).float()
    small_on_white = pad(interpolate(products, size=(48, 48)), (8, 8, 8, 8), value=255).byte()
    photos = ImageDataset("products", "train", small_on_white, "none", "made here")
    [row] = train(new_trainer("vae", photos), photos, images=128 * 6, progress=False).history
    assert row["loss"] < 1e5  # at a rate of 0.004 it is millions of times as much, or not finite


def test_training_learns():
    dataset = shapes()
    losses = train(small("vae", dataset), dataset, images=16 * 300, progress=False).history
    assert losses[-1]["loss"] < 0.8 * losses[0]["loss"]
    accuracy = train(small("classifier", dataset), dataset, images=16 * 100, progress=False).history
    assert accuracy[-1]["accuracy"] > 0.9


def classes_seen(images):
    """Which of the three places is bright: int64 (N,)."""
    places = [images[:, 0, 4 + 6 * k : 10 + 6 * k, 8:20].mean((1, 2)) for k in range(3)]
    return torch.stack(places, dim=1).argmax(1)


@pytest.mark.parametrize("kind", ["gan", "vae"])
def test_the_class_that_is_asked_for_is_drawn_and_where_none_is_all_of_them(kind):
    dataset = shapes()
    changes = {"open_share": 0.5} | ({"learning_rate": 2e-3} if kind == "vae" else {})
    run = train(small(kind, dataset, **changes), dataset, images=16 * 900, progress=False)
    asked = classes_seen(models.sample(run.model, 30, seed=1))
    assert (asked == torch.arange(30) % 3).float().mean() > 0.9
    left_open = models.sample(run.model, 60, dataset.condition.encode(60), seed=1)
    assert torch.bincount(classes_seen(left_open), minlength=3).min() >= 5


def test_factors_are_left_open_alike_for_real_and_generated_images_and_for_both_players():
    dataset = shapes()
    trainer = small("gan", dataset, open_share=1.0)
    told = []
    for network in (trainer.generator, trainer.discriminator):
        network.register_forward_pre_hook(lambda network, arguments: told.append(arguments[1]))
    condition = dataset.conditions()[:16]
    trainer.step(dataset.batch(slice(0, 16)), condition, torch.Generator().manual_seed(0))
    assert len(told) == 5  # G once; D on real and fake for its own step and for G's
    assert all(torch.equal(told[0], other) for other in told)
    kept = told[0].any(dim=1)
    assert 0 < kept.sum() < 16 and torch.equal(told[0][kept], condition[kept])


def test_the_condition_must_be_the_data_s():
    other = dataclasses.replace(shapes(), condition=Condition((Factor("label", ("x", "y", "z")),)))
    with pytest.raises(TrainingError, match="other factors"):
        train(small("gan", shapes()), other, images=32)
    unconditional = new_trainer("gan", shapes(), conditional=False, recipe=GANRecipe(width=8, batch_size=16))
    assert train(unconditional, shapes(), images=32, progress=False).model.condition is None
    many = dataclasses.replace(
        shapes(), factors={"label": torch.zeros(96), "angle": torch.zeros(96)},
        condition=Condition((Factor("label", ("a",)), Factor("angle", period=360))),
    )  # fmt: skip
    with pytest.raises(TrainingError, match=r'dataset.only\("label"\)'):
        new_trainer("classifier", many)
    assert new_trainer("classifier", many.only("label")).classifier.config["num_classes"] == 1


def test_generator_step_changes_the_generator_alone_and_discriminator_step_the_other_alone():
    dataset = shapes()
    trainer = small("gan", dataset)
    real, condition = dataset.batch(slice(0, 16)), dataset.conditions()[:16]

    def copies():
        return [
            [p.detach().clone() for p in network.parameters()]
            for network in (trainer.generator, trainer.discriminator)
        ]

    def same(a, b):
        return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))

    fake = trainer.generator(torch.randn(16, 64), condition)
    before = copies()
    trainer.discriminator_step(real, fake, condition)
    between = copies()
    assert same(before[0], between[0])
    assert not same(before[1], between[1])
    trainer.generator_step(real, fake, condition)
    after = copies()
    assert not same(between[0], after[0])
    assert same(between[1], after[1])
    assert all(p.requires_grad for p in trainer.discriminator.parameters())


def test_discriminator_gradient_is_that_of_the_loss_written_out_with_the_lazy_penalty():
    dataset = shapes()
    trainer = small("gan", dataset, r1_gamma=2.0)
    real, condition = dataset.batch(slice(0, 16)), dataset.conditions()[:16]
    fake = trainer.generator(torch.randn(16, 64), condition).detach()
    d = trainer.discriminator
    for steps, weight in ((0, 2.0 / 2 * 4), (1, 0.0)):  # gamma / 2, times four every fourth step
        trainer.steps = steps
        x = real.clone().requires_grad_()
        a_real, a_fake = d(x, condition), d(fake, condition)
        (gradient,) = torch.autograd.grad(a_real.sum(), x, create_graph=True)
        loss = -torch.nn.functional.logsigmoid(a_real - a_fake).mean()
        loss = loss + weight * gradient.square().sum((1, 2, 3)).mean()
        expected = torch.autograd.grad(loss, list(d.parameters()))
        trainer.optimisers["discriminator"].param_groups[0]["lr"] = 0.0  # look at the gradient, do not move
        trainer.discriminator_step(real.clone(), fake, condition)
        for p, e in zip(d.parameters(), expected, strict=True):
            torch.testing.assert_close(p.grad, e)


KILLED_RUN = """
import os, signal, sys
import torch
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[1])
from test_training import shapes, small
from prodgen import training
kind, out, kill_at, resume = sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5] == "resume"
def kill(run):
    if kill_at and run.images_seen >= kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
training.train(small(kind, shapes()), shapes(), images=560, seed=4, out=out, resume=resume, callbacks=[kill],
               report_every=100, progress=False)
"""


@pytest.mark.parametrize("kind", ["gan", "vae"])
def test_a_run_killed_twice_and_resumed_is_bitwise_the_run_never_interrupted(tmp_path, kind):
    def run(out, kill_at=0, resume="new"):
        script = [sys.executable, "-c", KILLED_RUN, os.path.dirname(__file__), kind, str(tmp_path / out)]
        return subprocess.run([*script, str(kill_at), resume], capture_output=True, text=True)

    whole = run("whole")
    assert whole.returncode == 0, whole.stderr
    assert run("killed", kill_at=200).returncode == -signal.SIGKILL
    assert run("killed", kill_at=400, resume="resume").returncode == -signal.SIGKILL
    again = run("killed", resume="resume")
    assert again.returncode == 0, again.stderr
    a, b = (torch.load(tmp_path / out / "checkpoint.pt", weights_only=True) for out in ("whole", "killed"))
    assert a["images_seen"] == b["images_seen"] == 560
    assert torch.equal(a["noise"], b["noise"])
    for part in ("trainer", "average"):
        flat = [dict(_flatten(state[part])) for state in (a, b)]
        assert flat[0].keys() == flat[1].keys()
        different = [k for k in flat[0] if not _same(flat[0][k], flat[1][k])]
        assert not different
    one, two = (models.load(tmp_path / out / "model.safetensors") for out in ("whole", "killed"))
    assert all(
        torch.equal(x, y) for x, y in zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    )


def _flatten(value, prefix=""):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flatten(inner, f"{prefix}.{key}")
    elif isinstance(value, list):
        yield from _flatten(dict(enumerate(value)), prefix)
    else:
        yield prefix, value


def _same(a, b):
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


def test_ctrl_c_saves_stops_and_can_be_resumed(tmp_path):
    def press(run):
        if not run.interrupted:
            os.kill(os.getpid(), signal.SIGINT)

    dataset = shapes()
    handler = signal.getsignal(signal.SIGINT)
    run = train(
        small("gan", dataset),
        dataset,
        images=320,
        out=tmp_path,
        report_every=100,
        callbacks=[press],
        progress=False,
    )
    assert run.interrupted
    assert 100 <= run.images_seen < 320
    assert signal.getsignal(signal.SIGINT) is handler
    resumed = train(small("gan", dataset), dataset, images=320, out=tmp_path, resume=True, progress=False)
    assert not resumed.interrupted
    assert resumed.images_seen == 320
    plain = train(small("gan", dataset), dataset, images=320, progress=False)
    for x, y in zip(resumed.model.state_dict().values(), plain.model.state_dict().values(), strict=True):
        assert torch.equal(x, y)


def test_a_loss_that_is_not_finite_stops_with_its_step_named_and_the_checkpoint_kept(tmp_path):
    dataset = shapes()
    trainer = small("gan", dataset)
    step = trainer.step

    def poisoned(*args):
        log = step(*args)
        if trainer.steps == 9:
            log["d_loss"] = torch.tensor(float("nan"))
        return log

    trainer.step = poisoned
    with pytest.raises(TrainingError, match="d_loss is nan at step 9"):
        train(trainer, dataset, images=320, out=tmp_path, report_every=96, progress=False)
    kept = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert kept["images_seen"] == 96
    assert all(v.isfinite().all() for state in kept["trainer"]["networks"].values() for v in state.values())


def test_weights_that_are_not_finite_are_never_written(tmp_path):
    dataset = shapes()
    trainer = small("vae", dataset)
    step = trainer.step

    def poisoned(*args):
        log = step(*args)
        if trainer.steps == 12:  # the loss of the last step before a checkpoint is fine, its update was not
            next(trainer.vae.parameters()).data.fill_(float("inf"))
        return log

    trainer.step = poisoned
    with pytest.raises(TrainingError, match="the vae has weights that are not finite after step 12"):
        train(trainer, dataset, images=320, out=tmp_path, report_every=96, progress=False)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["images_seen"] == 96


class Clock:
    """Stands in for the loop's clock: every look at it takes a tenth of a second."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        self.now += 0.1
        return self.now


def test_a_run_of_minutes_ends_with_them_and_counts_them_over_sittings(tmp_path, monkeypatch):
    monkeypatch.setattr("prodgen.training.loop.time", Clock())
    dataset = shapes()
    run = train(small("vae", dataset), dataset, minutes=0.1, out=tmp_path, progress=False)
    assert 6 <= run.seconds < 7
    again = train(small("vae", dataset), dataset, minutes=0.1, out=tmp_path, resume=True, progress=False)
    assert again.images_seen == run.images_seen  # nothing was left of the budget


def test_time_spent_in_callbacks_is_not_counted(monkeypatch):
    clock, dataset = Clock(), shapes()
    monkeypatch.setattr("prodgen.training.loop.time", clock)

    def linger(run):
        clock.now += 1000

    run = train(
        small("vae", dataset), dataset, images=96, report_every=32, callbacks=[linger], progress=False
    )
    assert clock.now > 3000
    assert run.seconds < 1000


def test_starting_over_a_run_or_resuming_it_otherwise_is_refused(tmp_path):
    dataset = shapes()
    train(small("gan", dataset), dataset, images=32, out=tmp_path, progress=False)
    with pytest.raises(TrainingError, match="holds a run already"):
        train(small("gan", dataset), dataset, images=32, out=tmp_path, progress=False)
    with pytest.raises(TrainingError, match=r"started otherwise: seed was 0, is 1"):
        train(small("gan", dataset), dataset, images=32, seed=1, out=tmp_path, resume=True, progress=False)
    with pytest.raises(TrainingError, match="started otherwise: recipe"):
        train(
            small("gan", dataset, r1_gamma=9.0), dataset, images=32, out=tmp_path, resume=True, progress=False
        )


def test_a_damaged_checkpoint_is_refused_in_words(tmp_path):
    dataset = shapes()
    train(small("gan", dataset), dataset, images=32, out=tmp_path, progress=False)
    saved = tmp_path / "checkpoint.pt"
    whole = saved.read_bytes()
    for cut in (0, 100, len(whole) // 2, len(whole) - 1):
        saved.write_bytes(whole[:cut])
        with pytest.raises(TrainingError, match="damaged"):
            train(small("gan", dataset), dataset, images=32, out=tmp_path, resume=True, progress=False)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_checkpoint_that_carries_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "pwned"),))

    torch.save({"settings": Evil()}, tmp_path / "checkpoint.pt")
    with pytest.raises(TrainingError, match="could run any program") as refusal:
        train(small("gan", shapes()), shapes(), images=32, out=tmp_path, resume=True, progress=False)
    assert not (tmp_path / "pwned").exists()
    (tmp_path / "checkpoint.pt").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(TrainingError, match="damaged"):
        train(small("gan", shapes()), shapes(), images=32, out=tmp_path, resume=True, progress=False)
    assert not (tmp_path / "pwned").exists()
    assert "weights_only" not in str(refusal.value)  # PyTorch's own message tells how to run it after all


@pytest.mark.parametrize("budget", [{}, {"images": 5, "minutes": 1}, {"images": 0}, {"minutes": -1}])
def test_a_budget_that_is_none_or_two_is_refused(budget):
    with pytest.raises(TrainingError, match="budget"):
        train(small("vae", shapes()), shapes(), **budget)


def test_an_empty_data_set_is_refused():
    dataset = dataclasses.replace(shapes(), images=torch.empty(0, 1, 28, 28, dtype=torch.uint8)).only()
    with pytest.raises(TrainingError, match="empty"):
        train(small("vae", shapes()), dataset, images=5)


def test_a_data_set_smaller_than_a_batch_trains():
    dataset = shapes(5)
    assert train(small("gan", dataset), dataset, images=40, progress=False).images_seen == 40


def test_shuffled_order_shows_every_image_once_an_epoch_and_can_start_anywhere():
    whole = Shuffled(10, seed=3).take(0, 35)
    for epoch in range(3):
        assert sorted(whole[10 * epoch : 10 * epoch + 10].tolist()) == list(range(10))
    assert whole[:10].tolist() != whole[10:20].tolist()
    assert Shuffled(10, seed=3).take(17, 9).tolist() == whole[17:26].tolist()


def test_learning_rate_is_constant_then_a_cosine_down_to_its_share():
    recipe = GANRecipe()
    assert learning_rate(recipe, 0.0) == learning_rate(recipe, 0.5) == recipe.learning_rate
    middle = recipe.learning_rate * (1 + recipe.final_rate) / 2
    assert learning_rate(recipe, 0.75) == pytest.approx(middle)
    assert learning_rate(recipe, 1.0) == pytest.approx(recipe.final_rate * recipe.learning_rate)
    always = GANRecipe(constant_share=1)
    assert learning_rate(always, 1.0) == always.learning_rate


def test_average_moves_half_way_in_one_half_life_and_takes_buffers_along():
    network = torch.nn.BatchNorm1d(1)
    average = EMA(network, half_life=100)
    with torch.no_grad():
        network.weight.fill_(3.0)
        network.running_mean.fill_(2.0)
        network.num_batches_tracked.fill_(7)
    average.update(network, images_seen=10_000, batch_size=100)  # 5 % of 10,000 is more than 100
    assert average.model.weight.item() == pytest.approx(2.0)  # half way from 1 to 3
    assert average.model.running_mean.item() == pytest.approx(1.0)
    assert average.model.num_batches_tracked.item() == 7
    average.update(network, images_seen=200, batch_size=10)  # now 5 % of 200: half-life 10
    assert average.model.weight.item() == pytest.approx(2.5)


def test_presets_are_resolved_and_an_unknown_one_lists_them(monkeypatch):
    monkeypatch.delenv("PRODGEN_PRESET", raising=False)
    assert presets.resolve("auto") == ("full" if torch.cuda.is_available() else "quick")
    monkeypatch.setenv("PRODGEN_PRESET", "smoke")
    assert presets.resolve("auto") == "smoke"
    assert presets.resolve("study") == "study"
    with pytest.raises(ProdgenError, match=r"preset is 'fast'.*auto, smoke, quick, full, study"):
        presets.resolve("fast")
    monkeypatch.setenv("PRODGEN_PRESET", "fast")
    with pytest.raises(ProdgenError, match=r"PRODGEN_PRESET is 'fast'"):
        presets.resolve("auto")
    for kind in ("gan", "vae", "classifier"):
        budgets = [presets.budget(kind, preset) for preset in presets.PRESETS]
        assert budgets == sorted(budgets)


def test_a_run_folder_holds_a_model_that_says_what_it_is(tmp_path):
    dataset = shapes()
    run = train(small("gan", dataset), dataset, images=64, seed=2, out=tmp_path, progress=False)
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith(".")) == [
        "checkpoint.pt",
        "history.json",
        "model.safetensors",
    ]
    about = models.load_metadata(tmp_path / "model.safetensors")
    assert about["data"] == "shapes/train, 96 images"
    assert about["seed"] == 2
    assert models.load(tmp_path / "model.safetensors").condition == dataset.condition
    assert json.loads((tmp_path / "history.json").read_text()) == run.history
    torch.testing.assert_close(
        models.sample(models.load(tmp_path / "model.safetensors"), 3),
        models.sample(run.model, 3),
        atol=0,
        rtol=0,
    )


@pytest.mark.parametrize(
    "processor, fast",
    [
        ("GenuineIntel avx2 avx512f", False),
        ("GenuineIntel avx512f avx512_bf16", False),
        ("GenuineIntel avx512_bf16 amx_bf16", True),
        ("AuthenticAMD avx512f avx512_bf16", True),
        ("AuthenticAMD avx2", False),
    ],
)
def test_bfloat16_is_used_on_a_processor_only_where_it_is_faster(processor, fast, monkeypatch):
    monkeypatch.setattr("pathlib.Path.read_text", lambda _: processor)
    monkeypatch.setattr("pathlib.Path.is_file", lambda _: True)
    assert device.fast_bfloat16.__wrapped__("cpu") is fast


def test_a_trainer_can_be_built_by_hand_from_any_two_networks():
    generator, discriminator = models.Generator(width=8), models.Discriminator(width=8)
    trainer = GANTrainer(generator, discriminator, GANRecipe(width=8, batch_size=16, loss="non-saturating"))
    dataset = shapes().only()
    assert train(trainer, dataset, images=48, progress=False).images_seen == 48


# ---------------------------------------------------------------- what can happen to a run


def resumed(tmp_path, dataset, trainer=None, **budget):
    trainer = trainer or small("gan", dataset)
    return train(trainer, dataset, out=tmp_path, resume=True, progress=False, **(budget or {"images": 64}))


def test_resuming_with_exchanged_labels_photos_or_classes_is_refused_and_nothing_is_rewritten(tmp_path):
    dataset = shapes()
    train(small("gan", dataset), dataset, images=64, out=tmp_path, progress=False)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    swapped = dataclasses.replace(dataset, factors={"label": 2 - dataset.labels})
    other_photo = dataclasses.replace(dataset, images=dataset.images.clone())
    other_photo.images[5, 0, 3, 3] += 1
    renamed = dataclasses.replace(dataset, condition=Condition.of_classes(["a", "b", "coat"]))
    for changed, difference in (
        (swapped, "photos was with SHA-256"),
        (other_photo, "photos was with SHA-256"),
        (renamed, r"factors was label \(a, b, c\), is label \(a, b, coat\)"),
        (shapes(93), r"data was shapes/train, 96 images, is shapes/train, 93 images"),
    ):
        with pytest.raises(TrainingError, match=difference):
            resumed(tmp_path, changed)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_finished_run_is_not_rewritten_and_can_be_given_a_longer_budget(tmp_path):
    dataset = shapes()
    train(small("gan", dataset), dataset, images=64, out=tmp_path, progress=False)
    written = (tmp_path / "model.safetensors").stat().st_mtime_ns
    assert resumed(tmp_path, dataset, images=64).images_seen == 64
    assert (tmp_path / "model.safetensors").stat().st_mtime_ns == written
    assert resumed(tmp_path, dataset, images=160).images_seen == 160
    assert models.load_metadata(tmp_path / "model.safetensors")["images_seen"] == 160
    longer = resumed(tmp_path, dataset, minutes=1000 / 60_000 + longer_than(tmp_path))
    assert longer.images_seen > 160


def longer_than(folder):
    """Minutes that the run in a folder has had."""
    return torch.load(folder / "checkpoint.pt", weights_only=True)["seconds"] / 60


def test_a_run_starts_from_another_one_and_says_which_weights_did_not_fit(tmp_path):
    train(small("gan", shapes()), shapes(), images=64, out=tmp_path, progress=False)
    two_classes = shapes(64, num_classes=2)
    trainer, fresh = small("gan", two_classes), small("gan", two_classes)
    left_out = training.start_from(trainer, tmp_path)
    assert left_out == ["generator.embedding.weight", "discriminator.embedding.weight"]
    kept = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["trainer"]["networks"]
    for name, network in trainer.networks.items():
        for key, value in network.state_dict().items():
            source = fresh.networks[name].state_dict() if key.startswith("embedding") else kept[name]
            assert torch.equal(value, source[key])
    with pytest.raises(TrainingError, match="holds a gan, not a vae"):
        training.start_from(small("vae", shapes()), tmp_path)
    with pytest.raises(TrainingError, match="holds no run to start from"):
        training.start_from(trainer, tmp_path / "nothing")


def test_a_checkpoint_of_another_release_is_refused_in_words(tmp_path):
    torch.save({"settings": {}, "networks": {}}, tmp_path / "checkpoint.pt")
    with pytest.raises(TrainingError, match="not written by this release"):
        resumed(tmp_path, shapes())


def test_a_checkpoint_of_another_kind_of_device_goes_on_and_says_so(tmp_path, capsys):
    dataset = shapes()
    train(small("vae", dataset), dataset, images=64, out=tmp_path, progress=False)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    # What a GPU's generator keeps: 16 bytes, which a CPU's cannot take.
    state |= {"device": "cuda", "noise": torch.zeros(1, 16, dtype=torch.uint8)}
    torch.save(state, tmp_path / "checkpoint.pt")
    assert resumed(tmp_path, dataset, small("vae", dataset), images=128).images_seen == 128
    assert "was on cuda and goes on with other noise on cpu" in capsys.readouterr().err


def test_a_full_disk_ends_the_run_in_one_sentence_and_the_last_checkpoint_stays(tmp_path, monkeypatch):
    dataset = shapes()
    synced = itertools.count()

    def full(number):
        if next(synced) >= 3:  # the three files of the first report fit
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("prodgen.files.os.fsync", full)
    with pytest.raises(TrainingError, match=r"no space left.*the last checkpoint is kept: make room"):
        train(small("gan", dataset), dataset, images=320, out=tmp_path, report_every=96, progress=False)
    monkeypatch.undo()
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["images_seen"] == 96
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".checkpoint")]
    assert resumed(tmp_path, dataset, images=320).images_seen == 320


TOLD_TO_STOP = """
import os, signal, sys
import torch
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[1])
from test_training import shapes, small
from prodgen import training
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may be under nohup
def tell(run):
    if not run.interrupted and run.images_seen < 560:
        os.kill(os.getpid(), signal.Signals[sys.argv[3]])
run = training.train(small("gan", shapes()), shapes(), images=560, out=sys.argv[2], report_every=100,
                     callbacks=[tell], progress=False)
print("saved", run.interrupted, run.images_seen)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_run_that_is_told_to_stop_saves_as_with_ctrl_c(tmp_path, name):
    script = [sys.executable, "-c", TOLD_TO_STOP, os.path.dirname(__file__), str(tmp_path), name]
    done = subprocess.run(script, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:2] == ["saved", "True"]
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["images_seen"] == int(
        done.stdout.split()[2]
    )


def test_under_nohup_a_closed_terminal_changes_nothing(tmp_path):
    script = TOLD_TO_STOP.replace("SIG_DFL)", "SIG_IGN)")
    command = [sys.executable, "-c", script, os.path.dirname(__file__), str(tmp_path), "SIGHUP"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["saved", "False", "560"]


def test_a_long_epoch_is_saved_every_few_minutes(tmp_path, monkeypatch):
    monkeypatch.setattr("prodgen.training.loop.time", Clock())  # a step takes some tenths of a second
    monkeypatch.setattr("prodgen.training.loop.SAVE_EVERY", 20.0)
    dataset, written = shapes(), []
    write = training.checkpoint.RunFolder.write
    monkeypatch.setattr(
        "prodgen.training.checkpoint.RunFolder.write",
        lambda folder, state, *rest: (written.append(state["images_seen"]), write(folder, state, *rest)),
    )
    train(small("gan", dataset), dataset, images=16 * 1000, out=tmp_path, report_every=10**9, progress=False)
    assert len(written) > 5 and written[-1] == 16 * 1000
    assert all(images % (16 * 50) == 0 for images in written)  # where the losses are looked at anyway


def test_two_runs_into_one_folder_are_told_apart(tmp_path):
    dataset, refusals = shapes(), []

    def second(run):
        try:
            resumed(tmp_path, dataset)
        except TrainingError as error:
            refusals.append(str(error))

    train(small("gan", dataset), dataset, images=64, out=tmp_path, callbacks=[second], progress=False)
    assert refusals and all("another run is writing to" in text for text in refusals)
    assert resumed(tmp_path, dataset, images=128).images_seen == 128  # the folder is free again


def test_a_trainer_whose_outcome_cannot_be_kept_is_refused_before_it_trains(tmp_path):
    class Own(torch.nn.Module):
        condition = None

        def __init__(self):
            super().__init__()
            self.inner = models.Generator(width=8)

        def forward(self, z, condition=None):
            return self.inner(z)

    def trainer():
        return GANTrainer(Own(), models.Discriminator(width=8), GANRecipe(width=8, batch_size=16))

    with pytest.raises(ModelError, match="A Own cannot be kept in a file"):
        train(trainer(), shapes(), images=32, out=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
    assert train(trainer(), shapes(), images=32, progress=False).images_seen == 32


def test_weights_are_cast_anew_after_each_step_under_autocast(monkeypatch):
    monkeypatch.setattr("prodgen.device.fast_bfloat16", lambda device_type: True)
    dataset = shapes()
    trainer = small("gan", dataset)
    real, condition = dataset.batch(slice(0, 16)), dataset.conditions()[:16]
    fake = trainer.generator(torch.randn(16, 64), condition).detach()
    with device.autocast("cpu"):
        losses = [
            trainer.discriminator_step(real.clone(), fake, condition)["d_loss"].item() for _ in range(3)
        ]
    assert len(set(losses)) == 3


def test_making_a_trainer_leaves_every_global_generator_as_it_was(monkeypatch):
    monkeypatch.setattr("torch.cuda.manual_seed_all", lambda seed: pytest.fail("a GPU was reseeded"))
    torch.default_generator.manual_seed(5)
    expected = torch.rand(3)
    torch.default_generator.manual_seed(5)
    small("gan", shapes())
    assert torch.equal(torch.rand(3), expected)


def test_the_first_noise_of_a_training_is_not_what_the_same_seed_samples_from():
    dataset, seen = shapes(), []
    trainer = small("gan", dataset)
    trainer.generator.register_forward_pre_hook(lambda network, arguments: seen.append(arguments[0]))
    train(trainer, dataset, images=16, seed=0, progress=False)
    sampled = torch.randn(16, 64, generator=torch.Generator().manual_seed(0))
    assert seen[0].shape == sampled.shape and not torch.isclose(seen[0], sampled).any()


def test_moments_lie_in_memory_as_their_weights_do():
    dataset = shapes()
    trainer = small("gan", dataset)
    train(trainer, dataset, images=32, progress=False)
    train(trainer, dataset, images=32, progress=False)
    for optimiser in trainer.optimisers.values():
        for weight, state in optimiser.state.items():
            assert state["exp_avg"].stride() == state["exp_avg_sq"].stride() == weight.stride()
