"""What the package costs: the time of its import, and the memory of a training.

python benchmarks/cost.py
"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from results import write

from prodgen.data import load
from prodgen.device import device_name

REPEATS = 7
MODULES = "data", "evaluation", "losses", "models", "plots", "presets", "recorded", "training"


def import_seconds(statement: str) -> list[float]:
    """Seconds that a statement takes in a fresh interpreter, once to warm the disk and then REPEATS times."""
    code = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
    runs = [
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        for _ in range(REPEATS + 1)
    ]
    return [float(run.stdout) for run in runs[1:]]


def peak_memory(minutes: float) -> float:
    """The most resident memory, in GB, of `prodgen train gan` on Fashion-MNIST."""
    load("fashion-mnist")  # decoded before, as for every run but the first
    with tempfile.TemporaryDirectory() as folder:
        train = ["train", "gan", "--data", "fashion-mnist", "--minutes", str(minutes)]
        process = subprocess.Popen(
            [sys.executable, "-m", "prodgen", *train, "--out", str(Path(folder) / "run")],
            stdout=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit("training failed")
    return usage.ru_maxrss * 1024 / 1e9


def main() -> None:
    torch, both = import_seconds("import torch"), import_seconds("import torch, prodgen")
    extra = statistics.median(both) - statistics.median(torch)
    whole = import_seconds(f"import torch; from prodgen import {', '.join(MODULES)}")
    all_extra = statistics.median(whole) - statistics.median(torch)
    result = {
        "device": device_name(),
        "import_torch": torch,
        "import_both": both,
        "import_extra": extra,
        "import_whole": all_extra,
    }
    print(f"beyond torch's {statistics.median(torch):.2f} s: {extra:.3f} s, all modules {all_extra:.2f} s")
    result |= {"peak_gb": peak_memory(5), "minutes": 5}
    print(f"peak memory of five minutes of training: {result['peak_gb']:.2f} GB")
    write("cost", result)


if __name__ == "__main__":
    main()
