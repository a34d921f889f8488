"""Put what was measured beside what was aimed at, in benchmarks/README.md.

    python benchmarks/table.py

Reads every JSON file in benchmarks/results/ and rewrites the part of the page between the two markers. A goal
without a measurement says so.
"""

import statistics
from collections.abc import Callable
from pathlib import Path

from results import read, read_all

from prodgen import recorded

PAGE = Path(__file__).resolve().parent / "README.md"
BEGIN, END = "<!-- figures: written by table.py -->", "<!-- end of figures -->"
NOT_MEASURED = "not measured yet"


def spread(values: list[float], digits: int = 2) -> str:
    """Mean and range, as text."""
    if len(values) == 1:
        return f"{values[0]:,.{digits}f} (one run)"
    return (
        f"{statistics.mean(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f}, "
        f"{len(values)} seeds)"
    )


def verdict(reached: bool) -> str:
    return "reached" if reached else "**not reached**"


def of_method(method: str, key: str) -> list[float]:
    """One metric of all seeds of a method; FileNotFoundError where there are none."""
    rows = [row for row in read_all("gan-") if row.get("method") == method]
    if not rows:
        raise FileNotFoundError(method)
    return [row[key] for row in rows]


def gan(method: str, dcgan: int, wgan: int) -> tuple[str, str]:
    ours = of_method(method, "fid_fmnist_excess")
    against = [of_method(name, "fid_fmnist_excess") for name in ("dcgan", "wgan-gp")]
    shares = [statistics.mean(other) / statistics.mean(ours) for other in against]
    text = f"{spread(ours)}: 1/{shares[0]:.1f} of the DCGAN's {spread(against[0], 1)}, "
    text += f"1/{shares[1]:.1f} of the WGAN-GP's {spread(against[1], 1)}"
    return text, verdict(shares[0] >= dcgan and shares[1] >= wgan)


def manifold(method: str) -> tuple[str, str]:
    precision, recall = (of_method(method, key) for key in ("precision", "recall"))
    text = f"precision {spread(precision, 3)}, recall {spread(recall, 3)}"
    return text, verdict(statistics.mean(precision) >= 0.93 and statistics.mean(recall) >= 0.85)


def shipped_gan() -> tuple[str, str]:
    row = read("gan-shipped")
    excess, precision, recall = (row[key] for key in ("fid_fmnist_excess", "precision", "recall"))
    text = f"excess {excess:.2f}, precision {precision:.3f}, recall {recall:.3f}"
    return text, verdict(excess <= 0.7 and precision >= 0.94 and recall >= 0.9)


def shipped_classes() -> tuple[str, str]:
    gaps = {
        name: 100 * (seen["pictures"] - seen["photos"])
        for name, seen in read("gan-shipped")["classes"].items()
    }
    worst = max(gaps, key=lambda name: abs(gaps[name]))
    missed = [name for name, gap in gaps.items() if round(abs(gap), 1) > 3]  # of 1,000 pictures: whole tenths
    text = f"worst: {worst}, {gaps[worst]:+.1f} points; beyond 3: {', '.join(missed) or 'none'}"
    return text, verdict(not missed)


def copies() -> tuple[str, str]:
    found = read("gan-shipped")["copies"]
    text = (
        f"of {found['drawn']:,} pictures {found['suspects']} lie nearer to a training photo than 99.9 % of "
        f"the test photos do; the nearest is {found['nearest_drawn']:.2f} away, the nearest test photo "
        f"{found['nearest_photo']:.2f}"
    )
    return text, verdict(found["suspects"] == 0)


def shipped_vae(goal: float) -> tuple[str, str]:
    row = read("vae-bound")
    if row["sha256"] != recorded.card(row["model"])["sha256"]:
        raise FileNotFoundError("a bound of the weights that ship now")
    text = (
        f"{row['mean']:.2f} ± {row['standard_error']:.2f}, of which {row['gain']:.2f} ± "
        f"{row['gain_standard_error']:.2f} is what k = 5,000 gains on the first {row['n_gain']:,}"
    )
    return text, verdict(row["mean"] >= goal)


def quick_vae() -> tuple[str, str]:
    rows = read_all("vae-five-minutes-")
    if not rows:
        raise FileNotFoundError("vae-five-minutes")
    bounds = [row["bound_100"]["mean"] for row in rows]
    return f"{spread(bounds, 1)}, k = 100 on 1,000 images", verdict(min(bounds) >= -236)


def mixture() -> tuple[str, str]:
    row = read("vae-mixture")
    found = {
        z: {
            key: spread([one[key] for one in row["values"] if one["z"] == z], digits)
            for key, digits in (("fid_fmnist_excess", 1), ("precision", 3), ("recall", 3))
        }
        for z in ("prior", "mixture")
    }
    parts = [
        f"from the {z}: excess {of['fid_fmnist_excess']}, precision {of['precision']}, recall {of['recall']}"
        for z, of in found.items()
    ]
    return "; ".join(parts) + f". {row['components']} components", "measured"


def quality() -> tuple[str, str]:
    rows = read("speed-quality")["values"]
    excess = {
        number: [row["fid_fmnist_excess"] for row in rows if row["precision_of_numbers"] == number]
        for number in ("bfloat16", "float32")
    }
    text = ", ".join(f"{number} {spread(values, 1)}" for number, values in excess.items())
    overlap = min(excess["bfloat16"]) <= max(excess["float32"])
    return f"excess after the quick budget: {text}", verdict(overlap)


def speed() -> tuple[str, str]:
    row = read("speed")
    low, high = row["ratio_range"]
    goal = 1.7 if row["bfloat16"] else 1.0
    text = f"{row['ratio']:.2f} times ({low:.2f} to {high:.2f}) the plain loop; "
    text += (
        "bfloat16"
        if row["bfloat16"]
        else "this CPU is not fast in bfloat16, so both are float32: no loss asked"
    )
    return text, verdict(row["ratio"] >= goal)


def waiting() -> tuple[str, str]:
    row = read("speed-profile")
    parts = ("discriminator_step", "generator_step", "update")
    text = f"batch {row['batch']:.1%}; " + ", ".join(f"{name} {row[name]:.0%}" for name in parts)
    return text, verdict(row["batch"] < 0.1)


def imports() -> tuple[str, str]:
    row = read("cost")
    extra, whole = row["import_extra"], row["import_whole"]
    text = f"{extra:.2f} s; {whole:.2f} s with every module of it, matplotlib and accelerate among them"
    return text, verdict(max(extra, whole) < 0.5)


def memory() -> tuple[str, str]:
    peak = read("cost")["peak_gb"]
    return f"{peak:.2f} GB", verdict(peak < 1.5)


def processes() -> tuple[str, str]:
    rates = read("speed-processes")["rates"]
    return "; ".join(f"{name}: {rate:,.0f}" for name, rate in rates.items()) + " images/s", "measured"


def fifteen_minutes() -> list[dict]:
    """The runs of fifteen minutes at 64 pixels; FileNotFoundError where there are none."""
    runs = read_all("photos-15-minutes-")
    if not runs:
        raise FileNotFoundError("photos-15-minutes")
    return runs


def photos() -> tuple[str, str]:
    gaussian, ends = read("photos-yardsticks")["kid_gaussian"], [run["path"][-1] for run in fifteen_minutes()]
    shares = [row["kid"] / gaussian for row in ends]
    text = f"KID {spread(shares, 3)} of a pixel Gaussian's; recall {spread([row['recall'] for row in ends])}"
    return text, verdict(statistics.mean(shares) <= 0.03)


def last_quarter() -> tuple[str, str]:
    """The mean KID of a run's last quarter over the lowest mean of as many neighbouring looks as four."""
    ratios = []
    for run in fifteen_minutes():
        kids = [row["kid"] for row in run["path"]]
        fours = [statistics.mean(kids[i : i + 4]) for i in range(len(kids) - 3)]
        ratios.append(statistics.mean(kids[-(len(kids) // 4) :]) / min(fours))
    return f"{spread(ratios)} times", verdict(max(ratios) <= 1.2)


def not_yet() -> tuple[str, str]:
    raise FileNotFoundError("no script measures it yet")


def stable() -> tuple[str, str]:
    measured, path = read("photos-yardsticks"), read("photos-60-minutes-0")["path"]
    limit = measured["kid_gaussian"] / 6
    later = [row for i, row in enumerate(path) if any(seen["kid"] <= limit for seen in path[: i + 1])]
    if not later:
        return f"never under it; at the end {path[-1]['kid']:.2f}", verdict(False)
    most = max(row["kid"] for row in later)
    text = (
        f"under it after {later[0]['minutes']:.0f} minutes, at most {most:.2f} from there, at the end "
        f"{path[-1]['kid']:.2f}, where held-out photos have {measured['kid_held_out']:.2f} and the Gaussian "
        f"{measured['kid_gaussian']:.1f}; recall {path[-1]['recall']:.2f}"
    )
    return text, verdict(most <= limit)


def lowest_at_the_end() -> tuple[str, str]:
    kids = [row["kid"] for row in read("photos-60-minutes-0")["path"]]
    return f"{kids[-1]:.2f} against {min(kids):.2f}", verdict(kids[-1] <= 1.1 * min(kids))


def photo_copies() -> tuple[str, str]:
    found = read("photos-copies")
    text = (
        f"{100 * found['suspects'] / found['drawn']:.1f} % of {found['drawn']:,} pictures lie nearer to a "
        f"training photo, in the classifier's features, than 99 % of the {found['photos']} held-out photos do"
    )
    return text, "measured"


def in_the_page(size: int, goal: float) -> tuple[str, str]:
    """Milliseconds a picture of the networks that draw at a size."""
    networks = read("pages")["networks"]
    times = {name: row["milliseconds"] for name, row in networks.items() if row["size"] == size}
    return ", ".join(f"{name} {ms:.0f} ms" for name, ms in times.items()), verdict(
        max(times.values()) <= goal
    )


def over_the_wire() -> tuple[str, str]:
    found = read("pages")
    sizes = {name: row["bytes"] / 1e6 for name, row in found["networks"].items()}
    text = f"script {found['script_bytes'] / 1e3:.1f} kB; "
    text += ", ".join(f"{name} {size:.1f} MB" for name, size in sizes.items())
    return text, verdict(found["script_bytes"] <= 15e3 and max(sizes.values()) <= 1)


GOALS: list[tuple[str, Callable[[], tuple[str, str]], str]] = [
    ("GAN, class-conditional, five minutes: excess at most 1/30 of a DCGAN's, 1/15 of a WGAN-GP's",
     lambda: gan("prodgen", 30, 15), "`rates.py`, `gan.py METHOD --seed S`"),
    ("GAN, unconditional: at most 1/15 and 1/5", lambda: gan("prodgen-unconditional", 15, 5), "the same"),
    ("precision at least 0.93, recall at least 0.85, class-conditional", lambda: manifold("prodgen"),
     "the same"),
    ("the same, unconditional", lambda: manifold("prodgen-unconditional"), "the same"),
    ("without labels, told one of 200 piles of photos that look alike: at most 1/15 and 1/5",
     lambda: gan("prodgen-piles", 15, 5), "`gan.py prodgen-piles --seed S`"),
    ("the same: precision at least 0.93, recall at least 0.85", lambda: manifold("prodgen-piles"),
     "the same"),
    ("shipped GAN: excess at most 0.7, precision at least 0.94, recall at least 0.9", shipped_gan,
     "`shipped.py`"),
    ("shipped GAN: each class recognised within 3 points of photos", shipped_classes, "`shipped.py`"),
    ("shipped GAN: no near-copy of a training photo", copies, "`shipped.py`"),
    ("shipped VAE: bound of all 10,000 test photos, binarised once, with k = 100 and the gain of k = 5,000 "
     "(published: −226.75, a plain VAE of the paper on exemplar priors)", lambda: shipped_vae(-226.75),
     "`vae.py bounds`"),
    ("the same, the further goal (published: −225.38, a ConvHVAE)", lambda: shipped_vae(-225.38), "the same"),
    ("VAE, five minutes: at least −236 nats", quick_vae, "`rates.py`, `vae.py train --seed S`"),
    ("VAE: samples with z from the prior, and from a mixture of Gaussians fitted to codes", mixture,
     "`vae.py mixture`"),
    ("speed: 1.7 times a plain float32 loop where bfloat16 is native, no loss elsewhere", speed,
     "`speed.py compare`"),
    ("the same quality in bfloat16, within the seeds' spread", quality, "`speed.py quality`"),
    ("data never the bottleneck: shares of the time", waiting, "`speed.py profile`"),
    ("`import prodgen`: under 0.5 s beyond torch", imports, "`cost.py`"),
    ("memory of five minutes of training: under 1.5 GB", memory, "`cost.py`"),
    ("processes × threads", processes, "`speed.py processes`"),
    ("64 px photos, fifteen minutes, the rate falling: KID 0.03 of a pixel Gaussian's", photos,
     "`photos.py DIR train --minutes 15 --seed S`"),
    ("64 px photos, the same runs: the last quarter's mean KID at most 1.2 times the lowest mean of four "
     "looks in a row, every seed", last_quarter, "the same"),
    ("64 px photos, fifteen minutes, the rate held as the recipe has it since round 6: both goals", not_yet,
     "the same"),
    ("a shop's photos on white ground, 64 px, fifteen minutes: KID on ImageNet features below 0.03", not_yet,
     "none yet"),
    ("64 px photos, an hour: stable, once under a sixth of that KID never above it again", stable,
     "`photos.py DIR train --minutes 60`"),
    ("64 px photos, the same run: its end at most a tenth above its lowest KID", lowest_at_the_end,
     "the same"),
    ("64 px photos, the same run: near-copies of training photos", photo_copies, "`photos.py DIR draw`"),
    ("networks in the page, 28 px: at most 10 ms a picture", lambda: in_the_page(28, 10),
     "`pages.py`"),
    ("the same, 64 px: at most 33 ms", lambda: in_the_page(64, 33), "the same"),
    ("the same, over the wire: the script at most 15 kB, the weights of each at most 1 MB", over_the_wire,
     "the same"),
]  # fmt: skip


def written_into(page: str) -> str:
    """The page with the table of today's results between its markers."""
    lines = ["| Goal | Figure | | Command |", "|---|---|---|---|"]
    for goal, measure, command in GOALS:
        try:
            figure, reached = measure()
        except FileNotFoundError:
            figure, reached = "–", NOT_MEASURED
        lines.append(f"| {goal} | {figure} | {reached} | {command} |")
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(written_into(PAGE.read_text("utf-8")), "utf-8")
