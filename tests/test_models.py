"""Shapes, ranges, and keeping a model in a file."""

import json

import pytest
import torch
from safetensors.torch import save_file

from prodgen import models
from prodgen.models import VAE, Classifier, Discriminator, Generator

SHAPES = [(size, channels) for size in (28, 32, 64) for channels in (1, 3)]


@pytest.mark.parametrize("num_classes", [0, 4])
@pytest.mark.parametrize(("image_size", "channels"), SHAPES)
def test_generator_and_discriminator_fit_together(image_size, channels, num_classes):
    generator = Generator(image_size, channels, latent_dim=8, width=8, num_classes=num_classes)
    discriminator = Discriminator(image_size, channels, width=8, num_classes=num_classes)
    labels = torch.tensor([0, 1, 3]) if num_classes else None
    images = generator(torch.randn(3, 8), labels)
    assert images.shape == (3, channels, image_size, image_size)
    assert images.abs().max() <= 1
    assert discriminator(images, labels).shape == (3,)


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
@pytest.mark.parametrize(("image_size", "channels"), SHAPES)
def test_vae_encodes_and_decodes_every_supported_shape(image_size, channels, likelihood):
    vae = VAE(image_size, channels, latent_dim=5, width=8, likelihood=likelihood)
    x = torch.rand(3, channels, image_size, image_size) * 2 - 1
    mean, log_var = vae.encode(x)
    assert mean.shape == log_var.shape == (3, 5)
    assert vae.decoder_mean(mean).shape == x.shape
    assert vae.decoder_mean(mean).abs().max() <= 1
    log_likelihood, kl = vae.elbo_terms(x)
    assert log_likelihood.shape == kl.shape == (3,)
    assert (kl >= 0).all()


def test_bernoulli_target_is_binary_with_the_image_as_its_mean():
    x = torch.linspace(-1, 1, 5).view(1, 1, 1, 5).expand(1, 1, 20_000, 5)
    target = VAE().target(x, torch.Generator().manual_seed(0))
    assert set(target.unique().tolist()) == {0.0, 1.0}
    torch.testing.assert_close(target.mean(dim=(0, 1, 2)), torch.linspace(0, 1, 5), atol=0.02, rtol=0)


def test_label_changes_the_generated_image_and_the_judgement():
    torch.manual_seed(0)
    generator, discriminator = Generator(width=8, num_classes=3), Discriminator(width=8, num_classes=3)
    z, x = torch.randn(1, 64), torch.rand(1, 1, 28, 28)
    a, b = torch.tensor([0]), torch.tensor([2])
    assert not torch.equal(generator.eval()(z, a), generator(z, b))
    assert not torch.equal(discriminator(x, a), discriminator(x, b))


def test_a_new_generator_is_moved_by_the_noise_more_than_by_the_label():
    torch.manual_seed(0)
    generator = Generator(num_classes=10).eval()
    z = torch.randn(40, 64).repeat_interleave(10, dim=0)
    with torch.no_grad():
        images = generator(z, torch.arange(10).repeat(40)).view(40, 10, -1)  # (noise, label, pixels)
    assert images.mean(dim=1).std(dim=0).mean() > 5 * images.mean(dim=0).std(dim=0).mean()


def test_discriminator_judges_each_image_by_itself():
    # The R1 penalty takes the gradient of a sum of logits for the gradients of each.
    torch.manual_seed(0)
    discriminator, x = Discriminator(width=8), torch.rand(4, 1, 28, 28)
    torch.testing.assert_close(discriminator(x)[:1], discriminator(x[:1]))


def test_a_size_without_a_network_is_refused_and_the_sizes_are_named():
    for cls in (Generator, Discriminator, VAE):
        with pytest.raises(ValueError, match=r"image_size is 48.*28, 32, 64"):
            cls(image_size=48)
    with pytest.raises(ValueError, match="bernoulli"):
        VAE(likelihood="poisson")


def test_classifier_features_are_not_negative_and_feed_the_head():
    classifier = Classifier(width=8).eval()
    x = torch.rand(3, 1, 28, 28)
    assert classifier.features(x).shape == (3, 128)
    assert (classifier.features(x) >= 0).all()
    torch.testing.assert_close(classifier.head(classifier.features(x)), classifier(x))


@pytest.mark.parametrize("model", [Generator(width=8), Generator(width=8, num_classes=3), VAE(width=8)])
def test_sampling_depends_on_the_seed_alone_and_not_on_batches_or_mode(model):
    model.train()
    one = models.sample(model, 7, seed=3)
    assert model.training
    assert one.shape == (7, 1, 28, 28)
    torch.testing.assert_close(one, models.sample(model, 7, seed=3, batch_size=2))
    torch.testing.assert_close(one[:4], models.sample(model, 4, seed=3))
    assert not torch.equal(one, models.sample(model, 7, seed=4))
    assert models.sample(model, 0).shape == (0, 1, 28, 28)


def test_sampling_takes_classes_in_turn_or_as_asked():
    torch.manual_seed(0)
    model = Generator(width=8, num_classes=3)
    in_turn = models.sample(model, 6)
    torch.testing.assert_close(in_turn, models.sample(model, 6, labels=torch.tensor([0, 1, 2, 0, 1, 2])))
    torch.testing.assert_close(in_turn[[2, 5]], models.sample(model, 6, labels=2)[[2, 5]])
    with pytest.raises(ValueError, match="0 to 2"):
        models.sample(model, 6, labels=3)
    with pytest.raises(ValueError, match="no classes"):
        models.sample(Generator(width=8), 6, labels=1)


@pytest.mark.parametrize("half", [False, True])
def test_a_saved_model_comes_back(tmp_path, half):
    torch.manual_seed(0)
    model = Generator(width=8, num_classes=3)
    model(torch.randn(16, 64), torch.zeros(16, dtype=torch.long))  # gives the batch norms statistics to keep
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
        with pytest.raises(ValueError, match="damaged"):
            models.load(bad)
    save_file({"w": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ValueError, match="no model of this package"):
        models.load(tmp_path / "foreign.safetensors")
    header = {"kind": "generator", "config": json.dumps({"width": 8}), "about": "{}"}
    save_file({"w": torch.zeros(1)}, tmp_path / "misfit.safetensors", header)
    with pytest.raises(ValueError, match="does not fit"):
        models.load(tmp_path / "misfit.safetensors")
    with pytest.raises(FileNotFoundError, match="no model file"):
        models.load(tmp_path / "missing.safetensors")


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        models.save_as(path, Generator(width=8))
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]
