"""Verdicts: where the intervals of an effect lie, and whether the rule is right about what is known.

A claim is put as "the effect exceeds the margin". The margin is written down before the run; it is the least
effect that would matter, so that "not supported" says more than "not seen". Intervals are at 99 %.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import sub, truediv
from typing import Any, Literal, NamedTuple

from prodgen import recorded
from prodgen.evaluation.statistics import odds_ratio_interval, share_interval, t_interval

Word = Literal["supported", "not supported", "depends", "inconclusive", "not tested here"]
LEVEL = 0.99


class Evidence(NamedTuple):
    """An interval of one effect, and the margin that the claim says it exceeds."""

    low: float
    high: float
    margin: float

    @classmethod
    def over_seeds(cls, effects: Sequence[float], margin: float) -> "Evidence":
        """From one effect a seed, all runs included: one that failed has a score, or the effect is none.

        Raises ValueError for a value that is no finite number, and for equal values: their interval would be
        a point, a certainty that no few runs give. What can be the same in every run is counted.
        """
        if not all(effect is not None and math.isfinite(effect) for effect in effects):
            raise ValueError("an effect is no finite number; score a run that failed, do not drop it")
        if len(set(effects)) == 1:
            raise ValueError("all effects are equal; count the runs that have them")
        return cls(*t_interval(effects, LEVEL), margin)

    @classmethod
    def of_ratios(cls, ratios: Sequence[float], margin: float) -> "Evidence":
        """From one ratio a seed, judged by its logarithm: twice as large is as far from 1 as half as large.

        Raises ValueError as `over_seeds` does, and for a ratio that is not positive.
        """
        low, high, _ = cls.over_seeds([math.log(ratio) for ratio in ratios], math.log(margin))
        return cls(math.exp(low), math.exp(high), margin)

    @classmethod
    def of_share(cls, hits: Sequence[bool], margin: float) -> "Evidence":
        """From one yes or no a seed: is the chance of a yes above the margin?"""
        return cls(*share_interval(sum(hits), len(hits), LEVEL), margin)

    @classmethod
    def of_odds(cls, hits: Sequence[bool], others: Sequence[bool], margin: float) -> "Evidence":
        """From yes and no in two groups of independent runs: is the ratio of their odds above the margin?"""
        counts, sizes = (sum(hits), sum(others)), (len(hits), len(others))
        return cls(*odds_ratio_interval(counts, sizes, LEVEL), margin)

    @property
    def word(self) -> Word:
        """All of the interval above the margin, all of it below, or the margin inside."""
        if self.low > self.margin:
            return "supported"
        return "not supported" if self.high < self.margin else "inconclusive"


Cases = Mapping[str, Sequence[Evidence]]

# The effect that a test in claims.toml names: from one value a seed, and one of what it is held against.
RULES = {
    "value": lambda of, _, margin: Evidence.over_seeds(of, margin),
    "difference": lambda of, to, margin: Evidence.over_seeds(list(map(sub, of, to)), margin),
    "ratio": lambda of, to, margin: Evidence.of_ratios(list(map(truediv, of, to)), margin),
    "share": lambda of, _, margin: Evidence.of_share(of, margin),
    "odds": Evidence.of_odds,
}


class Verdict(NamedTuple):
    """One word, and what it depends on or why there was no test."""

    word: Word
    because: str = ""

    def __str__(self) -> str:
        return f"{self.word} ({self.because})" if self.because else self.word


def verdict(cases: Cases) -> Verdict:
    """What a claim comes to, from the evidence of each of its cases (data sets, budgets, rivals).

    In a case all measures must exceed their margins: one that does not decides against it. The claim is
    supported if every case is, not supported if none is, and depends (on the case) only where one is
    supported and another not supported. All else is inconclusive.

    "Supported" needs no correction for many measures or cases: if some true effect is at its margin or below,
    its interval lies above with a chance of half a per cent at most, whatever the others do; Berger (1982).
    A case that holds is called "not supported" with at most that chance for each of its measures.
    Raises ValueError where there is no evidence.
    """
    if not cases or not all(cases.values()):
        raise ValueError("a verdict needs evidence in every case")
    words = {case: _all_of({one.word for one in measures}) for case, measures in cases.items()}
    if {"supported", "not supported"} <= set(words.values()):
        told = "; ".join(f"{case}: {word}" for case, word in words.items())
        return Verdict("depends", told)
    return Verdict(words.popitem()[1] if len(set(words.values())) == 1 else "inconclusive")


def _all_of(words: set[Word]) -> Word:
    """The word for "each of these is so"."""
    return next(word for word in ("not supported", "inconclusive", "supported") if word in words)


def wrong_controls(controls: Iterable[tuple[str, Collection[Word], Cases]]) -> list[str]:
    """What the rule gets wrong of things whose answer is known: one sentence a control, none if all is well.

    A control has a name, the words that the rule may say of it, and its evidence by the very rule of the
    claim: same measures, same margins. A null lacks the property for certain, a sure case has it.
    """
    found = [(name, may, verdict(cases).word) for name, may, cases in controls]
    return [f'"{word}" is said of {name}' for name, may, word in found if word not in may]


def judge(claim: Mapping[str, Any]) -> Verdict:
    """The verdict on one of `recorded.claims()`, from its record; "not tested here" if a control is wrong."""
    if "not_tested" in claim:
        return Verdict("not tested here", claim["not_tested"]["because"])
    controls = claim["controls"]
    wrong = wrong_controls((one["name"], one["must_be"], evidence(claim, one)) for one in controls)
    if wrong:
        return Verdict("not tested here", f"the rule is wrong about a control: {'; '.join(wrong)}")
    return verdict(evidence(claim))


def evidence(claim: Mapping[str, Any], control: Mapping[str, Any] | None = None) -> dict[str, list[Evidence]]:
    """The evidence of a claim that has a record, case by case, or that of one of its controls.

    The head of `claims.toml` explains the fields. A control is the same rule and margins on other rows.
    Raises ValueError as `recorded.by_seed` and `Evidence` do.
    """
    rows, control = recorded.load_result(claim["record"])["values"], control or {}
    cases: dict[str, list[Evidence]] = {}
    for test in (claim.get("rule", {}) | test for test in claim["tests"]):
        of = recorded.by_seed(rows, test["key"], test["of"] | control.get("of", {}), test.get("tuned"))
        values, others = list(of.values()), []
        if control.get("other_seeds"):
            others = values[1:] + values[:1]
        elif "to" in test:
            to = recorded.by_seed(rows, test["key"], test["to"] | control.get("to", {}), test.get("tuned"))
            if of.keys() != to.keys():
                raise ValueError(f"{claim['id']}: the two sides of a test have other seeds")
            others = [to[seed] for seed in of]
        cases.setdefault(test["case"], []).append(RULES[test["effect"]](values, others, test["margin"]))
    return cases
