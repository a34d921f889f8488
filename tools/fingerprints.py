"""What the code behind each record computes: a scripted mini-run of it, as named series of numbers.

    python tools/fingerprints.py [NAME ...]    # which records are stale, and in what

A record is stale when the code behind it computes something else, not when its text changes. So each record
carries the fingerprint of the code that made it. Here is how one is taken: in float32, on one thread of the
CPU, from one seed, across every scheduled event.

- A model that ships, and the bands over seeds of its kind: twelve steps of its recipe on its photos, with a
  smaller batch and rate. The penalty falls due three times, the learning rate falls, the average reaches
  both of its half-lives, a checkpoint is written. Kept are the losses of each step, how far the model has
  moved, what the averaged one draws, and the measures of pictures that no training made. Weights are not
  compared one by one: rounding turns the signs of Adam's first steps.
- A model of PRODUCTS: three steps of its trainer on products rendered for it. The generator of clothes, whose
  photos are not everywhere at hand, is shown these products too, and told their kind only.
- The study of a notebook: its cells tagged `experiment` at the preset `smoke`, then its own functions on a
  small budget, as STUDIES says. Where it takes a model that ships, another model makes it stale.

A record that another framework made carries the hash of its script, and is stale when that changes.
"""

import argparse
import ast
import copy
import itertools
import math
import multiprocessing
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import nbformat
import torch
from accelerate.state import AcceleratorState
from probe import READ, probe_trainer
from torch import Tensor, nn

from prodgen import data, device, evaluation, models, recorded, training
from prodgen.data import LABEL, Condition, ImageDataset, studio
from prodgen.presets import gan_recipe
from prodgen.training import loop

ROOT = Path(__file__).resolve().parent.parent
DATA = "fashion-mnist"
KINDS = "gan", "vae", "classifier"
CLOTHING = "gan-clothing"
PRODUCTS = "gan-studio", "probe-studio", CLOTHING
SEED, STEPS = 0, 12
SMALLER = 8  # batch and rate of a mini-run: at full rate, rounding grows within a few steps

Series = dict[str, list[float]]

# Of the largest number of a series. The vector instructions of PyTorch, oneDNN and MKL were held to
# AVX-512, to AVX2 (which AMD and Intel have in common) or to none, and two threads were set against one:
# the numbers moved by 1.6e-4 at most. In LOOSER, where Adam's first steps are the signs of gradients near
# zero, they moved by 4.4e-3 (gan; 1e-3 between AVX-512 and AVX2), 1.7e-3 (classifier), 6e-4 (03-3, where
# one picture of 300 that is taken for another class makes 5e-3), 9e-4 (04-3) and 7e-3 (05-own-photos).
# A processor of AMD's against one of Intel's moved gan-studio by 2.4e-3, probe-studio by 3.0e-3, and 03-1-gan
# by 1.1e-2, which is one picture taken for another class; one of Intel's against one of AMD's moved 06-6-3 by
# 4.1e-3.
TOLERANCE = 1e-3
LOOSER = {
    **{"gan": 2e-2, "classifier": 5e-3, "03-3-comparison": 1e-2, "04-3-faces": 5e-3},
    **{"gan-studio": 1e-2, "gan-clothing": 1e-2, "probe-studio": 1e-2},
    **{"03-1-gan": 2e-2, "05-own-photos": 2e-2},
    **{"03-1-4-uses": 2e-2, "06-6-3-zero-shot": 1e-2},
    **{"06-1-ecommerce": 1e-2, "06-6-1-higher-quality": 2e-2, "06-6-5-cross-domain": 2e-2},
    **{"09-2-choosing": 2e-2, "09-3-improving": 2e-2, "09-4-privacy": 2e-2, "09-5-gradients": 2e-2},
}

# Records that the present code would not make again, each with the reason. A test holds the list complete.
NOISE = "training noise has a random stream of its own"
SCORES = "samples are asked for the classes of the photos, and precision to coverage take other photos"
KNOWN_STALE = {
    "classifier-fashion-mnist": "frozen: the yardstick of all measures, no claim about the present recipe",
    "03-3-comparison": NOISE,
}


# ---------------------------------------------------------------- models and their bands


def trainer_of(kind: str, dataset: ImageDataset, seed: int, **changes: Any) -> training.Trainer:
    """What a record of this kind trains, with changes of the recipe's fields.

    The VAE that ships is not told the class, the GAN is.
    """
    conditional = kind == "gan"
    plain = training.new_trainer(kind, dataset, seed=seed, conditional=conditional)
    if not changes:
        return plain
    recipe = replace(plain.recipe, **changes)
    return training.new_trainer(kind, dataset, seed=seed, conditional=conditional, recipe=recipe)


class Album(nn.Module):
    """Draws photos of the class that is asked for, with grain: a model with something for every measure."""

    latent_dim, grain = 784, 0.2

    def __init__(self, photos: ImageDataset, of_each: int = 20):
        super().__init__()
        self.config = {"image_size": photos.image_size, "channels": photos.channels}
        self.condition = Condition.of_classes(photos.class_names)
        shelves = [photos.of_class(k).batch(slice(0, of_each)) for k in range(photos.num_classes)]
        self.shelves = nn.Parameter(torch.stack(shelves), requires_grad=False)

    def forward(self, z: Tensor, condition: Tensor) -> Tensor:
        """z (N, 784), condition (N, 10) -> (N, 1, 28, 28) in [-1, 1]."""
        place = (z[:, 0].sigmoid() * self.shelves.shape[1]).long()
        photos = self.shelves[condition.argmax(dim=1), place]
        return (photos + self.grain * z.view_as(photos)).clamp(-1, 1)


def of_model(kind: str) -> Series:
    """The mini-run behind a model that ships, and behind the bands of its kind."""
    photos, test = data.load(DATA), data.load(DATA, "test").evenly_spaced(150)
    trainer = trainer_of(kind, photos, SEED)
    start = copy.deepcopy(trainer.model)
    own = trainer.recipe
    trainer.recipe = replace(
        own,
        batch_size=own.batch_size // SMALLER,
        learning_rate=own.learning_rate / SMALLER,
        ema_half_life=own.ema_half_life // (200 * SMALLER),
    )
    images = round((STEPS - 0.5) * trainer.recipe.batch_size)  # the last batch is a short one
    about = {"images": images, "seed": SEED, "report_every": images // 2, "progress": False}
    with tempfile.TemporaryDirectory() as folder:
        run = training.train(trainer, photos, out=Path(folder) / "run", **about)
    found = series(run.history)
    found["moved"], found["behind"] = [_distance(start, trainer.model)], [_distance(trainer.model, run.model)]
    if kind == "classifier":
        del found["accuracy"]  # of one batch: a photo more or less is much
        features = evaluation.extract(test, run.model)
        return found | {"features": [features.mean().item(), features.std().item()]}
    drawn = models.sample(run.model, 100, seed=SEED)
    found["drawn"] = [drawn.mean().item(), drawn.std().item(), evaluation.sharpness(drawn).mean().item()]
    found |= series([evaluation.evaluate(Album(photos), test, n=100, seed=SEED)])
    if kind == "vae":
        bounds = evaluation.evaluate(run.model, test, n=50, seed=SEED)
        found |= series([{name: bounds[name] for name in ("elbo", "importance_weighted_bound")}])
    return found


def of_products(name: str) -> Series:
    """The mini-run behind a model of the studio's products or of clothes, and what the photos are."""
    factors = studio.random_factors(2 * SMALLER, SEED)
    photos = studio.dataset(factors, "train", studio.render(**factors))
    if name == CLOTHING:
        kinds = Condition.of_classes(photos.class_names)
        photos = replace(photos, factors={LABEL: photos.labels}, condition=kinds)
        trainer = training.new_trainer("gan", photos, seed=SEED)
    elif name == "probe-studio":
        photos, trainer = replace(photos, condition=READ), probe_trainer(SEED)
    else:
        recipe = replace(gan_recipe(photos.image_size), augmented_below=0)  # so few, and yet as with many
        trainer = training.new_trainer("gan", photos, seed=SEED, recipe=recipe)
    start, own = copy.deepcopy(trainer.model), trainer.recipe
    trainer.recipe = replace(
        own,
        batch_size=SMALLER,
        learning_rate=own.learning_rate / SMALLER,
        ema_half_life=own.ema_half_life // 800,
    )
    run = training.train(trainer, photos, images=6 * SMALLER, seed=SEED, progress=False)
    found = series(run.history)
    found["moved"], found["behind"] = [_distance(start, trainer.model)], [_distance(trainer.model, run.model)]
    found["rendered"] = photos.images.float().mean(dim=(1, 2, 3)).tolist()
    return found


def _distance(one: nn.Module, other: nn.Module) -> float:
    """How far apart two models' weights are, which does not depend on the sign of each step."""
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return math.sqrt(sum((a - b).square().sum().item() for a, b in pairs))


# ---------------------------------------------------------------- the studies of notebooks


def code_cells(notebook: Path, tag: str | None = None) -> list:
    """A notebook's code cells, or those with a tag."""
    cells = nbformat.read(notebook, as_version=4).cells
    return [c for c in cells if c.cell_type == "code" and (tag is None or tag in c.metadata.get("tags", []))]


def study_code(notebook: Path) -> str:
    """The cells tagged `experiment`, in their order: a whole study.  "" where there is none."""
    return "\n\n".join(cell.source for cell in code_cells(notebook, "experiment"))


def study_module(notebook: Path) -> ModuleType:
    """The study as a module: the notebook's imports that it uses, and its cells, at the preset `smoke`.

    Its clock ticks once at each look, so that a budget of seconds is one of looks.
    """
    code = study_code(notebook)
    used = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    study = ModuleType(notebook.stem)
    study.preset, study.seed = "smoke", SEED
    for cell in code_cells(notebook):
        for node in ast.parse(cell.source).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                node.names = [a for a in node.names if (a.asname or a.name).partition(".")[0] in used]
                if node.names:
                    exec(ast.unparse(node), vars(study))
    exec(compile(code, notebook.name, "exec"), vars(study))
    study.clock = itertools.count().__next__
    study.time = SimpleNamespace(perf_counter=study.clock)
    return study


def _introduction(study: ModuleType) -> list[dict]:
    train, test = data.load(DATA), data.load(DATA, "test").evenly_spaced(200)
    classifier = recorded.load_model("classifier-fashion-mnist")
    study.PHOTOS = (20,)
    shelves = [train.of_class(k).batch(slice(0, 200)).flatten(1) for k in range(10)]
    knowledge = [study.learn(shelf, shelf[:50]) for shelf in shelves]
    features = evaluation.extract(test, classifier)
    return study.one_seed(train, knowledge, features, classifier, SEED, n=200)


def _networks(study: ModuleType) -> list[dict]:
    train, test = data.load(DATA), data.load(DATA, "test")
    few = train.subset(slice(0, 3_000)), test.subset(slice(0, 300))
    return study.one_seed(*few, SEED, rates=(0.003,), images=640)


def _activations(study: ModuleType) -> list[dict]:
    train = data.load(DATA)
    x, y = train.batch(slice(0, 2_000)).flatten(1), train.labels[:2_000]
    x = (x - x.mean()) / x.std()
    parts = x[:1_500], y[:1_500], x[1_500:], y[1_500:]
    study.PILOTS = (SEED,)
    rows = study.pilots(*parts, rates=(0.1,), budget=640)
    _, curve = study.race(*study.started("ReLU", 1, 2**0.5, SEED), 0.1, *parts, SEED, 1_280)
    return [*rows, *study.one_seed(rows, *parts, SEED, budget=640), {"curve": curve}]


def _losses(study: ModuleType) -> list[dict]:
    return study.study(SEED, steps=20, n=200)[0]


def _optimisers(study: ModuleType) -> list[dict]:
    study.PILOTS, stops = (SEED,), (5, 20)
    rows = []
    for task, name, rate in (
        ("classify", "SGD", 0.1),
        ("classify", "momentum", 0.03),
        ("rebuild", "Adam", 0.001),
    ):
        rows += study.pilots(task, name, (rate,), stops)
        rows += study.judged(rows, task, name, SEED + 1, stops)
    return rows


def _training_loop(study: ModuleType) -> list[dict]:
    trials = [study.trial(calls, SEED, rounds=12) for calls in study.ORDERS]
    batches = study.random_batches(100, 2, SEED)
    return [
        *({"losses": losses, "right": right} for losses, right, _ in trials),
        *({"batch": batch.tolist()[:5]} for batch in batches),
    ]


def _gan(study: ModuleType) -> list[dict]:
    rows = []
    for setting in study.GAMES.values():
        (points,) = study.play_on_the_ring(SEED, **setting, rounds=20)
        rows.append({"points": points.mean(dim=0).tolist(), "inside": study.modes_found(points)})
    rows += [{"known": points.mean().item()} for points in study.known_points(SEED).values()]
    players, pictures = study.learnt_products(SEED, rounds=5, count=50)
    rows.append({"learnt": pictures.mean().item()})
    for setting in study.GOES_ON.values():
        calmer = setting | {"learning_rate": setting["learning_rate"] / SMALLER}
        _, (pictures,), logs = study.play_on(players, 2, SEED, count=50, **calmer)
        rows.append(
            {"tones": pictures.mean().item()} | {name: float(value) for name, value in logs[-1].items()}
        )
    known = study.known_pictures(SEED, n=50)
    rows += [{"known": torch.stack(pictures).mean().item()} for pictures in known.values()]
    rows.append(study.look_at(known["photos"][0], **study.judges(100)))
    return rows


def _gan_uses(study: ModuleType) -> list[dict]:
    rows = [row for use in study.USES for row in study.restored(SEED, use, n=8, steps=5)]
    rows += study.augmentation(SEED, stops=(2, 5), steps=10)[0]
    # Of few photos a share jumps when rounding makes one of them another class.
    few = {"repair": "right", "enlarge": "right", "augmentation": "tuning_wrong"}
    return [{key: x for key, x in row.items() if key != few.get(row.get("what"))} for row in rows]


def _vae(study: ModuleType) -> list[dict]:
    return study.one_seed(SEED, images=1920, n=200)


def _comparison(study: ModuleType) -> list[dict]:
    rows = []
    for kind in study.MODELS:
        rows += study.run_one(kind, study.GRID[1], SEED, images=8 * 128)[0]
    return rows + study.score_photos(SEED)


def _derivations(study: ModuleType) -> list[dict]:
    return study.one_seed(SEED, stages=(0, 5))


def _faces(study: ModuleType) -> list[dict]:
    study.RECIPE = replace(study.RECIPE, learning_rate=study.RECIPE.learning_rate / SMALLER)
    return study.one_seed(SEED, images=160)


def _own_photos(study: ModuleType) -> list[dict]:
    factors = studio.random_factors(54, SEED)
    factors[LABEL] = torch.arange(54) % 9
    photos = studio.dataset(factors, "train", studio.render(**factors)).only(LABEL)
    gentle = {**study.WRONG["no brakes"][0], "learning_rate": 1e-3}
    study.WRONG, study.EACH = {**study.WRONG, "no brakes": (gentle, None)}, 8
    parts = photos.subset(slice(0, 45)), photos.subset(slice(45, None))
    rows = study.one_seed(*parts, SEED, looks=(64, 192, 320))
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def _advertising(study: ModuleType) -> list[dict]:
    study.WAYS = {way: grid[:2] for way, grid in study.WAYS.items()}
    rows = study.pilots(seeds=(SEED, SEED + 1), views=800)
    return rows + study.judged(rows, seeds=(SEED, SEED + 1), views=800)


def _try_on(study: ModuleType) -> list[dict]:
    return study.one_seed(data.load(DATA, "test"), SEED, n=1)


def _medical(study: ModuleType) -> list[dict]:
    return study.detectors(SEED, images=128, steps=5)[0] + study.anomalies(SEED, images=128)


def _ecommerce(study: ModuleType) -> list[dict]:
    rows = study.one_seed(SEED, n=20, products=2, kinds=study.FRONTED[:1], photos=8, images=1, each=1)
    # What a generator shows that has not been trained is a matter of rounding.
    rows = [row for row in rows if row["what"] != "never"]
    model = study.learn(study.photo_session(SEED, 32), SEED, 3 * 128).model
    drawn = models.sample(model, 50, seed=SEED)
    painted = study.recolour(study.enlarged(drawn), torch.zeros(50).long(), torch.full((50,), 4))
    return [*rows, {"drawn": [x.mean().item() for x in (drawn, drawn.std(dim=0), painted)]}]


def _gradients(study: ModuleType) -> list[dict]:
    photos = data.load(DATA).batch(slice(0, 2_000)).flatten(1)
    rows = study.one_seed(photos, photos, SEED, steps=4, turns=2)
    return [{key: x for key, x in row.items() if key != "steady"} for row in rows]  # rounding's, after so few


def _choosing(study: ModuleType) -> list[dict]:
    study.RATES = (5e-4,)
    tuned = study.pilots(SEED, sizes=(20,), seconds=0.1)
    runs = [(model, 20) for model in study.MODELS]
    rows = tuned + study.one_seed(SEED, tuned, runs, seconds=0.1)
    rough = "copies", "precision", "recall", "density", "coverage"  # of few pictures a share jumps
    return [{key: x for key, x in row.items() if key not in rough} for row in rows]


def _improving(study: ModuleType) -> list[dict]:
    photos = data.load(DATA).batch(slice(0, 2_000))
    judge = recorded.load_model("classifier-fashion-mnist")
    real = evaluation.extract(photos[:200], judge)
    study.pictures.__defaults__ = (200,)
    names = [*study.SETTINGS, *study.OBSERVED]
    rows = study.one_seed(photos, judge, real, SEED, names, images=4 * 64)
    return [{key: x for key, x in row.items() if key not in ("seconds", "failed")} for row in rows]


def _higher_quality(study: ModuleType) -> list[dict]:
    parts = {"photos": study.photos_of_products(20), "renders": study.renders(20)}
    study.RATES = {way: rates[:1] for way, rates in study.RATES.items()}
    tuning = study.tuned(parts, share=0.001)
    rows = tuning + study.one_seed(parts, tuning, SEED, share=0.001)
    rows += study.larger_seed(study.renders(6, 64, SEED), SEED, images=64)
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def _privacy(study: ModuleType) -> list[dict]:
    train = data.load(DATA).subset(slice(0, 1_200))
    tests = study.shown(data.load(DATA, "test").subset(slice(0, 500)))
    study.BATCH, study.BUDGETS = 20, (3,)
    few = {"size": 100, "big_size": 600, "steps": 5, "images": 192, "big": (3, 200), "n": 100}
    rows = study.one_seed(train, study.shown(train), tests, SEED, **few)
    sizes = {"sizes": (100, 200), "size": 100, "big_size": 600, "looks": (1, 1)}
    rows += study.by_size(train, study.shown(train), SEED, **sizes)
    return [{name: x for name, x in row.items() if name != "found"} for row in rows]  # of 100 photos it jumps


def _multimodal(study: ModuleType) -> list[dict]:
    small = {"photos": 24, "steps": 2, "images": 160, "n": 24, "judge": (24, 2)}
    study.RATES = {way: rate / SMALLER for way, rate in study.RATES.items()}
    rows = study.one_seed(SEED, **small)
    # What untrained networks get right is a matter of rounding; what they compute is not.
    asked = study.draw_asked(24, SEED)
    known = study.vector_of(asked.roll(1, 0)) + 2 * study.vector_of(asked.flip(0))
    photos = study.photograph(asked, SEED)
    reader, _, losses = study.learn_to_read(photos, asked, SEED, 2)
    many, sentences, said = study.captioned(photos, asked, SEED, times=1)
    told = study.text_vectors(reader, sentences)
    rate = study.RATES["sentences"]
    painter = study.learn_to_draw(many, told, SEED, 160, learning_rate=rate)
    made = study.drawn(painter, told, SEED)
    logits = study.the_judge(*small["judge"])(made)
    return [
        {"ways": len(rows)} | study.judged(lambda read: read, known, asked),
        {"losses": losses, "said": said.tolist(), "told": told.mean(dim=1).tolist()},
        {"drawn": [x.item() for x in (made.mean(), made.std(), logits.std())]},
        {"scores": study.scores(logits, asked).mean(dim=1).tolist()},
    ]


def _zero_shot(study: ModuleType) -> list[dict]:
    photos = study.photographs(study.PAIRS, SEED)
    held_out = study.gaps(16, SEED)
    kept, rows = study.without(photos, held_out), []
    for known in (kept, study.numbered(kept)):
        model = study.learn(known, SEED, images=256)
        drawn = study.drawn(model, study.PAIRS, SEED)
        rows.append({"drawn": [x.mean().item() for x in (drawn, drawn.std(dim=0))]})
    rng, pairs = torch.Generator().manual_seed(SEED), held_out.nonzero()
    for way in study.WAYS:
        rows.append({way: study.recoloured(kept, pairs, way, rng).mean().item()})
    # What a generator shows that has not been trained is a matter of rounding.
    known = "renders", "renders, 1 order in 5 mixed up", "looked up", "recoloured"
    read = study.one_seed(SEED, images=128, each=1, n=32)  # other shops: those are for the first seeds
    return [*rows, *(row for row in read if row["who"] in known), {"gaps": held_out.int().tolist()}]


def _ar_shopping(study: ModuleType) -> list[dict]:
    return study.one_seed(recorded.load_model("gan-studio"), SEED, draws=4, steps=1)


def _cross_domain(study: ModuleType) -> list[dict]:
    study.SOURCE_RATE /= SMALLER
    study.RATES = {way: {k: rate / SMALLER for k, rate in of.items()} for way, of in study.RATES.items()}
    study.BATCH = 8
    rows = study.one_seed(SEED, first=16, then=64, n=40)
    return [{key: x for key, x in row.items() if key not in ("copies", "copied")} for row in rows]


STUDIES: dict[str, Callable[[ModuleType], list[dict]]] = {
    "01-introduction": _introduction,
    "02-1-networks": _networks,
    "02-2-activations": _activations,
    "02-3-losses": _losses,
    "02-4-optimisers": _optimisers,
    "02-5-training-loop": _training_loop,
    "03-1-4-uses": _gan_uses,
    "03-1-gan": _gan,
    "03-2-vae": _vae,
    "03-3-comparison": _comparison,
    "04-2-derivations": _derivations,
    "04-3-faces": _faces,
    "05-own-photos": _own_photos,
    "06-1-ecommerce": _ecommerce,
    "06-2-advertising": _advertising,
    "06-3-vr-ar-try-on": _try_on,
    "06-4-medical": _medical,
    "06-6-1-higher-quality": _higher_quality,
    "06-6-2-multimodal": _multimodal,
    "06-6-3-zero-shot": _zero_shot,
    "06-6-4-ar-shopping": _ar_shopping,
    "06-6-5-cross-domain": _cross_domain,
    "09-2-choosing": _choosing,
    "09-3-improving": _improving,
    "09-4-privacy": _privacy,
    "09-5-gradients": _gradients,
}


def of_study(name: str) -> Series:
    """The mini-run of a notebook's study."""
    return series(STUDIES[name](study_module(ROOT / "book" / f"{name}.ipynb")))


# ---------------------------------------------------------------- taken, and compared


def behind(record: str) -> str:
    """Which mini-run stands for a record, by its name: a key of STUDIES, one of PRODUCTS or one of KINDS."""
    kind = record.partition("-")[0]
    return kind if kind in KINDS and record not in PRODUCTS else record


def fingerprint(of: str) -> Series:
    """The numbers of a mini-run, as `behind` names it, to six digits."""
    with alike_everywhere():
        found = of_model(of) if of in KINDS else of_products(of) if of in PRODUCTS else of_study(of)
    return {name: [float(f"{x:.6g}") for x in values] for name, values in sorted(found.items())}


@contextmanager
def alike_everywhere() -> Iterator[None]:
    """Inside: float32, one thread, no GPU, a row of history a step, random numbers put back after."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    AcceleratorState._reset_state(reset_partial_state=True)  # it remembers the device of an earlier training
    try:
        with (
            patch.object(torch.cuda, "is_available", lambda: False),
            patch.object(device, "fast_bfloat16", lambda device_type: False),
            patch.object(loop, "FLUSH_EVERY", 1),
            device.seeded(SEED),
        ):
            yield
    finally:
        torch.set_num_threads(threads)
        AcceleratorState._reset_state(reset_partial_state=True)


def series(rows: Iterable[Mapping[str, Any]]) -> Series:
    """The numbers of all rows by their column, lists and mappings unrolled; what is no number is left out."""
    found: Series = {}

    def add(name: str, value: Any) -> None:
        if isinstance(value, Mapping):
            for key, part in value.items():
                add(f"{name} {key}".strip(), part)
        elif isinstance(value, list | tuple):
            for part in value:
                add(name, part)
        elif isinstance(value, int | float):
            found.setdefault(name, []).append(float(value))

    for row in rows:
        add("", row)
    return found


def differing(of: str, was: Series, now: Series) -> list[str]:
    """The names of a mini-run's series that are not the same within the tolerance, or that one lacks."""
    tolerance = LOOSER.get(of, TOLERANCE)
    names = sorted(was.keys() | now.keys())
    return [name for name in names if not _same(was.get(name), now.get(name), tolerance)]


def _same(was: list[float] | None, now: list[float] | None, tolerance: float) -> bool:
    if was is None or now is None or len(was) != len(now):
        return False
    within = tolerance * max(map(abs, was))
    return all(abs(a - b) <= within for a, b in zip(was, now, strict=True))


def of_script(path: str) -> dict[str, str]:
    """What stands for a record that another framework made: its script, by its path in the repository."""
    return {"path": path, "sha256": recorded.file_hash(ROOT / path)}


def stamps() -> dict[str, dict[str, Any]]:
    """The stamps of all records, by name."""
    found = {name: recorded.card(name) for name in recorded.model_names()}
    found |= {name: recorded.load_result(name) for name in recorded.result_names()}
    return {name: record["stamp"] for name, record in found.items()}


def changed(record: str, stamp: Mapping[str, Any], now: Callable[[str], Series]) -> list[str]:
    """What differs since a record was stamped: series by name, its script by path, or nothing.

    now: gives the fingerprint of a mini-run as it is today; called only where the stamp has one.
    """
    if script := stamp.get("script"):
        known = (ROOT / script["path"]).is_file() and of_script(script["path"]) == script
        return [] if known else [script["path"]]
    return differing(behind(record), stamp["fingerprint"], now(behind(record)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("records", nargs="*", help="their names; all of them if none is given")
    all_stamps = stamps()
    names = parser.parse_args().records or list(all_stamps)
    runs = {behind(name) for name in names if "script" not in all_stamps[name]}  # several records share one
    # A mini-run takes one thread, so each core has one to itself; those that are asked for last end last.
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as processes:
        today = {of: processes.submit(fingerprint, of) for of in sorted(runs)}
        for name in names:
            found = changed(name, all_stamps[name], lambda of: today[of].result())
            said = f"stale ({', '.join(found)})" if found else "current"
            known = f"; known: {KNOWN_STALE[name]}" if name in KNOWN_STALE else ""
            print(f"{name}: {said}{known}", flush=True)


if __name__ == "__main__":
    main()
