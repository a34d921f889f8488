"""A run of each release is still of use: its model draws what it drew, its checkpoint is refused in words.

data/run-0.1.0 is a class-conditional GAN of width 1, as release 0.1.0 trained it on 6,000 images.
To stay small, its weights are in half precision, and its checkpoint is without discriminator and optimisers.
samples.npy is what release 0.1.0 itself drew from the model: four pictures of class 8, seed 1.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest

from prodgen import data, models
from prodgen.cli import main

OLD = Path(__file__).parent / "data" / "run-0.1.0"


@pytest.fixture
def old(tmp_path, monkeypatch) -> str:
    shutil.copytree(OLD, tmp_path / "old")
    monkeypatch.chdir(tmp_path)
    return "old"


def test_a_model_of_release_0_1_0_draws_what_it_drew_there(old):
    asked = ["--n", "4", "--label", "Bag", "--seed", "1"]
    assert main(["sample", old, *asked, "--out", "x.npy"]) == 0
    drawn, expected = np.load("x.npy").astype(int), np.load("old/samples.npy")
    assert np.abs(drawn - expected).max() <= 1 and expected.std() > 20
    assert models.load("old/model.safetensors").condition[data.LABEL].values[8] == "Bag"
    assert main(["sample", old, *asked, "--out", "pictures"]) == 0
    assert len(list(Path("pictures/Bag").iterdir())) == 4


@pytest.mark.parametrize("how", [["--out", "old", "--resume"], ["--out", "new", "--from", "old"]])
def test_a_checkpoint_of_release_0_1_0_is_refused_in_words_and_left_as_it_is(old, capsys, how):
    before = {path.name: path.read_bytes() for path in Path("old").iterdir()}
    assert main(["train", "gan", "--data", "fashion-mnist", "--images", "7000", *how]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "checkpoint old/checkpoint.pt was not written by this release, which cannot resume it" in said
    assert "The model beside it can still be sampled" in said
    after = {path.name: path.read_bytes() for path in Path("old").iterdir() if path.name != ".lock"}
    assert after == before and not Path("new/model.safetensors").exists()
