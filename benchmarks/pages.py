"""What the networks in the pages cost: milliseconds a picture in Chromium, and bytes over the wire.

    python benchmarks/pages.py

Each generator that ships is given to a page as the book gives it, and draws there. A picture's time is the
median of many; bytes are those of the script and of the weights as a server compresses them.
"""

import gzip
import json
import statistics
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright
from results import write

from prodgen import recorded
from prodgen.cli import live
from prodgen.device import device_name

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))
import browser

SCRIPT = Path(live.__file__).with_suffix(".js")
WARM_UP, PICTURES = 20, 100
TIMES = """([warmUp, pictures]) => {
  const model = prodgenLive.models.own;
  const asked = model.factors.flatMap((factor) =>
    prodgenLive.encode(factor, factor.values.length ? 0 : (factor.bounds ?? [0])[0]));
  const times = [];
  for (let i = 0; i < warmUp + pictures; i++) {
    const z = prodgenLive.noise(model.latent_dim);
    const before = performance.now();
    prodgenLive.draw(model, z, asked);
    times.push(performance.now() - before);
  }
  return times.slice(warmUp);
}"""


def compressed(text: str) -> int:
    """Bytes over the wire."""
    return len(gzip.compress(text.encode(), 6))


def main() -> None:
    program, rows = browser.find(), {}
    if program is None:
        sys.exit("no Chromium found: run `make chromium` first")
    with sync_playwright() as playwright:
        page = browser.launch(playwright, program).new_page()
        page.add_script_tag(path=SCRIPT)
        for name in recorded.model_names():
            if not name.startswith(("gan", "vae")):
                continue
            model = live.live_model(recorded.load_model(name))
            page.evaluate("(model) => { prodgenLive.models.own = model; }", model)
            times = page.evaluate(TIMES, [WARM_UP, PICTURES])
            rows[name] = {
                "size": model["size"],
                "milliseconds": round(statistics.median(times), 1),
                "bytes": compressed(json.dumps(model)),
            }
            print(name, rows[name])
    result = {"networks": rows, "script_bytes": compressed(SCRIPT.read_text("utf-8"))}
    write("pages", result | {"device": device_name()})


if __name__ == "__main__":
    main()
