"""A verdict says what the intervals say, errs as seldom as it promises, and refuses what would fool it."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from prodgen import evaluation, recorded
from prodgen.evaluation import Evidence, Verdict, judge, verdict, wrong_controls
from prodgen.evaluation.verdicts import LEVEL

TAIL = (1 - LEVEL) / 2
YES, NO, OPEN = Evidence(2, 3, 1), Evidence(-1, 0, 1), Evidence(0, 2, 1)

# ---------------------------------------------------------------- intervals


@pytest.mark.parametrize("hits, n", [(0, 5), (4, 5), (5, 5), (13, 30), (1, 1)])
@pytest.mark.parametrize("level", [0.95, 0.99])
def test_the_interval_of_a_share_is_that_of_the_exact_binomial_test(hits, n, level):
    theirs = stats.binomtest(hits, n).proportion_ci(level, method="exact")
    assert evaluation.share_interval(hits, n, level) == pytest.approx(tuple(theirs))


def test_the_interval_of_a_share_covers_whatever_the_chance():
    n = 12
    intervals = [evaluation.share_interval(k, n, LEVEL) for k in range(n + 1)]
    for chance in np.linspace(0.01, 0.99, 99):
        of_k = stats.binom.pmf(range(n + 1), n, chance)
        above = sum(p for p, (low, _) in zip(of_k, intervals, strict=True) if low > chance)
        below = sum(p for p, (_, high) in zip(of_k, intervals, strict=True) if high < chance)
        assert above <= TAIL and below <= TAIL


@pytest.mark.parametrize("hits", list(itertools.product((0, 1, 4, 8), (0, 3, 10))), ids=str)
def test_odds_are_told_apart_exactly_where_fisher_s_test_does(hits):
    n = 8, 10
    low, high = evaluation.odds_ratio_interval(hits, n, LEVEL)
    cells = [[h, m - h] for h, m in zip(hits, n, strict=True)]
    assert (low > 1) == (stats.fisher_exact(cells, "greater").pvalue < TAIL)
    assert (high < 1) == (stats.fisher_exact(cells, "less").pvalue < TAIL)


def test_equal_chances_are_seldom_told_apart():
    n = 8
    above = {k: evaluation.odds_ratio_interval(k, (n, n), LEVEL)[0] > 1 for k in np.ndindex(n + 1, n + 1)}
    for chance in (0.05, 0.3, 0.5, 0.8):
        of_k = stats.binom.pmf(range(n + 1), n, chance)
        assert sum(of_k[a] * of_k[b] for (a, b), wrong in above.items() if wrong) <= TAIL


@pytest.mark.parametrize("hits, n", [(-1, 5), (6, 5), (0, 0)])
def test_counts_that_cannot_be_are_refused(hits, n):
    with pytest.raises(ValueError, match="cannot be"):
        evaluation.share_interval(hits, n)
    with pytest.raises(ValueError, match="cannot be"):
        evaluation.odds_ratio_interval((hits, 1), (n, 1))


def test_the_seeds_that_are_needed_are_the_fewest_that_do():
    pilot = [1.0, 2.0, 4.0, 1.5, 3.0]
    n = evaluation.seeds_needed(pilot, 0.5, LEVEL)

    def half(m):
        return stats.t.ppf(1 - TAIL, m - 1) * np.std(pilot, ddof=1) / math.sqrt(m)

    assert half(n) <= 0.5 < half(n - 1)
    with pytest.raises(ValueError, match="pilot"):
        evaluation.seeds_needed([1.0], 0.5)
    with pytest.raises(ValueError, match="above zero"):
        evaluation.seeds_needed(pilot, 0.0)


# ---------------------------------------------------------------- evidence


def test_evidence_over_seeds_is_the_99_per_cent_t_interval():
    effects = [0.1, 0.4, 0.2, 0.25, 0.3]
    theirs = stats.ttest_1samp(effects, 0).confidence_interval(0.99)
    low, high, margin = Evidence.over_seeds(effects, 0.05)
    assert (low, high) == pytest.approx(tuple(theirs)) and margin == 0.05


def test_a_ratio_is_judged_by_its_logarithm():
    ratios = [1.2, 1.4, 1.3]
    low, high, margin = Evidence.of_ratios(ratios, 1.1)
    back = Evidence.of_ratios([1 / ratio for ratio in ratios], 1 / 1.1)
    assert (1 / back.high, 1 / back.low) == pytest.approx((low, high)) and margin == 1.1
    assert math.sqrt(low * high) == pytest.approx(stats.gmean(ratios))


def test_a_word_needs_the_whole_interval_on_one_side():
    assert (YES.word, NO.word, OPEN.word) == ("supported", "not supported", "inconclusive")
    assert Evidence(1, 2, 1).word == Evidence(0, 1, 1).word == "inconclusive"  # it touches the margin


@pytest.mark.parametrize("effect", [math.nan, math.inf, None])
def test_a_failed_run_cannot_be_dropped_by_its_number(effect):
    with pytest.raises(ValueError, match="no finite number"):
        Evidence.over_seeds([1.0, 2.0, effect], 0)


def test_equal_values_give_no_certainty():
    with pytest.raises(ValueError, match="count"):
        Evidence.over_seeds([8.0] * 5, 4)
    assert Evidence.of_share([True] * 5, 0.5).word == "inconclusive"  # as by chance once in 32
    assert Evidence.of_share([True] * 8, 0.5).word == "supported"


def test_few_games_do_not_tell_two_odds_apart():
    assert Evidence.of_odds([True] * 4 + [False], [False] * 5, 1).word == "inconclusive"
    assert Evidence.of_odds([True] * 24 + [False] * 6, [False] * 30, 1).word == "supported"


# ---------------------------------------------------------------- how often it errs


@pytest.fixture(scope="module")
def studies():
    """4,000 studies of five seeds, two measures of a true effect of 1, deviation 1: (4000, 2, 5)."""
    return np.random.default_rng(0).normal(1, 1, size=(4000, 2, 5)).tolist()


def chance_at_most(p, hits, n):
    """Is so large a number of hits believable if their chance is p at most?"""
    return stats.binomtest(hits, n, p, alternative="greater").pvalue > 1e-3


def test_the_interval_covers_the_effect_in_99_of_100_studies(studies):
    found = [Evidence.over_seeds(study[0], 1) for study in studies]
    covered = sum(one.low <= 1 <= one.high for one in found)
    assert stats.binomtest(covered, len(found), LEVEL).pvalue > 1e-3


def test_an_effect_at_its_margin_is_seldom_called_supported(studies):
    words = [verdict({"": [Evidence.over_seeds(study[0], 1)]}).word for study in studies]
    assert words.count("supported") > 0 and chance_at_most(TAIL, words.count("supported"), len(words))
    assert chance_at_most(TAIL, words.count("not supported"), len(words))


def test_one_measure_at_its_margin_suffices_to_err_no_oftener(studies):
    def both(study):
        return [Evidence.over_seeds(study[0], 1), Evidence.over_seeds(study[1], -9)]

    words = [verdict({"": both(study)}).word for study in studies]
    assert words.count("supported") > 0 and chance_at_most(TAIL, words.count("supported"), len(words))


def test_a_clear_effect_is_found(studies):
    words = [verdict({"": [Evidence.over_seeds(study[0], -9)]}).word for study in studies[:500]]
    assert words.count("supported") > 450


# ---------------------------------------------------------------- verdicts and controls


@pytest.mark.parametrize(
    "measures, word",
    [
        ([YES, YES], "supported"),
        ([YES, OPEN], "inconclusive"),
        ([YES, NO], "not supported"),
        ([OPEN, NO], "not supported"),
    ],
)
def test_all_measures_of_a_case_must_agree(measures, word):
    assert verdict({"": measures}) == verdict({"": measures[::-1]}) == Verdict(word)


@pytest.mark.parametrize(
    "cases, word",
    [
        ([YES, YES, YES], "supported"),
        ([NO, NO, NO], "not supported"),
        ([YES, NO, OPEN], "depends"),
        ([YES, YES, OPEN], "inconclusive"),
        ([NO, OPEN, OPEN], "inconclusive"),
        ([OPEN, OPEN, OPEN], "inconclusive"),
    ],
)
def test_it_depends_only_between_supported_and_not_supported(cases, word):
    for order in itertools.permutations(cases):
        found = verdict({name: [one] for name, one in zip("abc", order, strict=True)})
        assert found.word == word and bool(found.because) == (word == "depends")


def test_what_it_depends_on_is_said():
    assert str(verdict({"dark": [YES], "light": [NO]})) == "depends (dark: supported; light: not supported)"


def test_without_evidence_there_is_no_verdict():
    for cases in ({}, {"a": []}, {"a": [YES], "b": []}):
        with pytest.raises(ValueError, match="evidence"):
            verdict(cases)


def test_a_control_that_comes_out_wrong_is_named():
    null, sure = ("noise", ["not supported"], {"": [NO]}), ("photos", ["supported"], {"": [YES]})
    assert wrong_controls([null, sure]) == []
    fooled = ("noise", ["not supported"], {"": [YES]})
    assert wrong_controls([fooled, sure]) == ['"supported" is said of noise']
    blind = ("photos", ["supported"], {"": [OPEN]})
    assert wrong_controls([null, blind]) == ['"inconclusive" is said of photos']


# ---------------------------------------------------------------- claims with a record

SCORES = {
    "ours": [5.0, 5.3, 5.2, 5.1, 5.4],
    "theirs": [1.0, 1.5, 1.2, 0.8, 1.1],
    "empty": [1.1, 1.4, 1.0, 0.9, 1.2],
}


@pytest.fixture
def claim(monkeypatch):
    rows = [
        {"seed": seed, "who": who, "rate": rate, "held_out": rate, "score": value * rate, "won": value > 4}
        for who, values in SCORES.items()
        for seed, value in enumerate(values)
        for rate in (1.0, 2.0)
    ]
    rows.append({"seed": 0, "who": "ours", "rate": 0.5, "held_out": None, "score": None, "won": False})
    monkeypatch.setattr(recorded, "load_result", lambda name: {"values": rows})
    return {
        "id": "invented",
        "record": "invented",
        "rule": {"key": "score", "margin": 2, "tuned": {"setting": "rate", "by": "held_out"}},
        "tests": [{"case": "", "effect": "difference", "of": {"who": "ours"}, "to": {"who": "theirs"}}],
        "controls": [
            {"name": "nothing", "must_be": ["not supported"], "of": {"who": "empty"}},
            {"name": "no change", "must_be": ["not supported"], "other_seeds": True},
        ],
    }


@pytest.mark.parametrize(
    "effect, expected",
    [
        ("value", Evidence.over_seeds(SCORES["ours"], 2)),
        ("difference", Evidence.over_seeds(list(np.subtract(SCORES["ours"], SCORES["theirs"])), 2)),
        ("ratio", Evidence.of_ratios(list(np.divide(SCORES["ours"], SCORES["theirs"])), 2)),
    ],
)
def test_the_effect_is_read_from_the_rows_at_the_tuned_setting(claim, effect, expected):
    claim["tests"][0]["effect"] = effect
    assert evaluation.evidence(claim) == {"": [pytest.approx(expected)]}


@pytest.mark.parametrize(
    "effect, expected",
    [
        ("share", Evidence.of_share([True] * 5, 0.5)),
        ("odds", Evidence.of_odds([True] * 5, [False] * 5, 0.5)),
    ],
)
def test_counts_are_read_from_the_rows(claim, effect, expected):
    claim["rule"] |= {"key": "won", "margin": 0.5}
    claim["tests"][0]["effect"] = effect
    assert evaluation.evidence(claim) == {"": [expected]}


def test_a_claim_is_judged_after_its_controls(claim):
    assert judge(claim) == Verdict("supported")
    claim["controls"][0] |= {"of": {"who": "ours"}}  # the null would have the property
    found = judge(claim)
    assert found.word == "not tested here" and '"supported" is said of nothing' in found.because


def test_a_control_cannot_have_a_margin_of_its_own(claim):
    strict = claim["controls"][0] | {"margin": -9, "rule": {"margin": -9}}
    assert evaluation.evidence(claim, strict)[""][0].margin == 2


def test_too_few_seeds_to_see_nothing_spoil_the_rule(claim):
    claim["rule"]["margin"] = 0.01
    assert '"inconclusive" is said of no change' in judge(claim).because


def test_sides_with_other_seeds_and_ambiguous_rows_are_refused(claim):
    rows = recorded.load_result("invented")["values"]
    del claim["rule"]["tuned"]
    with pytest.raises(ValueError, match="one a seed is needed"):
        judge(claim)
    rows[:] = [row for row in rows if row["rate"] == 1 and (row["seed"], row["who"]) != (0, "theirs")]
    with pytest.raises(ValueError, match="other seeds"):
        judge(claim)


def test_what_was_not_tested_says_why():
    untested = {"not_tested": {"because": "No customers.", "needs": "A shop."}}
    assert str(judge(untested)) == "not tested here (No customers.)"
