"""Chapter 6.6.2's own functions: grammar, pieces, attention, pairs, what a vector keeps, and who judges."""

import math
import random

import pytest
import torch
from chapters import cells, run_core
from torch.nn.functional import cross_entropy, scaled_dot_product_attention

NAME = "06-6-2-multimodal"


@pytest.fixture(scope="module")
def chapter() -> dict:
    """What the cells tagged `core` or `experiment` define."""
    return run_core(NAME, {}, "experiment")


@pytest.fixture(scope="module")
def asked(chapter):
    return chapter["draw_asked"](24, 0)


def test_a_sentence_says_what_it_was_asked_to_say_and_nothing_else(chapter):
    rng = random.Random(0)
    for language in chapter["FRAMES"]:
        for kind, colour, view in chapter["draw_asked"](40, 1).tolist():
            for frame in chapter["FRAMES"][language]["held out"]:
                said = chapter["phrase"]((kind, colour, view), language, frame, rng)
                for factor, number in (("kind", kind), ("colour", colour), ("view", view)):
                    names = chapter["sayings"](language, factor)
                    assert any(name in said for name in names[number]), said
    said = {chapter["phrase"]((0, 1, 0), "English", "a C", random.Random(i)) for i in range(20)}
    assert said == {"an orange", "a tangerine"}


def test_what_is_not_wanted_is_another_colour(chapter):
    rng, tongue = random.Random(0), "English"
    names = chapter["sayings"](tongue, "colour")
    for _ in range(100):
        wanted = rng.randrange(8)
        no, yes = chapter["phrase"]((0, wanted, 0), tongue, "D|C", rng).split("|")
        assert yes in names[wanted] and no not in names[wanted]


def test_held_out_frames_are_new_and_all_their_pieces_are_known(chapter):
    for language, groups in chapter["FRAMES"].items():
        trained = {frame for group in chapter["TRAINED"] for frame in groups[group]}
        for group in set(groups) - set(chapter["TRAINED"]):
            assert not trained & set(groups[group])
            asked = chapter["draw_asked"](20, 3)
            for seed in range(20):
                sentences, _ = chapter["written"](asked, group, random.Random(seed), language)
                assert not any(chapter["unknown"](sentence) for sentence in sentences)
                assert max(len(chapter["pieces"](s)) for s in sentences) <= chapter["LONGEST"]


def test_what_a_frame_leaves_out_is_open(chapter, asked):
    sentences, said = chapter["written"](asked, "short", random.Random(0), "English")
    assert len(sentences) == len(asked) and (said == -1).any() and not (said[:, :2] == -1).all(dim=1).any()
    assert torch.equal(said[said >= 0], asked[said >= 0])
    _, whole = chapter["written"](asked, "seen", random.Random(0))
    assert torch.equal(whole, asked)
    assert not chapter["vector_of"](torch.tensor([[-1, -1, -1]])).any()


def test_pieces_are_words_or_characters_whatever_their_width_or_case(chapter):
    assert chapter["pieces"]("A Red mug,从上方") == ["a", "red", "mug", ",", "从", "上", "方"]
    assert chapter["pieces"]("ＲＥＤ，杯子") == ["red", ",", "杯", "子"]
    assert chapter["unknown"]("a vermilion mug") == ["vermilion"]
    assert torch.equal(chapter["encode"](["a vermilion mug"]), chapter["encode"](["a mug"]))
    assert chapter["encode"](["mug " * 99]).shape == (1, chapter["LONGEST"])


def test_attention_is_that_of_pytorch_and_hears_no_padding(chapter):
    rng = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 2, 4, 6, 8, generator=rng)
    there = torch.arange(6) < torch.tensor([[6], [3]])
    same = scaled_dot_product_attention(q, k, v, attn_mask=there[:, None, None])
    assert torch.allclose(chapter["attention"](q, k, v, there), same, atol=1e-5)


def test_a_vector_is_of_length_one_and_knows_nothing_of_its_batch(chapter):
    torch.manual_seed(0)
    reader = chapter["TextEncoder"]().eval()
    long, short = "photo of a violet flask slightly from above", "a mug"
    both = reader(chapter["encode"]([long, short]))
    alone = reader(chapter["encode"]([short]))
    assert torch.allclose(both[1:], alone, atol=1e-5)
    assert torch.allclose(both.norm(dim=1), torch.ones(2))


@pytest.mark.parametrize("layers", [0, 2])
def test_a_bag_of_words_hears_no_order_and_attention_does(chapter, layers):
    torch.manual_seed(0)
    reader = chapter["TextEncoder"](layers=layers).eval()
    one, other = reader(chapter["encode"](["not red but blue", "not blue but red"]))
    assert torch.allclose(one, other, atol=1e-6) == (layers == 0)


def test_the_loss_of_pairs_is_two_cross_entropies(chapter):
    rng = torch.Generator().manual_seed(0)
    words, images = torch.randn(2, 5, 3, generator=rng)
    found = chapter["contrastive"](words, images, 2.0).mean()
    scores, own = 2 * words @ images.T, torch.arange(5)
    assert torch.allclose(found, (cross_entropy(scores, own) + cross_entropy(scores.T, own)) / 2)
    alike = torch.ones(7, 4) / 2
    assert torch.allclose(chapter["contrastive"](alike, alike, 9.0), torch.full((7,), math.log(7)))


def test_reading_is_learnt_from_pairs_and_follows_from_the_seed(chapter, asked):
    photos = chapter["photograph"](asked, 0)
    histories = [chapter["learn_to_read"](photos, asked, seed, 10)[2] for seed in (0, 0, 1)]
    assert histories[0] == histories[1] != histories[2]
    assert sum(histories[0][-3:]) < sum(histories[0][:3])


def test_photos_show_the_colour_that_was_asked_for(chapter):
    asked = torch.tensor([[1, 0, 1], [1, 5, 1]])  # a red and a blue bottle
    red, blue = chapter["photograph"](asked, 0).float().mean(dim=(2, 3))
    assert red[0] > red[2] and blue[2] > blue[0]


def test_scores_are_sums_of_log_probabilities_and_equal_sentences_share_a_place(chapter):
    asked = torch.tensor([[0, 1, 2], [3, 1, 2], [0, 1, 2]])
    logits = torch.zeros(3, 17)
    assert torch.allclose(chapter["scores"](logits, asked), torch.full((3, 3), -math.log(6 * 8 * 3)))
    sure = 50 * chapter["vector_of"](asked)
    found = chapter["judged"](lambda read: read, sure, asked)
    assert found == {"kind": 1, "colour": 1, "view": 1, "found": 1, "first": 1}
    wrong = chapter["judged"](lambda read: read, sure.roll(1, 0), asked)
    assert wrong["first"] == pytest.approx(1 / 3) and wrong["kind"] == pytest.approx(1 / 3)
    assert wrong["colour"] == 1 and wrong["found"] == pytest.approx((1 / 3 + 2) / 3)


def test_an_answer_names_what_it_left_out(chapter, asked):
    told = chapter["vector_of"](asked)
    photos = chapter["photograph"](asked, 0)
    generator = chapter["learn_to_draw"](photos, torch.zeros(24, chapter["SIZE"]) + told.mean(), 0, 128)
    torch.manual_seed(0)
    reader, judge = chapter["TextEncoder"]().eval(), chapter["the_judge"](24, 1)
    pictures, words = chapter["answer"]("a vermilion mug", generator, reader, judge)
    assert pictures.shape == (8, 3, 32, 32) and "left out: vermilion" in words
    assert chapter["answer"]("vermilion!", generator, reader, judge)[0] is None
    assert chapter["answer"]("", generator, reader, judge) == (None, "nothing was written")


def test_one_seed_gives_the_rows_that_the_claim_selects(chapter):
    small = {"photos": 24, "steps": 1, "images": 128, "n": 24, "judge": (24, 1)}
    rows = chapter["one_seed"](0, **small)
    pairs = {(row["language"], row["phrasing"]) for row in rows}
    assert len(pairs) == 8 and {row["seed"] for row in rows} == {0}
    for language, phrasing in pairs:
        ways = {r["way"]: r for r in rows if (r["language"], r["phrasing"]) == (language, phrasing)}
        vectors = ways.pop("vectors")
        assert {"kind", "colour", "view"} <= set(vectors)
        assert set(ways) == {"sentences", "attributes", "dealt out", "renders", "most frequent"}
        for row in ways.values():
            assert row["lead"] == pytest.approx(row["found"] - 0.95 * ways["attributes"]["found"])
            assert row["half"] == pytest.approx(row["first"] - 0.5 * ways["renders"]["first"])


def test_the_solutions_run_on_the_chapter_s_own_functions(chapter):
    source = {cell.id: cell.source for cell in cells(NAME)}
    exec(source["solution-count"], dict(chapter))
    torch.manual_seed(0)
    networks = {"reader": chapter["TextEncoder"]().eval(), "bag": chapter["TextEncoder"](layers=0).eval()}
    exec(source["solution-swap"], chapter | networks)
