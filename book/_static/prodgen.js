// Two roles that assistive technology does not understand, mended in the page until the tools write better ones.
document.addEventListener("DOMContentLoaded", () => {
  // docutils: the entries of its list of references are no list items.
  for (const entry of document.querySelectorAll(".citation-list > .citation")) entry.setAttribute("role", "listitem");

  // Mermaid: its role is a list of two, and it draws again whenever the reader changes between light and dark.
  const name = () => {
    for (const diagram of document.querySelectorAll(".mermaid > svg")) {
      diagram.setAttribute("role", "img");
      diagram.removeAttribute("aria-roledescription");
    }
  };
  for (const holder of document.querySelectorAll(".mermaid")) new MutationObserver(name).observe(holder, { childList: true });
});
