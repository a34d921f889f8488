"""Chapter 8's ledger is whole and says what the claims' file says; scale, counts and chances are right."""

import math
from pathlib import Path

import pytest
from chapters import run_core
from matplotlib.figure import Figure
from scipy.stats import binom

from prodgen import evaluation, notebook, recorded
from prodgen.evaluation import Evidence

NAME = "08-evidence"
BOOK = Path(__file__).parents[1] / "book"
CLAIMS = recorded.claims()
WORDS = {claim["id"]: evaluation.judge(claim).word for claim in CLAIMS}
JUDGED = [claim for claim in CLAIMS if WORDS[claim["id"]] != "not tested here"]
OPEN = [claim for claim in CLAIMS if WORDS[claim["id"]] == "not tested here"]


@pytest.fixture(scope="module")
def chapter() -> dict:
    """What the cells tagged `core` define, over the ledger as it is, and under "said" what they show."""
    said: list[str] = []
    namespace: dict = {"claims": CLAIMS, "words": WORDS, "judged": JUDGED, "open_ones": OPEN, "seed": 0}
    namespace |= {"Evidence": Evidence, "said": said}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(notebook, "say", said.append)
        return run_core(NAME, namespace)


def test_every_claim_is_owned_by_a_page_that_exists():
    assert CLAIMS and all((BOOK / f"{claim['chapter']}.ipynb").is_file() for claim in CLAIMS)


def test_every_claim_stands_in_one_of_the_two_lists_with_what_belongs_to_it(chapter):
    text = "\n".join(chapter["said"])
    for claim in JUDGED:
        entry = chapter["entry"](claim)
        assert entry in text and entry.startswith(f"**{claim['id'].replace('-', ' ')}: {claim['verdict']}.**")
        assert claim["claim"] in entry and claim["term"] in entry
        assert all(f"| {case} | " in entry for case in evaluation.evidence(claim))
        assert all(control["name"] in entry for control in claim["controls"])
    for claim in OPEN:
        entry = chapter["open_entry"](claim)
        assert entry in text and claim["claim"] in entry
        assert claim["not_tested"]["because"] in entry and claim["not_tested"]["needs"] in entry
    for claim in CLAIMS:
        assert f"chapter {chapter['link'](claim['chapter'])})" in chapter["headline"](claim)


def test_a_link_is_called_by_the_chapter_s_number(chapter):
    assert chapter["link"]("03-1-gan") == "[3.1](03-1-gan.ipynb)"
    assert chapter["link"]("06-6-4-ar-shopping") == "[6.6.4](06-6-4-ar-shopping.ipynb)"


def test_an_effect_is_one_at_its_margin_none_where_nothing_changes_and_turns_round_with_its_sign(chapter):
    scaled = chapter["scaled"]
    for margin in (0.3, 2.0, 10.0):
        for kind, nothing in (("difference", 0.0), ("ratio", 1.0), ("odds", 1.0)):
            assert scaled(Evidence(nothing, margin, margin), kind) == pytest.approx(
                (0, 1) if kind == "difference" or margin > 1 else (2, 1)
            )
    assert scaled(Evidence(0, math.inf, 3), "odds") == (-math.inf, math.inf)
    assert scaled(Evidence(-0.5, 1.5, 0.0), "difference") == pytest.approx((0.5, 2.5))  # half widths


def test_the_tests_of_a_claim_come_with_their_own_evidence(chapter):
    for claim in JUDGED:
        found = list(chapter["measured"](claim))
        assert len(found) == len(claim["tests"])
        for test, (case, effect, one) in zip(claim["tests"], found, strict=True):
            full = claim.get("rule", {}) | test
            assert (case, effect, one.margin) == (full["case"], full["effect"], full["margin"])
            assert one in evaluation.evidence(claim)[case]


def test_the_picture_names_every_judged_claim_with_its_word(chapter):
    figure = chapter["forest"](JUDGED)
    assert isinstance(figure, Figure)
    labels = {text.get_text() for text in figure.axes[0].texts} - {"margin"}
    assert labels == {f"{c['id'].replace('-', ' ')} ({c['section']}): {c['verdict']}" for c in JUDGED}


def test_the_counts_add_up_to_the_ledger(chapter):
    rows = chapter["by_kind"](CLAIMS, WORDS)
    for row in rows:
        assert sum(row[1:-1]) == row[-1]
    assert rows[-1][1:-1] == [list(WORDS.values()).count(word) for word in chapter["WORDS"]]
    assert chapter["kind"]("06-6-3-zero-shot") == "the future"
    assert chapter["kind"]("06-3-vr-ar-try-on") == "applications"


def test_the_sentence_to_take_home_counts_the_words(chapter):
    words = dict(zip("abcdef", ["supported", "depends", "not supported", "not supported"], strict=False))
    words |= {"e": "inconclusive", "f": "not tested here"}
    told = chapter["take_home"](words)
    assert "Of 6 claims" in told and "5 were judged" in told and "The other 1 " in told
    assert "2 fell short" in told and "1 stays undecided" in told


def test_one_look_at_the_end_keeps_the_promise_and_many_looks_break_it(chapter):
    once, often = chapter["looks"](8000, 12, level=0.95, rng=1)
    assert once == pytest.approx(0.025, abs=0.008)  # more than four standard errors
    assert often > 2 * once
    assert chapter["looks"](500, 3) == pytest.approx([chapter["looks"](500, 3)[0]] * 2)  # one look in both


def test_the_number_of_false_verdicts_is_binomial(chapter):
    for n, level in ((10, 0.99), (43, 0.95)):
        expected, at_least_one = chapter["false_alarms"](n, level)
        chance = binom(n, (1 - level) / 2)
        assert expected == pytest.approx(chance.mean()) and at_least_one == pytest.approx(1 - chance.pmf(0))


def test_with_the_margins_as_they_are_no_verdict_turns(chapter):
    assert {c["id"]: chapter["verdict_at"](c, 1) for c in JUDGED} == {c["id"]: c["verdict"] for c in JUDGED}
    moved = chapter["moved_margin"]
    assert moved(Evidence(1, 2, 1.21), "ratio", 0.5).margin == pytest.approx(1.1)
    assert moved(Evidence(1, 2, 0.02), "difference", 2).margin == pytest.approx(0.04)


def test_so_many_seeds_would_decide_and_one_less_would_not(chapter):
    effects, margin = chapter["np"].array([0.9, 1.4, 1.0, 1.3, 1.15]), 1.0
    n = chapter["seeds_to_decide"](effects, margin)
    half = [chapter["stats"].t.ppf(0.995, m - 1) * effects.std(ddof=1) / math.sqrt(m) for m in (n - 1, n)]
    assert half[0] > effects.mean() - margin >= half[1]


def test_the_effects_it_reckons_from_are_those_that_were_judged(chapter):
    for claim in JUDGED:
        tests = [claim.get("rule", {}) | test for test in claim["tests"]]
        for test, (_, effect, one) in zip(tests, chapter["measured"](claim), strict=True):
            if effect not in ("ratio", "difference", "value"):
                continue
            values, margin = chapter["effects_of"](claim, test)
            low, high = evaluation.t_interval(values.tolist(), 0.99)
            u = math.log if effect == "ratio" else float
            assert (low, high, margin) == pytest.approx((u(one.low), u(one.high), u(one.margin)))
