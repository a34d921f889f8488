"""A record is stale when the code behind it computes something else, and for no other reason."""

import inspect
import json
import math
import sys
import textwrap
from dataclasses import replace
from functools import cache

import fingerprints
import pytest
import record
import torch
from fingerprints import KINDS, KNOWN_STALE, PRODUCTS, STUDIES, behind, changed, differing, fingerprint

from prodgen import losses, presets
from prodgen.data import Condition
from prodgen.evaluation import distances
from prodgen.models import gan as networks
from prodgen.models import sampling
from prodgen.training import EMA, ClassifierTrainer, GANTrainer, optimiser

STAMPS = fingerprints.stamps()
today = cache(fingerprint)  # several records share one, and all tests compare with it


# ---------------------------------------------------------------- the records as they are


@pytest.mark.parametrize("name", STAMPS)
def test_a_record_is_stale_exactly_if_the_list_of_stale_ones_names_it(name):
    found = changed(name, STAMPS[name], today)
    if name in KNOWN_STALE:
        assert found, f"{name} is current again: take it off KNOWN_STALE"
    else:
        assert not found, (
            f"{name} is stale in {found}: record it anew, or name it in KNOWN_STALE with the reason"
        )


def test_what_the_list_of_stale_records_names_is_recorded_and_has_its_reason():
    assert KNOWN_STALE.keys() <= STAMPS.keys()
    assert all(KNOWN_STALE.values())


def test_every_record_has_a_mini_run_or_the_script_that_made_it():
    found = {behind(name) for name, stamp in STAMPS.items() if "script" not in stamp}
    assert found == {*KINDS, *PRODUCTS, *STUDIES}


# ---------------------------------------------------------------- what changes nothing


def everywhere(monkeypatch, original, changed):
    """Put `changed` wherever the package has bound `original`."""
    for module in [m for name, m in sys.modules.items() if name.partition(".")[0] == "prodgen"]:
        for name, bound in list(vars(module).items()):
            if bound is original:
                monkeypatch.setattr(module, name, changed)


def rewritten(function, *pairs):
    """The function from its source, with names exchanged."""
    source = textwrap.dedent(inspect.getsource(function))
    for old, new in pairs:
        assert old in source
        source = source.replace(old, new)
    scope = {}
    exec(source, inspect.unwrap(function).__globals__, scope)
    return scope[function.__name__]


def test_a_renamed_variable_leaves_every_record_behind_it_current(monkeypatch):
    before = {name: today(name) for name in ("gan", "04-2-derivations")}
    everywhere(
        monkeypatch,
        optimiser.learning_rate,
        rewritten(optimiser.learning_rate, ("phase", "turn"), ("cosine", "wave")),
    )
    everywhere(monkeypatch, losses.r1_penalty, rewritten(losses.r1_penalty, ("real", "photo")))
    step = rewritten(
        GANTrainer.discriminator_step,
        ("penalty =", "price ="),
        ("penalty.", "price."),
        ("* penalty", "* price"),
    )
    monkeypatch.setattr(GANTrainer, "discriminator_step", step)
    for name, was in before.items():
        assert differing(name, was, fingerprint(name)) == []


def changed_notebook(monkeypatch, tmp_path, name, *pairs):
    """Let the mini-runs read a copy of a notebook, with strings exchanged in its source."""
    notebook = f"{name}.ipynb"
    text = (fingerprints.ROOT / "book" / notebook).read_text("utf-8")
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / notebook).write_text(text, "utf-8")
    monkeypatch.setattr(fingerprints, "ROOT", tmp_path)


def test_a_study_is_current_when_names_comments_and_other_cells_of_its_notebook_change(monkeypatch, tmp_path):
    was = today("02-2-activations")
    pairs = ("layers, widths = []", "layers, sizes = []"), ("pairwise(widths)", "pairwise(sizes)")
    changed_notebook(monkeypatch, tmp_path, "02-2-activations", *pairs, ('preset = \\"auto\\"', "preset = 0"))
    assert differing("02-2-activations", was, fingerprint("02-2-activations")) == []


# ---------------------------------------------------------------- what changes something


def test_a_study_is_stale_when_its_cells_compute_something_else(monkeypatch, tmp_path):
    was = today("02-2-activations")
    changed_notebook(monkeypatch, tmp_path, "02-2-activations", ("gain / n**0.5", "gain / n**0.49"))
    assert {"curve", "left"} <= set(differing("02-2-activations", was, fingerprint("02-2-activations")))


def scale(monkeypatch, function, factor=1.05):
    everywhere(monkeypatch, function, lambda *a, **k: factor * function(*a, **k))


def larger_kl(monkeypatch):
    scale(monkeypatch, losses.gaussian_kl)


def larger_penalty(monkeypatch):
    scale(monkeypatch, losses.r1_penalty)


def larger_discriminator_loss(monkeypatch):
    pair = losses.ADVERSARIAL["relativistic"]
    larger = pair._replace(discriminator=lambda real, fake: 1.05 * pair.discriminator(real, fake) ** 1.05)
    monkeypatch.setitem(losses.ADVERSARIAL, "relativistic", larger)


def rate_that_falls_less(monkeypatch):
    falls = optimiser.learning_rate
    everywhere(monkeypatch, falls, lambda recipe, done: falls(replace(recipe, final_rate=0.5), done))


def louder_condition(monkeypatch):
    quiet = networks.embedding
    everywhere(monkeypatch, quiet, lambda condition, features, std: quiet(condition, features, 1.1 * std))


def more_left_open(monkeypatch):
    asked = Condition.left_open
    monkeypatch.setattr(
        Condition, "left_open", lambda self, vector, share, rng: asked(self, vector, 1.5 * share, rng)
    )


def other_noise_when_sampling(monkeypatch):
    drawn = sampling.sample_batches
    everywhere(
        monkeypatch,
        drawn,
        lambda model, n, condition=None, seed=0, batch_size=500: drawn(
            model, n, condition, seed + 1, batch_size
        ),
    )


def larger_distance(monkeypatch):
    scale(monkeypatch, distances.frechet_distance)


def slower_average(monkeypatch):
    update = EMA.update
    monkeypatch.setattr(
        EMA, "update", lambda self, network, seen, batch: update(self, network, seen, 0.9 * batch)
    )


def mirrored_photos_for_the_classifier(monkeypatch):
    augment = ClassifierTrainer.augment
    monkeypatch.setattr(
        ClassifierTrainer, "augment", lambda self, real, rng: augment(self, real.flip(3), rng)
    )


def longer_half_life(monkeypatch):
    longer = replace(presets.GANRecipe(), ema_half_life=12_000)
    everywhere(monkeypatch, presets.gan_recipe, lambda image_size: longer)


# What was changed, the mini-runs that it is behind, and some of those that it is not behind.
CHANGES = [
    (larger_kl, {"vae"}, {"gan"}),
    (larger_penalty, {"gan"}, {"classifier"}),
    (larger_discriminator_loss, {"gan"}, {"04-2-derivations"}),
    (rate_that_falls_less, {"gan", "vae", "classifier"}, {"02-1-networks"}),
    (louder_condition, {"gan", "04-2-derivations"}, {"classifier"}),
    (more_left_open, {"gan"}, {"vae"}),
    (other_noise_when_sampling, {"gan"}, {"classifier"}),
    (larger_distance, {"vae", "02-3-losses"}, {"02-1-networks"}),
    (slower_average, {"gan", "classifier"}, {"02-2-activations"}),
    (mirrored_photos_for_the_classifier, {"classifier"}, {"02-2-activations"}),
    (longer_half_life, {"gan"}, {"classifier"}),
]


@pytest.mark.parametrize(("change", "hit", "spared"), CHANGES, ids=[case[0].__name__ for case in CHANGES])
def test_a_change_makes_the_records_stale_that_it_is_behind_and_no_others(monkeypatch, change, hit, spared):
    before = {name: today(name) for name in hit | spared}
    change(monkeypatch)
    assert {name for name, was in before.items() if differing(name, was, fingerprint(name))} == hit


# ---------------------------------------------------------------- how they are compared


def test_numbers_are_compared_within_the_tolerance_of_the_largest_in_their_series():
    was = {"loss": [1.0, 100.0], "kl": [2.0]}
    near, far = 99 * fingerprints.TOLERANCE, 101 * fingerprints.TOLERANCE
    assert differing("vae", was, {"loss": [1.0 + near, 100.0], "kl": [2.0]}) == []
    assert differing("vae", was, {"loss": [1.0, 100.0 - far], "kl": [2.0]}) == ["loss"]
    assert differing("gan", was, {"loss": [1.0, 100.0 - far], "kl": [2.0]}) == []


@pytest.mark.parametrize("loss", [[1.0], [1.0, 2.0, 3.0], [1.0, math.nan], None])
def test_a_series_that_is_missing_or_of_another_length_or_not_finite_differs(loss):
    now = {"kl": [0.0]} if loss is None else {"kl": [0.0], "loss": loss}
    assert differing("vae", {"kl": [0.0], "loss": [1.0, 2.0]}, now) == ["loss"]


def test_rows_become_series_by_column_and_what_is_no_number_is_left_out():
    rows = [{"a": 1, "of": "GAN", "b": {"mean": 0.5}}, {"a": [2, True], "b": {"mean": None, "std": 3.0}}]
    assert fingerprints.series(rows) == {"a": [1.0, 2.0, 1.0], "b mean": [0.5], "b std": [3.0]}


def test_a_fingerprint_leaves_threads_and_random_numbers_as_they_were():
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    fingerprint("02-2-activations")
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


def test_a_record_of_another_framework_is_stale_when_its_script_changes_or_is_gone(monkeypatch, tmp_path):
    monkeypatch.setattr(fingerprints, "ROOT", tmp_path)
    script = tmp_path / "tools" / "in_another_framework.py"
    script.parent.mkdir()
    script.write_text("print(0.5)\n")
    of_script = fingerprints.of_script("tools/in_another_framework.py")
    stamp = json.loads(json.dumps(record.stamp({"rate": 0.1}, {"script": of_script}, [0], 1.0)))
    never = pytest.fail  # the package's code has no part in it
    assert changed("of-another", stamp, never) == []
    script.write_text("print(0.6)\n")
    assert changed("of-another", stamp, never) == ["tools/in_another_framework.py"]
    script.unlink()
    assert changed("of-another", stamp, never) == ["tools/in_another_framework.py"]
