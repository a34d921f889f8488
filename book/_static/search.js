// The search: which sections of the book have all of the reader's words. `bookSections` stands in sections.js, which the
// build writes: [address of a page, [[title of a section, anchor, prose], …]], the page itself first.
const bookSearch = (() => {
  const CHINESE = /[\u4e00-\u9fff]/;
  const EMPTY = new Set("a an and are as at be by for from how in is it of on or that the this to was what when which why with".split(" "));
  const CAPITALS = /^[A-Z]{2,}$/; // an abbreviation is no beginning of a longer word

  // Each word as the expression that finds it: Chinese anywhere, else from the beginning of a word, with or without "s".
  const expressions = (query) => {
    const words = query.match(/[\u4e00-\u9fff]+|[\p{L}\p{N}]+(?:[.'’][\p{L}\p{N}]+)*/gu) ?? [];
    const telling = words.filter((word) => !EMPTY.has(word.toLowerCase()));
    return [...new Set(telling.length ? telling : words)].map((word) => {
      if (CHINESE.test(word)) return new RegExp(word, "gu");
      const stem = word.replace(/(ss|sh|ch|x)es$|([^su])s$/i, "$1$2").replace(/[.]/g, "\\.");
      const end = CAPITALS.test(word) ? "s?(?![\\p{L}\\p{N}])" : "";
      return new RegExp(`(?<![\\p{L}\\p{N}])${stem}${end}`, "giu");
    });
  };
  const count = (text, expression) => (text.match(expression) ?? []).length;

  // Best first. A word in a section's title weighs most, then one in its page's title, then how thick it is in the prose.
  const search = (query) => {
    const wanted = expressions(query);
    if (!wanted.length) return [];
    const found = [], phrase = new RegExp(wanted.map((e) => e.source).join("[^\\p{L}\\p{N}]+"), "giu");
    for (const [page, sections] of bookSections) {
      const pageTitle = sections[0]?.[0] ?? "";
      for (const [title, anchor, prose] of sections) {
        let score = 0;
        const all = wanted.every((expression) => {
          const inTitle = count(title, expression), inPage = count(pageTitle, expression), inProse = count(prose, expression);
          if (inTitle) score += 8 + (anchor ? 0 : 4) + 8 / (1 + title.split(" ").length);
          else if (inPage) score += 3;
          score += Math.min(4, inProse) * 50 / (50 + Math.sqrt(prose.length));
          return inTitle || inPage || inProse;
        });
        // What matches by its page's title only would be every section of that page.
        const itself = wanted.some((expression) => count(title, expression) || count(prose, expression));
        if (wanted.length > 1) score += count(title, phrase) ? 8 : count(prose, phrase) ? 4 : 0; // the words together
        if (all && itself) found.push({ page, pageTitle, title, anchor, prose, score });
      }
    }
    return found.sort((a, b) => b.score - a.score);
  };

  // Some 240 characters round the first word found, cut between words.
  const excerpt = (prose, wanted) => {
    const at = Math.min(...wanted.map((e) => prose.search(new RegExp(e.source, e.flags.replace("g", "")))).filter((i) => i >= 0), prose.length);
    if (at === prose.length || at < 120) return prose.length > 250 ? `${prose.slice(0, 240).replace(/\s\S*$/, "")} …` : prose;
    const piece = prose.slice(at - 80, at + 160);
    const start = piece.slice(0, 80).search(/\s/) + 1;
    const whole = at + 160 >= prose.length;
    return `… ${whole ? piece.slice(start) : `${piece.slice(start).replace(/\s\S*$/, "")} …`}`;
  };

  // The text with what was found marked, and what is Chinese said to be so.
  const marked = (text, wanted) => {
    const line = document.createDocumentFragment();
    const any = new RegExp(wanted.map((e) => `(?:${e.source})`).join("|"), "giu");
    const put = (part, name) => {
      for (const piece of part.split(/([\u4e00-\u9fff][\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]*)/)) {
        if (!piece) continue;
        const node = document.createElement(name);
        node.textContent = piece;
        if (CHINESE.test(piece)) node.lang = "zh";
        line.append(name === "span" && !node.lang ? piece : node);
      }
    };
    let end = 0;
    for (const match of text.matchAll(any)) {
      put(text.slice(end, match.index), "span");
      put(match[0], "mark");
      end = match.index + match[0].length;
    }
    put(text.slice(end), "span");
    return line;
  };

  const item = ({ page, pageTitle, title, anchor, prose }, wanted) => {
    const entry = document.createElement("li"), link = document.createElement("a");
    link.href = anchor ? `${page}#${anchor}` : page;
    link.append(marked(title, wanted));
    entry.append(link);
    if (anchor) {
      const where = document.createElement("span");
      where.className = "search-page";
      where.append("in ", marked(pageTitle, []));
      entry.append(" ", where);
    }
    const said = excerpt(prose, wanted);
    if (said) {
      const line = document.createElement("p");
      line.append(marked(said, wanted));
      entry.append(line);
    }
    return entry;
  };

  const STEP = 30;
  const number = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;
  const show = (query) => {
    const [said, list, more] = ["said", "results", "more"].map((name) => document.getElementById(`search-${name}`));
    const wanted = expressions(query), found = search(query);
    const pages = new Set(found.map(({ page }) => page)).size;
    const go = () => {
      const from = list.children.length;
      list.append(...found.slice(from, from + STEP).map((one) => item(one, wanted)));
      const left = found.length - list.children.length;
      more.hidden = left <= 0;
      const sentence = found.length ? `${number(found.length, "section")} in ${number(pages, "page")}` : "No section";
      const verb = found.length > 1 ? "have" : "has";
      const words = wanted.length > 1 ? "all of the words in " : "";
      said.textContent = `${sentence} ${verb} ${words}“${query}”.` + (found.length ? "" : " Try fewer words, or the glossary.") +
        (left > 0 ? ` The first ${list.children.length} are shown.` : "");
      return list.children[from];
    };
    more.addEventListener("click", () => go()?.querySelector("a").focus());
    go();
  };
  return { search, show };
})();

document.addEventListener("DOMContentLoaded", () => {
  const field = document.getElementById("search-words");
  const query = (new URLSearchParams(location.search).get("q") ?? "").trim();
  field.value = query;
  field.focus();
  if (query) bookSearch.show(query);
});
