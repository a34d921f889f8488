"""What chapters put on the page: tables and sentences, as Markdown."""

from prodgen import notebook


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
