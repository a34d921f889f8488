"""Images a second that every method trains on.  On an idle machine; every budget is made of them.

python benchmarks/rates.py

A run of five minutes has as many images as its method gets through in five minutes of the idle machine: so it
can be repeated bit by bit, and may share the machine with another without being cheated.
"""

from baselines import BASELINES
from baselines import train as train_baseline
from results import read, write

from prodgen import data, training
from prodgen.device import device_name

MINUTES = 5
OURS = {"prodgen": True, "prodgen-unconditional": False}  # GANs: class-conditional?
METHODS = (*OURS, "vae", *BASELINES)
SECONDS, ROUNDS = 15, 3  # that a rate is measured over
WARM_UP = 3  # seconds


def rate_of(method: str) -> float:
    """Images a second of a method, after a warm-up."""
    dataset = data.load("fashion-mnist")
    if method in BASELINES:
        _, steps = BASELINES[method](dataset, seed=0)
        train_baseline(steps, seconds=WARM_UP)
        seen, seconds = train_baseline(steps, seconds=SECONDS)
        return seen / seconds
    kind, conditional = ("gan", OURS[method]) if method in OURS else (method, False)
    trainer = training.new_trainer(kind, dataset, conditional=conditional)
    training.train(trainer, dataset, minutes=WARM_UP / 60, progress=False)
    run = training.train(trainer, dataset, minutes=SECONDS / 60, progress=False)
    return run.images_seen / run.seconds


def five_minutes_of(method: str) -> int:
    """Images that the method gets through in five minutes, by its recorded rate."""
    return round(read("rates")["rates"][method] * MINUTES * 60)


def main() -> None:
    """The fastest of three measurements of each method, in turns: what the machine does when left alone."""
    measured: dict[str, list[float]] = {method: [] for method in METHODS}
    for _ in range(ROUNDS):
        for method, rates in measured.items():
            rates.append(rate_of(method))
    rates = {method: max(values) for method, values in measured.items()}
    write("rates", {"device": device_name(), "measured": measured, "rates": rates})
    for method, rate in rates.items():
        print(f"{method:22}{rate:8,.0f} images/s")


if __name__ == "__main__":
    main()
