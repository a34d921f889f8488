// A switch in the page's header that puts all code away. Outputs and solutions stay; the reader's choice is kept
// where the browser lets a page keep something.
{
  const KEY = "prodgen-code";
  const root = document.documentElement;
  const kept = () => { try { return localStorage.getItem(KEY); } catch { return null; } };
  const keep = (value) => { try { localStorage.setItem(KEY, value); } catch { /* a choice for this page alone */ } };
  const hidden = () => root.dataset.code === "hidden";
  if (kept() === "hidden") root.dataset.code = "hidden"; // before the page is drawn

  document.addEventListener("DOMContentLoaded", () => {
    const header = document.querySelector(".article-header-buttons");
    if (!header || !document.querySelector("div.cell > .cell_input, div.cell > details.above-input")) {
      delete root.dataset.code;
      return;
    }
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "btn btn-sm hide-code", title: "Hide all code" });
    button.setAttribute("aria-label", "Hide all code");
    button.innerHTML = '<i class="fas fa-code" aria-hidden="true"></i>';
    const said = document.createElement("span");
    said.className = "visually-hidden";
    said.setAttribute("role", "status");
    const refresh = () => button.setAttribute("aria-pressed", hidden());
    button.addEventListener("click", () => {
      // What stands at the top of the window stays there.
      const top = [...document.querySelectorAll("article :is(h1, h2, h3, p, figure)")].find((e) => e.getBoundingClientRect().bottom > 80 && !e.closest("details"));
      const before = top?.getBoundingClientRect().top;
      if (hidden()) delete root.dataset.code;
      else root.dataset.code = "hidden";
      keep(hidden() ? "hidden" : "shown");
      refresh();
      if (top && scrollY) scrollBy({ top: top.getBoundingClientRect().top - before, behavior: "instant" });
      said.textContent = hidden() ? "All code is hidden. Outputs stay." : "The code is shown.";
    });
    refresh();
    header.prepend(button, said);
  });

  // Pictures that wait until they come near must not be missing on paper.
  addEventListener("beforeprint", () => {
    for (const picture of document.querySelectorAll("img[loading=lazy]")) picture.loading = "eager";
  });
}
