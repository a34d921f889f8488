"""Chapter 6.4's own functions do what its text says: lesions, areas, detectors, rests, and its record."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from chapters import run_core
from fingerprints import study_module
from sklearn.metrics import roc_auc_score

from prodgen import data, evaluation, recorded

NAME = "06-4-medical"
BOOK = Path(__file__).parents[1] / "book"


@pytest.fixture(scope="module")
def chapter() -> dict:
    """What the cells tagged `core` define, over the record."""
    namespace = dict(vars(study_module(BOOK / f"{NAME}.ipynb")))
    namespace |= {"recorded": recorded, "np": np, "results": recorded.load_result(NAME)["values"]}
    return run_core(NAME, namespace)


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_a_lesion_lies_whole_in_the_patch_and_changes_nothing_at_strength_none(chapter, rng):
    covered = chapter["disc"](500, 32, 3, rng)
    assert covered[:, :, [0, -1]].max() == 0 and covered[:, :, :, [0, -1]].max() == 0
    assert 0 <= covered.min() and covered.max() == 1
    torch.testing.assert_close(
        covered.sum(dim=(1, 2, 3)), torch.full((500,), math.pi * (9 + 1 / 12)), rtol=0.05, atol=0
    )
    images, colours = torch.rand(500, 3, 32, 32, generator=rng), torch.zeros(500, 3)
    assert torch.equal(chapter["paste"](images, colours, 0.0, 3, rng), images)


def test_lesions_stand_anywhere_in_the_patch(chapter, rng):
    covered = chapter["disc"](2_000, 32, 3, rng).mean(dim=0)[0]
    inner = covered[8:-8, 8:-8]
    assert (inner - inner.mean()).abs().max() < 0.5 * inner.mean()


def test_each_kind_gets_its_own_colour_and_strength(chapter, rng):
    images = torch.zeros(2, 3, 32, 32)
    colours = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    hurt = chapter["with_lesions"](images, torch.tensor([1, 0]), colours, rng)
    assert hurt[0].amax(dim=(1, 2)).tolist() == pytest.approx([0, chapter["STRENGTH"][1].item(), 0])
    assert hurt[1].amax(dim=(1, 2)).tolist() == pytest.approx([chapter["STRENGTH"][0].item(), 0, 0])


def test_the_colours_are_dark_ones_of_each_picture(chapter):
    photos = data.load("medical")
    for kind, colour in enumerate(chapter["own_colours"](photos)):
        grey = photos.of_class(kind).batch(slice(None)).mean(dim=1)
        share = (grey < colour.mean()).double().mean().item()
        assert 0.005 < share < 0.05


def test_the_area_is_scikit_learn_s_with_ties_too(chapter, rng):
    clean, ill = torch.randint(5, (2, 300), generator=rng).float()
    ill += torch.rand(300, generator=rng).round()
    truth = torch.arange(600) >= 300
    assert chapter["roc_area"](clean, ill) == pytest.approx(roc_auc_score(truth, torch.cat([clean, ill])))


def test_turning_moves_pixels_and_changes_none(chapter, rng):
    images = torch.rand(20, 3, 32, 32, generator=rng)
    turned = chapter["turned"](images, rng)
    assert not torch.equal(turned, images)
    assert torch.equal(turned.flatten(2).sort().values, images.flatten(2).sort().values)


def test_the_clinic_has_twenty_of_each_kind_and_they_are_among_the_many(chapter):
    few, many = chapter["clinic"](data.load("medical"), 3)
    assert torch.bincount(few.labels).tolist() == [20, 20]
    assert torch.bincount(many.labels).tolist() == [200, 200]
    assert torch.equal(many.of_class(0).images[:20], few.of_class(0).images)


def test_its_own_generator_sees_its_own_patches_alone(chapter, monkeypatch):
    seen = []

    def watched(photos, n, *arguments):
        seen.append(photos)
        return torch.zeros(n, 3, 32, 32)

    monkeypatch.setitem(chapter, "drawn_by_a_gan", watched)
    rows, _ = chapter["detectors"](0, images=1, steps=1)
    assert len(rows) == 2 * 5
    few, _ = chapter["clinic"](data.load("medical"), 0)
    assert [part.digest() for part in seen] == [few.digest()]


def test_a_glaring_lesion_is_found_and_none_is_not(chapter):
    unseen, green = data.load("medical", "test"), chapter["GREEN"].expand(2, 3)

    def score(images):
        return -images[:, 0].flatten(1).amin(dim=1)

    for kind in range(2):
        found = chapter["scores_of"](score, unseen, kind, green, 0, torch.ones(2))
        none = chapter["scores_of"](score, unseen, kind, green, 0, torch.zeros(2))
        assert chapter["roc_area"](*found) == 1
        assert chapter["roc_area"](*none) == pytest.approx(0.5, abs=0.09)  # three standard errors


def test_what_pca_leaves_is_orthogonal_to_what_it_rebuilds(chapter, rng):
    normal = torch.rand(60, 3, 8, 8, generator=rng)
    rest = chapter["pca_rest"](normal, 10)
    left = rest(normal)
    rebuilt = normal - left - normal.mean(dim=0)
    assert (left.flatten(1) * rebuilt.flatten(1)).sum(dim=1).abs().max() < 1e-3
    everything = chapter["pca_rest"](normal, 60)(normal)
    assert everything.abs().max() < 1e-4


def test_the_two_sums_are_what_their_names_say(chapter):
    difference = torch.zeros(2, 3, 32, 32)
    difference[0, :, 10:15, 10:15] = 2
    difference[1] = 0.5
    assert chapter["total"](difference).tolist() == pytest.approx([4 * 25 / 1024, 0.25])
    assert chapter["smoothed_peak"](difference).tolist() == pytest.approx([4, 0.25])


def test_the_record_has_every_row_of_six_seeds_and_known_cases_come_out_right(chapter):
    areas = chapter["areas"]
    for kind in ("retina", "tissue"):
        for way in ("pixel-wise Gaussian", "PCA", "VAE"):
            none = areas(what="anomaly", kind=kind, way=way, lesion="none")
            assert len(none) == 6 and np.mean(none) == pytest.approx(0.5, abs=0.06)
        glaring = areas(what="anomaly", kind=kind, way="PCA", lesion="glaring")
        assert np.mean(glaring) > 0.95


def test_the_area_scatters_from_start_to_start_as_the_claim_s_reason_says(chapter):
    [claim] = [one for one in recorded.claims(NAME) if one["id"] == "normal-images"]
    assert "by more than the margin" in claim["not_tested"]["because"] and claim["margin"].startswith("0.01")
    apart = [
        abs(one - other)
        for kind in ("retina", "tissue")
        for one, other in zip(
            *(
                chapter["areas"](what="detector", kind=kind, way=way)
                for way in ("few patches", "few patches, another start")
            ),
            strict=True,
        )
    ]
    assert np.mean(apart) > 0.01
    gains = [
        one - other
        for one, other in zip(
            *(
                chapter["areas"](what="detector", kind="retina", way=way)
                for way in ("and generated ones", "few patches")
            ),
            strict=True,
        )
    ]
    assert evaluation.seeds_needed(gains, 0.005, 0.99) > len(gains)
