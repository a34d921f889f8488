"""What chapters put on the page: tables and sentences, as Markdown."""

import ast
import inspect

from prodgen import evaluation, notebook, recorded, training


def test_a_table_of_computed_numbers_is_markdown():
    assert (
        notebook.table([["GAN", 1.5], ["VAE", 2]], ["", "FID"])
        == "|  | FID |\n| --- | --- |\n| GAN | 1.5 |\n| VAE | 2 |"
    )


def test_said_text_reaches_the_notebook_as_markdown(monkeypatch):
    shown = []
    monkeypatch.setattr(notebook, "display", shown.append)
    notebook.say("**1.5**")
    assert [thing._repr_markdown_() for thing in shown] == ["**1.5**"]


def test_a_chapter_s_claims_stand_in_one_table_with_their_verdicts_and_controls():
    lines = notebook.claims_table("02-4-optimisers").splitlines()
    own = recorded.claims("02-4-optimisers")
    assert len(lines) == 2 + len(own)
    for line, claim in zip(lines[2:], own, strict=True):
        assert claim["term"] in line and claim["claim"] in line
        assert f"**{evaluation.judge(claim).word}**" in line
        assert all(control["name"] in line for control in claim["controls"])
        assert "classify, 400 steps: " in line and "(margin 1.05)" in line


def test_a_claim_without_a_test_says_why_and_what_one_would_need():
    [claim] = recorded.claims("04-3-faces")
    row = notebook.claims_table("04-3-faces").splitlines()[-1]
    assert "**not tested here**" in row
    assert claim["not_tested"]["because"] in row and claim["not_tested"]["needs"] in row


def test_a_source_is_what_is_installed():
    listing = notebook.source(notebook.say, evaluation.sharpness)
    assert listing.startswith("```python\ndef say(text: str)") and listing.endswith("\n```")
    assert "\n\ndef sharpness(" in listing


def test_a_listing_is_broken_for_the_page_and_says_the_same():
    """Of a class with long signatures, docstrings of one line and of several, and none."""
    piece = training.GANTrainer
    listing = notebook.source(piece)
    code = listing.removeprefix("```python\n").removesuffix("\n```")
    given = inspect.getsource(piece)
    assert max(map(len, given.splitlines())) > 100

    def said(text):
        tree = ast.parse(text)
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                node.value = " ".join(node.value.split())
        return ast.dump(tree)

    assert said(code) == said(given)
    assert "    def generator_step(\n        self, real: Tensor" in code
