"""One vector holds all that a picture can be asked for, and zeros in it mean that nothing is."""

import json
from collections import Counter

import numpy as np
import pytest
import torch

from prodgen.data import Condition, DataError, Factor, ImageDataset

LABEL = Factor("label", ("Bag", "Coat", "T-shirt"))
AZIMUTH = Factor("azimuth", period=360.0)
COLOUR = Factor("colour", size=3, bounds=(0.0, 255.0))
TEXT = Factor("text", size=4)
EVERY = Condition((LABEL, AZIMUTH, COLOUR, TEXT))


def test_each_factor_has_a_place_of_its_own():
    assert EVERY.width == 3 + 2 + 4 + 4
    assert list(EVERY.places) == ["label", "azimuth", "colour", "text"]
    assert np.concatenate([np.arange(EVERY.width)[place] for place in EVERY.places.values()]).tolist() == [
        *range(13)
    ]
    assert Condition.of_classes(["a", "b"]) == Condition((Factor("label", ("a", "b")),))
    with pytest.raises(
        DataError, match="no factor 'size' to ask for; there is: label, azimuth, colour, text"
    ):
        EVERY["size"]


@pytest.mark.parametrize(
    "asked", [["Coat", "Bag", "T-shirt"], [1, 0, 2], torch.tensor([1, 0, 2]), np.array([1, 0, 2])]
)
def test_named_values_are_one_hot(asked):
    assert LABEL.encode(asked).tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1]]
    assert LABEL.encode("coat").dtype == torch.float32


@pytest.mark.parametrize(
    ("factor", "asked", "vector"),
    [
        (AZIMUTH, 0, [1, 0]),
        (AZIMUTH, 90, [0, 1]),
        (AZIMUTH, 450, [0, 1]),
        (COLOUR, (0, 127.5, 255), [-1, 0, 1, 1]),
        (Factor("elevation", bounds=(-30.0, 60.0)), 15, [0, 1]),
        (TEXT, (1, 2, 3, 4), [1, 2, 3, 4]),
    ],
)
def test_a_continuous_value_becomes_numbers(factor, asked, vector):
    torch.testing.assert_close(factor.encode(asked), torch.tensor([vector], dtype=torch.float32))
    assert factor.encode(asked).shape == (1, factor.width)


def test_zeros_mean_left_open_and_no_value_is_encoded_as_zeros():
    assert not EVERY.encode(5).any() and EVERY.encode(5).shape == (5, 13)
    assert not LABEL.encode([-1, -1]).any() and not AZIMUTH.encode(float("nan")).any()
    assert not COLOUR.encode([[float("nan")] * 3]).any()
    assert LABEL.encode(range(3)).any(dim=1).all()
    assert AZIMUTH.encode(torch.arange(0, 361)).norm(dim=1).min() > 0.99
    ramp = torch.linspace(0, 255, 256)
    assert COLOUR.encode(torch.stack([ramp, ramp, ramp], 1)).norm(dim=1).min() >= 1


def test_a_single_value_is_repeated_and_the_rest_stays_open():
    vector = EVERY.encode(label=["Bag", "Coat"], azimuth=90, colour=None)
    assert vector.shape == (2, 13)
    torch.testing.assert_close(vector[:, 3:5], torch.tensor([[0.0, 1.0]] * 2))
    assert not vector[:, 5:].any()
    assert EVERY.encode(4, label="Bag")[:, 0].tolist() == [1] * 4
    assert EVERY.encode(label="Bag").shape == (1, 13)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"label": "Hat"}, "no label 'Hat'; there are: 0 Bag, 1 Coat, 2 T-shirt"),
        ({"label": 3}, "values 0 to 2: 0 Bag, 1 Coat, 2 T-shirt"),
        ({"label": -2}, "values 0 to 2"),
        ({"size": 1}, "no factor 'size'"),
        ({"colour": (0, 0)}, r"takes 3 number\(s\)"),
        ({"colour": (0, 0, 256)}, "from 0 to 255; 0, 0, 256 is outside"),
        ({"text": []}, r"takes 4 number\(s\)"),
        ({"label": [0, 1], "azimuth": [0, 1, 2]}, "3 pictures cannot have 2 values"),
    ],
)
def test_what_cannot_be_asked_for_is_one_sentence(asked, message):
    with pytest.raises(DataError, match=message):
        EVERY.encode(**asked)


def test_a_number_of_pictures_that_disagrees_is_refused():
    with pytest.raises(DataError, match="5 pictures cannot have 2 values"):
        EVERY.encode(5, label=[0, 1])


@pytest.mark.parametrize(
    ("factor", "text", "value"),
    [
        (LABEL, "Coat", 1), (LABEL, "t-shirt", 2), (LABEL, "0", 0),
        (AZIMUTH, "30", 30.0), (COLOUR, "255,0,12.5", [255.0, 0.0, 12.5]),
    ],
)  # fmt: skip
def test_a_typed_value_is_understood(factor, text, value):
    assert factor.parse(text) == value
    assert factor.encode(factor.parse(text)).shape == (1, factor.width)


@pytest.mark.parametrize(
    ("factor", "text", "message"),
    [
        (LABEL, "Hat", "0 Bag, 1 Coat"), (LABEL, "7", "no label '7'"),
        (AZIMUTH, "north", "such as 180, not 'north'"), (COLOUR, "1,2", "such as 127.5,127.5,127.5"),
    ],
)  # fmt: skip
def test_a_typed_value_that_there_is_not_is_told(factor, text, message):
    with pytest.raises(DataError, match=message):
        factor.parse(text)


def test_named_values_come_in_turn_the_first_factors_fastest():
    two = Condition((Factor("label", ("a", "b")), Factor("hue", ("r", "g", "b")), AZIMUTH))
    turns = two.in_turn(7)
    assert turns[:, :2].argmax(1).tolist() == [0, 1, 0, 1, 0, 1, 0]
    assert turns[:, 2:5].argmax(1).tolist() == [0, 0, 1, 1, 2, 2, 0]
    assert not turns[:, 5:].any()


def test_most_rows_stay_whole_and_every_choice_of_open_factors_occurs():
    vector = EVERY.encode(8000, label="Coat", azimuth=30, colour=(10, 20, 30), text=(1, 1, 1, 1))
    dropped = EVERY.left_open(vector, 0.2, torch.Generator().manual_seed(0))
    parts = [dropped[:, place] for place in EVERY.places.values()]
    wholes = [vector[:, place] for place in EVERY.places.values()]
    for part, whole in zip(parts, wholes, strict=True):  # a factor is open or as it was
        assert (part.eq(0).all(1) | part.eq(whole).all(1)).all()
    choices = Counter(tuple(row) for row in torch.stack([part.ne(0).any(1) for part in parts], 1).tolist())
    assert len(choices) == 2**4
    assert choices[True, True, True, True] / 8000 == pytest.approx(0.8 + 0.2 / 16, abs=0.02)
    for choice, count in choices.items():
        if not all(choice):
            assert count / 8000 == pytest.approx(0.2 / 16, abs=0.006)
    again = EVERY.left_open(vector, 0.2, torch.Generator().manual_seed(0))
    assert torch.equal(again, dropped) and torch.equal(
        EVERY.left_open(vector, 0.0, torch.Generator()), vector
    )


def test_json_keeps_everything():
    assert Condition.from_json(json.loads(json.dumps(EVERY.to_json()))) == EVERY
    assert Condition.from_json(EVERY.to_json()) == EVERY


# ---- in a data set


@pytest.fixture
def dataset() -> ImageDataset:
    images = torch.arange(6 * 3 * 4 * 4).remainder(256).to(torch.uint8).view(6, 3, 4, 4)
    factors = {"label": torch.tensor([0, 1, 1, 0, 2, 1]), "azimuth": torch.arange(6) * 60.0}
    return ImageDataset("set", "train", images, "CC0", "here", factors, Condition((LABEL, AZIMUTH)))


def test_each_image_has_its_vector(dataset):
    vectors = dataset.conditions()
    assert vectors.shape == (6, 5) and vectors.dtype == torch.float32
    assert vectors[:, :3].argmax(1).tolist() == dataset.labels.tolist()
    torch.testing.assert_close(vectors[3, 3:], torch.tensor([-1.0, 0.0]))
    assert torch.equal(dataset.subset([4, 1]).conditions(), vectors[[4, 1]])


def test_only_what_is_named_stays_known(dataset):
    assert dataset.only("azimuth").conditions().shape == (6, 2)
    assert dataset.only("azimuth").labels is None and dataset.only("azimuth").class_names == ()
    assert torch.equal(dataset.only("label").conditions(), dataset.conditions()[:, :3])
    bare = dataset.only()
    assert bare.condition is None and bare.conditions() is None and bare.factors == {}
    assert bare.only().condition is None and torch.equal(bare.images, dataset.images)
    with pytest.raises(DataError, match="no factor 'size'"):
        dataset.only("size")


def test_the_digest_changes_with_one_pixel_exchanged_labels_or_a_renamed_class(dataset):
    before = dataset.digest()
    assert before == dataset.subset(range(6)).digest() and len(before) == 64
    images, factors = dataset.images.clone(), dict(dataset.factors)
    images[3, 1, 2, 0] += 1
    factors["label"] = torch.tensor([1, 0, 1, 0, 2, 1])
    renamed = Condition((Factor("label", ("Bag", "Coat", "Hat")), AZIMUTH))
    make = lambda images=dataset.images, factors=dataset.factors, condition=dataset.condition: ImageDataset(  # noqa: E731
        "set", "train", images, "CC0", "here", factors, condition
    )
    digests = [
        make(images=images),
        make(factors=factors),
        make(condition=renamed),
        dataset.only(),
        dataset.only("label"),
    ]
    digests = {before, *(other.digest() for other in digests)}
    assert len(digests) == 6
    assert make().digest() == before


def test_an_evenly_spaced_part_takes_from_every_class_of_a_sorted_set(dataset):
    part = dataset.evenly_spaced(3)
    assert torch.equal(part.images, dataset.images[[0, 2, 4]]) and part.labels.tolist() == [0, 1, 2]
    assert dataset.evenly_spaced(None) is dataset and dataset.evenly_spaced(7) is dataset
