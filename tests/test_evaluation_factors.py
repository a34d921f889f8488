"""What a probe reads is compared with what was asked for, and the shipped one reads the studio."""

import pytest
import torch
from torch.nn.functional import one_hot

from prodgen import data, evaluation, models, recorded
from prodgen.data import Condition, Factor, studio

MIXED = Condition(
    (
        *(Factor("kind", ("mug", "chair", "bag")), Factor("azimuth", period=360.0)),
        *(Factor("elevation", bounds=(5.0, 45.0)), Factor("shape", size=3, bounds=(0.0, 1.0))),
        Factor("text", size=2),
    )
)
VALUES = {
    "kind": torch.tensor([2, 0]),
    "azimuth": torch.tensor([350.0, 10.0]),
    "elevation": torch.tensor([5.0, 30.0]),
    "shape": torch.tensor([[0.0, 0.5, 1.0], [0.2, 0.3, 0.4]]),
    "text": torch.tensor([[3.0, -1.0], [0.5, 0.0]]),
}


def test_what_was_encoded_is_decoded():
    decoded = models.decode(MIXED, MIXED.encode(**VALUES))
    assert decoded.keys() == VALUES.keys()
    assert torch.equal(decoded["kind"], VALUES["kind"])
    for name in VALUES.keys() - {"kind"}:
        assert torch.allclose(decoded[name], VALUES[name], atol=1e-4), name


def test_logits_are_decoded_to_the_likeliest_value_and_an_angle_of_any_length_to_degrees():
    vector = torch.zeros(1, MIXED.width)
    vector[:, MIXED.places["kind"]] = torch.tensor([[-3.0, 5.0, 4.0]])
    vector[:, MIXED.places["azimuth"]] = torch.tensor([[0.0, -0.2]])
    decoded = models.decode(MIXED, vector)
    assert decoded["kind"].item() == 1
    assert decoded["azimuth"].item() == pytest.approx(270)


def test_errors_go_the_short_way_round_and_names_are_right_or_wrong():
    read = {
        "kind": torch.tensor([2, 1]),
        "azimuth": torch.tensor([10.0, 200.0]),
        "elevation": torch.tensor([7.0, 30.0]),
        "shape": torch.tensor([[0.0, 0.5, 0.7], [0.2, 0.3, 0.4]]),
    }
    errors = evaluation.factor_errors(read, VALUES, MIXED)
    assert errors.keys() == read.keys()  # what nobody has read has no error
    assert errors["kind"].tolist() == [0, 1]
    assert errors["azimuth"].tolist() == [20, 170]
    assert errors["elevation"].tolist() == [2, 0]
    assert errors["shape"].tolist() == pytest.approx([0.1, 0])


def test_a_probe_has_a_number_for_each_place_of_the_condition_and_is_kept_in_a_file(tmp_path):
    probe = models.Probe(MIXED, image_size=32, channels=1, width=4).eval()
    images = torch.rand(5, 1, 32, 32) * 2 - 1
    assert probe(images).shape == (5, MIXED.width)
    models.save_as(tmp_path / "probe.safetensors", probe)
    again = models.load(tmp_path / "probe.safetensors")
    assert again.condition == MIXED
    assert torch.equal(again(images), probe(images))
    read = evaluation.read_factors(images, probe)
    assert read["shape"].shape == (5, 3) and read["kind"].shape == (5,)


@pytest.fixture(scope="module")
def renders() -> tuple[dict, dict]:
    """What was rendered, 300 products that no probe was trained on, and what the shipped probe reads."""
    factors = studio.random_factors(300, 7)
    images = data.to_float(studio.render(**factors))
    return factors, evaluation.read_factors(images, recorded.load_model("probe-studio"))


@pytest.mark.parametrize("name", ["label", "colour", "material"])
def test_the_shipped_probe_reads_names_on_held_out_renders(renders, name):
    factors, read = renders
    assert (read[name] == factors[name]).float().mean() >= 0.99


def test_the_shipped_probe_reads_a_turn_where_a_front_shows_and_is_unsure_where_none_does(renders):
    factors, read = renders
    errors = evaluation.factor_errors(read, factors, recorded.load_model("probe-studio").condition)
    shows = one_hot(factors["label"], 9)[:, [0, 6, 7, 8]].any(dim=1)  # mug, chair, cabinet, bag
    limit = recorded.card("probe-studio")["metrics"]["azimuth_with_front"]
    assert errors["azimuth"][shows].median() < 1.5 * limit
    assert errors["azimuth"][~shows].median() > 45
