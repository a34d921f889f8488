"""Shapes, ranges, and keeping a model in a file."""

import json
import os

import pytest
import torch
from safetensors.torch import save_file

from prodgen import models
from prodgen.data import Condition, Factor
from prodgen.errors import ModelError
from prodgen.models import VAE, Classifier, Discriminator, Generator

CLASSES = Condition.of_classes("abc")
MANY = Condition(
    (Factor("label", ("mug", "vase")), Factor("azimuth", period=360), Factor("rgb", size=3, bounds=(0, 1)))
)
SHAPES = [(size, channels) for size in (28, 32, 64) for channels in (1, 3)]


@pytest.mark.parametrize("condition", [None, CLASSES, MANY])
@pytest.mark.parametrize(("image_size", "channels"), SHAPES)
def test_generator_and_discriminator_fit_together(image_size, channels, condition):
    generator = Generator(image_size, channels, latent_dim=8, width=8, condition=condition)
    discriminator = Discriminator(image_size, channels, width=8, condition=condition)
    asked = condition and condition.in_turn(3)
    images = generator(torch.randn(3, 8), asked)
    assert images.shape == (3, channels, image_size, image_size)
    assert images.abs().max() <= 1
    assert discriminator(images, asked).shape == (3,)


@pytest.mark.parametrize("condition", [None, MANY])
@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize(("image_size", "channels"), SHAPES)
def test_vae_encodes_and_decodes_every_supported_shape(image_size, channels, likelihood, condition):
    vae = VAE(image_size, channels, latent_dim=5, width=8, likelihood=likelihood, condition=condition)
    x = torch.rand(3, channels, image_size, image_size) * 2 - 1
    asked = condition and condition.in_turn(3)
    mean, log_var = vae.encode(x, asked)
    assert mean.shape == log_var.shape == (3, 5)
    assert vae(mean, asked).shape == x.shape
    assert vae(mean, asked).abs().max() <= 1
    log_likelihood, kl = vae.elbo_terms(x, condition=asked)
    assert log_likelihood.shape == kl.shape == (3,)
    assert (kl >= 0).all()


def test_bernoulli_target_is_binary_with_the_image_as_its_mean():
    x = torch.linspace(-1, 1, 5).view(1, 1, 1, 5).expand(1, 1, 20_000, 5)
    target = VAE().target(x, torch.Generator().manual_seed(0))
    assert set(target.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(target.mean(dim=(0, 1, 2)), torch.linspace(0, 1, 5), atol=0.02, rtol=0)


@pytest.mark.parametrize("other", [{"label": "vase"}, {"azimuth": 90}, {"rgb": (0.1, 0.2, 0.9)}, {}])
def test_every_factor_changes_the_image_and_the_judgement_and_so_does_leaving_all_open(other):
    torch.manual_seed(0)
    generator, discriminator = (
        Generator(width=8, condition=MANY).eval(),
        Discriminator(width=8, condition=MANY),
    )
    vae = VAE(width=8, latent_dim=64, condition=MANY)
    z, x = torch.randn(1, 64), torch.rand(1, 1, 28, 28)
    whole = {"label": "mug", "azimuth": 0, "rgb": (0.9, 0.2, 0.1)}
    a, b = MANY.encode(**whole), MANY.encode(**(whole | other if other else {}))
    assert not torch.equal(generator(z, a), generator(z, b))
    assert not torch.equal(discriminator(x, a), discriminator(x, b))
    assert not torch.equal(vae(z, a), vae(z, b))
    assert not torch.equal(vae.encode(x, a)[0], vae.encode(x, b)[0])


def test_on_one_hot_vectors_the_projection_is_that_of_an_embedding_a_class():
    torch.manual_seed(0)
    discriminator, x = Discriminator(width=8, condition=CLASSES), torch.rand(3, 1, 28, 28)
    h = discriminator.features(discriminator.body(x).permute(0, 2, 3, 1).flatten(1))
    table = torch.nn.Embedding.from_pretrained(discriminator.embedding.weight.T)
    projected = (h * table(torch.tensor([2, 0, 1]))).sum(1) / 128**0.5
    expected = discriminator.head(h).squeeze(1) + projected
    torch.testing.assert_close(discriminator(x, CLASSES.encode(label=[2, 0, 1])), expected)


MANY_NAMES = Condition(
    tuple(Factor(name, tuple("abcdefghij")) for name in ("label", "colour", "cut", "cloth"))
)


@pytest.mark.parametrize("condition", [Condition.of_classes("abcdefghij"), MANY_NAMES])
def test_a_new_generator_is_moved_by_the_noise_more_than_by_all_its_factors_together(condition):
    torch.manual_seed(0)
    generator = Generator(condition=condition).eval()
    z = torch.randn(40, 64).repeat_interleave(10, dim=0)
    values = {factor.name: torch.randperm(10) for factor in condition.factors}
    asked = condition.encode(**values).repeat(40, 1)
    with torch.no_grad():
        images = generator(z, asked).view(40, 10, -1)  # (noise, factors, pixels)
    assert images.mean(dim=1).std(dim=0).mean() > 5 * images.mean(dim=0).std(dim=0).mean()


def test_discriminator_judges_each_image_by_itself():
    # The R1 penalty takes the gradient of a sum of logits for the gradients of each.
    torch.manual_seed(0)
    discriminator, x = Discriminator(width=8), torch.rand(4, 1, 28, 28)
    torch.testing.assert_close(discriminator(x)[:1], discriminator(x[:1]))


def test_a_size_without_a_network_is_refused_and_the_sizes_are_named():
    for cls in (Generator, Discriminator, VAE):
        with pytest.raises(ModelError, match=r"image_size is 48.*28, 32, 64"):
            cls(image_size=48)
    with pytest.raises(ModelError, match="bernoulli"):
        VAE(likelihood="poisson")


def test_classifier_features_are_not_negative_and_feed_the_head():
    classifier = Classifier(width=8).eval()
    x = torch.rand(3, 1, 28, 28)
    assert classifier.features(x).shape == (3, 128)
    assert (classifier.features(x) >= 0).all()
    torch.testing.assert_close(classifier.head(classifier.features(x)), classifier(x))


@pytest.mark.parametrize("model", [Generator(width=8), Generator(width=8, condition=CLASSES), VAE(width=8)])
def test_sampling_depends_on_the_seed_alone_and_not_on_batches_or_mode(model):
    model.train()
    one = models.sample(model, 7, seed=3)
    assert model.training
    assert one.shape == (7, 1, 28, 28)
    torch.testing.assert_close(one, models.sample(model, 7, seed=3, batch_size=2))
    torch.testing.assert_close(one[:4], models.sample(model, 4, seed=3))
    assert not torch.equal(one, models.sample(model, 7, seed=4))
    assert models.sample(model, 0).shape == (0, 1, 28, 28)


def test_a_model_that_fails_while_it_draws_is_left_in_its_own_mode():
    model = Generator(width=8).train()
    with pytest.raises(RuntimeError):
        models.sample(model.half(), 2)  # float32 noise meets float16 weights
    assert model.training


def test_sampling_in_batches_gives_the_same_images_one_batch_after_another():
    model = Generator(width=8, condition=CLASSES)
    parts = list(models.sample_batches(model, 7, seed=3, batch_size=3))
    assert [len(part) for part in parts] == [3, 3, 1]
    torch.testing.assert_close(torch.cat(parts), models.sample(model, 7, seed=3))


def test_sampling_takes_classes_in_turn_or_as_asked():
    torch.manual_seed(0)
    model = Generator(width=8, condition=CLASSES)
    in_turn = models.sample(model, 6)
    torch.testing.assert_close(in_turn, models.sample(model, 6, CLASSES.encode(label=[0, 1, 2, 0, 1, 2])))
    torch.testing.assert_close(in_turn[[2, 5]], models.sample(model, 6, CLASSES.encode(label="c"))[[2, 5]])
    with pytest.raises(ModelError, match=r"does not fit: it must be \(6, 3\)"):
        models.sample(model, 6, torch.zeros(6, 4))
    with pytest.raises(ModelError, match="does not fit"):
        models.sample(model, 6, CLASSES.in_turn(5))
    with pytest.raises(ModelError, match="no factors"):
        models.sample(Generator(width=8), 6, CLASSES.in_turn(6))


@pytest.mark.parametrize("half", [False, True])
def test_a_saved_model_comes_back(tmp_path, half):
    torch.manual_seed(0)
    model = Generator(width=8, condition=MANY)
    model(torch.randn(16, 64), MANY.in_turn(16))  # gives the batch norms statistics to keep
    models.save_as(tmp_path / "m.safetensors", model, half=half, note="x")
    back = models.load(tmp_path / "m.safetensors")
    assert not back.training
    assert back.config == model.config
    assert models.load_metadata(tmp_path / "m.safetensors") == {"note": "x"}
    tolerance = {"atol": 5e-3, "rtol": 1e-2} if half else {"atol": 0, "rtol": 0}
    torch.testing.assert_close(models.sample(back, 5), models.sample(model, 5), **tolerance)
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_a_damaged_missing_or_foreign_file_is_refused_in_words(tmp_path):
    good = tmp_path / "good.safetensors"
    models.save_as(good, Generator(width=8))
    for cut in (0, 5, 100, -1):
        bad = tmp_path / "bad.safetensors"
        bad.write_bytes(good.read_bytes()[:cut])
        with pytest.raises(ModelError, match="damaged"):
            models.load(bad)
    save_file({"w": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ModelError, match="no model of this package"):
        models.load(tmp_path / "foreign.safetensors")
    header = {"kind": "generator", "config": json.dumps({"width": 8}), "about": "{}"}
    save_file({"w": torch.zeros(1)}, tmp_path / "misfit.safetensors", header)
    with pytest.raises(ModelError, match="does not fit"):
        models.load(tmp_path / "misfit.safetensors")
    with pytest.raises(FileNotFoundError, match="no model file"):
        models.load(tmp_path / "missing.safetensors")


def test_a_model_comes_back_from_a_folder_whose_name_is_no_text(tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    models.save_as(folder / "m.safetensors", Generator(width=8))
    assert models.load(folder / "m.safetensors").config["width"] == 8


def test_a_network_of_one_s_own_is_not_kept_in_a_file_and_that_is_said(tmp_path):
    with pytest.raises(ModelError, match="A Linear cannot be kept in a file"):
        models.save_as(tmp_path / "m.safetensors", torch.nn.Linear(2, 2))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("names", [["a", "b", "c"], None])
def test_a_file_of_release_0_1_0_draws_what_it_drew(tmp_path, names):
    torch.manual_seed(0)
    model = Generator(width=8, condition=Condition.of_classes("abc")).eval()
    state = model.state_dict()
    table = torch.nn.Embedding(3, 64)  # what stood there: a row a class
    state["embedding.weight"] = table.weight.detach()
    config = {"image_size": 28, "channels": 1, "latent_dim": 64, "width": 8, "num_classes": 3}
    about = {} if names is None else {"class_names": names}
    header = {"kind": "generator", "config": json.dumps(config), "about": json.dumps(about)}
    save_file({k: v.contiguous() for k, v in state.items()}, tmp_path / "old.safetensors", header)
    back = models.load(tmp_path / "old.safetensors")
    assert back.condition["label"].values == (("a", "b", "c") if names else ("0", "1", "2"))
    z, labels = torch.randn(3, 64), torch.tensor([2, 0, 1])
    with torch.no_grad():
        maps = back.stem(torch.cat([z, table(labels)], dim=1)).view(3, 7, 7, -1).permute(0, 3, 1, 2)
        expected = back.body(maps)
        torch.testing.assert_close(back(z, back.condition.encode(label=labels)), expected)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        models.save_as(path, Generator(width=8))
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]
