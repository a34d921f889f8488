"""The CUDA path where no GPU is at hand: everything runs on tensors that have a device and no content.

Fake tensors take part in forward passes; whatever mixes devices raises. They have no gradients, so those
are replaced; what a test cannot see here is a gradient's own arithmetic.
"""

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from prodgen import evaluation, losses, models, training
from prodgen.data import Condition, Factor, ImageDataset
from prodgen.evaluation import features
from prodgen.models import VAE, Classifier, Discriminator, Generator
from prodgen.presets import IMAGE_SIZES, GANRecipe, VAERecipe

N = 12
SCHEME = Condition((Factor("label", ("shirt", "bag")), Factor("azimuth", period=360.0)))


def driver_is_missed() -> bool:
    """Whether this PyTorch looks for a GPU's driver even where nothing is computed, as release 2.9 does."""
    try:
        with FakeTensorMode():
            torch.zeros(1).to("cuda")
    except RuntimeError as error:
        return "CUDA" in str(error)
    return False


pytestmark = pytest.mark.skipif(
    driver_is_missed(), reason=f"PyTorch {torch.__version__} moves no fake tensor to CUDA without a driver"
)


@pytest.fixture(autouse=True)
def fake():
    """Tensors without content; a number taken out of one is a symbol."""
    with FakeTensorMode(allow_non_fake_inputs=True, shape_env=ShapeEnv()):
        yield


def on_cuda(network, *args, **config):
    with torch.device("cuda"):
        return network(*args, **config)


def images(channels=1, size=28, device="cuda"):
    return torch.zeros(N, channels, size, size, device=device)


def asked(condition, device="cuda"):
    return torch.zeros(N, condition.width, device=device) if condition else None


def lives_on(device, *tensors):
    return all(isinstance(tensor, Tensor) and tensor.device.type == device for tensor in tensors)


@pytest.fixture(params=[None, SCHEME], ids=["unconditional", "conditional"])
def condition(request):
    return request.param


@pytest.mark.parametrize("size", IMAGE_SIZES)
def test_networks_draw_and_judge_where_they_live(condition, size):
    kind = dict(image_size=size, channels=3, width=4, condition=condition)
    for network in (on_cuda(Generator, **kind, latent_dim=8), on_cuda(VAE, **kind, latent_dim=8)):
        for mode in (True, False):
            drawn = network.train(mode)(torch.zeros(N, 8, device="cuda"), asked(condition))
            assert lives_on("cuda", drawn) and drawn.shape == (N, 3, size, size)
    discriminator = on_cuda(Discriminator, **kind)
    assert lives_on("cuda", discriminator(images(3, size), asked(condition)))
    classifier = on_cuda(Classifier, image_size=size, channels=3, width=4)
    assert lives_on("cuda", classifier(images(3, size)), classifier.features(images(3, size)))


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_a_vaes_terms_stay_on_the_gpu(condition, likelihood):
    vae = on_cuda(VAE, width=4, latent_dim=8, likelihood=likelihood, condition=condition)
    log_likelihood, kl = vae.elbo_terms(images(), None, asked(condition))
    bound = losses.elbo(log_likelihood, kl)
    assert lives_on("cuda", bound, losses.importance_weighted_bound(bound[None]))


@pytest.mark.parametrize("name", losses.ADVERSARIAL)
def test_adversarial_losses_stay_on_the_gpu(name):
    loss, logits = losses.ADVERSARIAL[name], torch.zeros(N, device="cuda")
    assert lives_on("cuda", loss.discriminator(logits, logits), loss.generator(logits, logits))


@pytest.fixture
def no_gradients(monkeypatch):
    """Gradients that are asked for are blank; networks stay where they were made."""
    monkeypatch.setattr(torch.autograd, "grad", lambda of, to, **_: (torch.zeros_like(to),))
    monkeypatch.setattr(Tensor, "backward", lambda self: None)
    monkeypatch.setattr(nn.Module, "to", lambda self, *args, **kwargs: self)


def test_penalties_stay_on_the_gpu(condition, no_gradients):
    discriminator = on_cuda(Discriminator, width=4, condition=condition)
    x = images()
    logits = discriminator(x, asked(condition))
    between = losses.wgan_gp_penalty(lambda x: discriminator(x, asked(condition)), x, x)
    assert lives_on("cuda", losses.r1_penalty(logits, x), losses.r2_penalty(logits, x), between)


@pytest.mark.parametrize("augmented", [False, True])
def test_steps_of_training_stay_on_the_gpu(condition, no_gradients, augmented):
    kind = dict(width=4, condition=condition)
    gan = training.GANTrainer(
        on_cuda(Generator, **kind, latent_dim=8),
        on_cuda(Discriminator, **kind),
        GANRecipe(latent_dim=8),
        augmented=augmented,
    )
    vae = training.VAETrainer(on_cuda(VAE, **kind, latent_dim=8), VAERecipe())
    classifier = training.ClassifierTrainer(on_cuda(Classifier, width=4, num_classes=2))
    for trainer in (gan, vae):
        for _ in range(2):  # with a penalty and without
            assert lives_on("cuda", *trainer.step(images(), asked(condition), None).values())
    one_hot = torch.zeros(N, 2, device="cuda")
    assert lives_on("cuda", *classifier.step(images(), one_hot, None).values())


def test_samples_are_drawn_on_the_gpu_and_come_back(condition):
    for network in (Generator, VAE):
        model = on_cuda(network, width=4, latent_dim=8, condition=condition)
        # The command line and a chapter encode on the CPU.
        told = asked(condition, device="cpu")
        for batch in models.sample_batches(model, N, told, batch_size=5):
            assert lives_on("cuda", batch)
        assert lives_on("cpu", models.sample(model, N, told, batch_size=5))


def test_features_are_computed_on_the_gpu_and_come_back(monkeypatch):
    classifier = on_cuda(Classifier, width=4)
    photos = ImageDataset("blank", "test", images(device="cpu").byte(), licence="none", source="a test")
    for shown in (images(), images(device="cpu"), photos):
        found = evaluation.extract(shown, classifier, batch_size=5)
        assert lives_on("cpu", found, evaluation.predict(shown, classifier)) and found.shape == (N, 128)

    monkeypatch.setattr(features, "inception_weights", lambda: "nowhere")
    monkeypatch.setattr(torch, "load", lambda *args, **kwargs: {})
    monkeypatch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda self, state: None)
    monkeypatch.setattr(FeatureExtractorInceptionV3, "to", lambda self, *args: self)
    inception = on_cuda(features.Inception)
    assert evaluation.extract(images(3, 64), inception).shape == (N, 2048)


def test_measures_take_features_and_images_of_the_gpu():
    assert lives_on("cuda", evaluation.sharpness(images(3)))
    points = torch.zeros(N, 4, device="cuda")
    evaluation.kernel_distance(points, points)
    evaluation.precision_recall_density_coverage(points, points)
    photos = ImageDataset("blank", "test", images(device="cpu").byte(), licence="none", source="a test")
    assert lives_on("cuda", *evaluation.nearest_neighbours(images(), photos, k=3, chunk=5))
    found = evaluation.nearest_neighbours(images(), photos, classifier=on_cuda(Classifier, width=4))
    assert lives_on("cuda", *found)


class Forgetful(Generator):
    """Makes a tensor in its forward pass and forgets the device."""

    def forward(self, z, condition=None):
        return super().forward(z + torch.ones(z.shape[1]), condition)


def forgetful_loss(real_logits, fake_logits):
    return losses.relativistic_generator(real_logits, fake_logits) * torch.ones(len(real_logits))


@pytest.mark.parametrize(
    "mistake",
    [
        lambda: on_cuda(Forgetful, width=4, latent_dim=8)(torch.zeros(N, 8, device="cuda")),
        lambda: models.sample(on_cuda(Forgetful, width=4, latent_dim=8), N),
        lambda: on_cuda(Generator, width=4, latent_dim=8)(torch.zeros(N, 8)),
        lambda: on_cuda(Discriminator, width=4, condition=SCHEME)(images(), asked(SCHEME, device="cpu")),
        lambda: forgetful_loss(torch.zeros(N, device="cuda"), torch.zeros(N, device="cuda")),
        lambda: on_cuda(Classifier, width=4).features(images(device="cpu")),
    ],
)
def test_a_tensor_on_the_wrong_device_is_found(mistake):
    with pytest.raises(RuntimeError, match=r"two devices|same device"):
        mistake()
