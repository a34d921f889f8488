"""What the article claims: owned once, put so that it could be wrong, and each verdict recomputed."""

import csv
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest

from prodgen import evaluation, recorded
from prodgen.evaluation import Evidence
from prodgen.evaluation.verdicts import LEVEL, Word

BOOK = Path(__file__).parents[1] / "book"
CLAIMS = recorded.claims()
TESTED = [claim for claim in CLAIMS if "tests" in claim]
with (BOOK / "headings.tsv").open(encoding="utf-8", newline="") as tsv:
    PAGES = {row["number"]: row["page"] for row in csv.DictReader(tsv, delimiter="\t")}

ALWAYS = {"id", "chapter", "section", "term", "claim", "meaning", "measure", "margin", "controls"}
IF_TESTED = {"record", "verdict", "tests"}
CONTROL = {"name", "must_be"}


def by_id(claim) -> str:
    return claim["id"]


def test_ids_are_unique_and_the_order_is_the_book_s():
    ids = [claim["id"] for claim in CLAIMS]
    assert len(set(ids)) == len(ids)
    pages = re.findall(r"- file: book/(\S+)", (BOOK.parent / "_toc.yml").read_text("utf-8"))
    places = [pages.index(claim["chapter"]) for claim in CLAIMS]
    assert places == sorted(places)


def test_the_findings_on_the_index_are_claims_with_their_verdicts_and_owners():
    index = (BOOK / "index.md").read_text("utf-8")
    told = re.findall(r"^- \*(.+)\* \*\*(.+)\*\*, \[(.+)\]\((.+)\.ipynb\)$", index, re.MULTILINE)
    known = {claim["claim"]: claim for claim in TESTED}
    assert len(told) == 3
    for sentence, word, number, page in told:
        assert evaluation.judge(known[sentence]).word == word
        assert known[sentence]["chapter"] == page and page.startswith(f"0{number.replace('.', '-')}-")


@pytest.mark.parametrize("claim", CLAIMS, ids=by_id)
def test_a_claim_says_all_that_it_must(claim):
    rest = claim.keys() - ALWAYS - {"rule"}
    assert claim.keys() >= ALWAYS and rest in (IF_TESTED, {"not_tested"})
    assert all(claim[field].strip() for field in ALWAYS - {"controls"})
    for field in ("claim", "meaning", "measure"):
        assert claim[field].endswith("."), field
    if "not_tested" in claim:
        assert claim["not_tested"].keys() == {"because", "needs"}
        assert all(text.endswith(".") for text in claim["not_tested"].values())


@pytest.mark.parametrize("claim", CLAIMS, ids=by_id)
def test_its_place_in_the_article_and_in_the_book_exists(claim):
    assert claim["section"] in PAGES
    if not any((BOOK / f"{claim['chapter']}{suffix}").is_file() for suffix in (".ipynb", ".md")):
        digits = re.match(r"\d+(?:-\d+)*", claim["chapter"]).group().split("-")
        assert PAGES[".".join(str(int(n)) for n in digits)] == "", "neither a page nor one to be written"
        assert "not_tested" in claim, "what no page tells cannot have been judged"


@pytest.mark.parametrize("claim", CLAIMS, ids=by_id)
def test_the_article_s_term_is_a_term_and_no_sentence(claim):
    assert re.fullmatch(r"[\u4e00-\u9fff]{2,8}", claim["term"]), "a few characters, without punctuation"


@pytest.mark.parametrize("claim", CLAIMS, ids=by_id)
def test_a_null_and_a_sure_case_are_named_beforehand(claim):
    words = set(get_args(Word))
    allowed = [set(control["must_be"]) for control in claim["controls"]]
    assert all(may and may < words for may in allowed)
    assert any("supported" not in may for may in allowed), "a null lacks the property"
    assert {"supported"} in allowed, "a sure case has it"
    for control in claim["controls"]:
        rows = control.keys() - CONTROL
        assert rows <= {"of", "to", "other_seeds"} and bool(rows) == ("tests" in claim), control["name"]
        if control.get("other_seeds"):  # their mean effect is none, so anything else would always pass
            assert control["must_be"] == ["not supported"]


@pytest.mark.parametrize("claim", TESTED, ids=by_id)
def test_no_control_comes_out_wrong(claim):
    controls = [(one["name"], one["must_be"], evaluation.evidence(claim, one)) for one in claim["controls"]]
    assert evaluation.wrong_controls(controls) == []


@pytest.mark.parametrize("claim", TESTED, ids=by_id)
def test_the_verdict_is_what_the_record_says(claim):
    assert evaluation.judge(claim).word == claim["verdict"]


@pytest.mark.parametrize("claim", TESTED, ids=by_id)
def test_the_margin_in_words_is_the_margin_of_the_tests(claim):
    margins = {(claim.get("rule", {}) | test)["margin"] for test in claim["tests"]}
    assert {float(number) for number in re.findall(r"\d+(?:\.\d+)?", claim["margin"])} == margins


def test_a_chapter_has_five_verdicts_at_most():
    chapters = Counter(claim["chapter"] for claim in TESTED)
    assert chapters and max(chapters.values()) <= 5


def test_the_claims_of_a_chapter_are_those_that_name_it():
    chapter = CLAIMS[0]["chapter"]
    own = recorded.claims(chapter)
    assert own and own == tuple(claim for claim in CLAIMS if claim["chapter"] == chapter)
    assert recorded.claims("no such chapter") == ()


# ---------------------------------------------------------------- what the reasons say of records


def test_the_margin_on_faces_is_out_of_reach():
    rows = recorded.load_result("04-3-faces")["values"]
    half, end = (
        recorded.by_seed(rows, "kid", {"arm": "none", "images": images}) for images in (10_000, 20_000)
    )
    falls = [half[seed] - end[seed] for seed in end]
    margin = 0.1 * sum(end.values()) / len(end)
    assert evaluation.seeds_needed(falls, margin / 2, LEVEL) > 1_000  # "more than a thousand runs"


# ---------------------------------------------------------------- the page's picture

PICTURE = ElementTree.parse(BOOK / "_static" / "verdicts.svg")
SVG = "{http://www.w3.org/2000/svg}"


def picture_rows() -> list[ElementTree.Element]:
    return [row for row in PICTURE.iter(f"{SVG}g") if row.get("class") == "row"]


@pytest.mark.parametrize("row", picture_rows(), ids=lambda row: row.get("id"))
def test_the_picture_draws_the_intervals_of_its_points_and_their_words(row):
    scale = next(PICTURE.iter(f"{SVG}svg"))
    zero, unit = float(scale.get("data-zero")), float(scale.get("data-unit"))
    [line] = [line for line in row.iter(f"{SVG}line") if line.get("class") == "interval"]
    effects = [(float(point.get("cx")) - zero) / unit for point in row.iter(f"{SVG}circle")]
    evidence = Evidence.over_seeds(effects, float(scale.get("data-margin")))
    drawn = [(float(line.get(end)) - zero) / unit for end in ("x1", "x2")]
    assert drawn == pytest.approx(evidence[:2], abs=0.5 / unit)
    assert row.get("data-word") == evidence.word
    assert evidence.word in "".join(row.itertext())


def test_the_picture_shows_all_outcomes_of_a_test_and_one_that_depends():
    words = [row.get("data-word") for row in picture_rows()]
    assert set(words) == {"supported", "not supported", "inconclusive"}
    [pair] = [group for group in PICTURE.iter(f"{SVG}g") if group.get("class") == "cases"]
    inside = [row.get("data-word") for row in pair.iter(f"{SVG}g") if row.get("class") == "row"]
    assert set(inside) == {"supported", "not supported"} and "depends" in "".join(pair.itertext())
