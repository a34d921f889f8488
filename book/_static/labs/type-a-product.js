// Chapter 6.6.2: a sentence, read by rules and drawn by the studio's generator. The chapter's encoder learns to read.
"use strict";

prodgenLabs.register("type-a-product", (lab) => prodgenLabs.wake(lab, (_, grammar, model) => {
  const { element, button, networks } = prodgenLabs;
  const SHOWN = 8;
  const run = networks.queue();
  let seed = 1;

  const line = element("input", { type: "text", id: "lab-sentence", autocomplete: "off", spellcheck: "false", maxlength: 200 });
  line.value = lab.description.examples[0];
  const form = element("form", { class: "lab-line" },
    element("label", { for: line.id }, lab.description.line), line, element("button", { type: "submit" }, "Draw"));
  form.addEventListener("submit", (event) => { event.preventDefault(); draw(); });
  const chinese = (text) => (/[\u4e00-\u9fff]/.test(text) ? "zh" : "en");
  const examples = lab.description.examples.map((text) => {
    const one = button(text, () => { line.value = text; draw(); });
    one.lang = chinese(text);
    return one;
  });
  const again = button("Throw the dice again", () => { seed += 1; draw(); });
  const frames = Array.from({ length: SHOWN }, () => networks.framed(model.size, model.channels));
  const told = element("dl", { class: "lab-read" });

  const title = (factor) => (factor.name === "label" ? "kind" : factor.name);
  /** A value in words; a number is an angle here. */
  const words = (factor, value) => (factor.values.length ? factor.values[value] : `${Math.round(value)}°`);

  /** Values for one picture: what is asked for, and dice for the rest. Once round the product the dice go a quarter. */
  function values({ asked, refused }, roll) {
    return model.factors.map((factor) => {
      const chance = roll(); // thrown whether needed or not, so that a word more leaves the other dice as they lie
      if (factor.name in asked) return asked[factor.name];
      if (factor.period) return chance * factor.period / 4;
      if (factor.bounds) return factor.bounds[0] + chance * (factor.bounds[1] - factor.bounds[0]);
      const left = factor.values.map((_, i) => i).filter((i) => !(refused[factor.name] ?? []).includes(i));
      return left[Math.floor(chance * left.length)] ?? null;
    });
  }

  function draw() {
    line.lang = chinese(line.value);
    const found = networks.read(grammar, line.value);
    const facts = [];
    for (const factor of model.factors) {
      const no = (found.refused[factor.name] ?? []).map((value) => words(factor, value));
      const text = factor.name in found.asked ? words(factor, found.asked[factor.name]) : no.length ? `any but ${no.join(", ")}` : "left to dice";
      facts.push([title(factor), text + (found.twice.includes(factor.name) ? " (the last of several)" : "")]);
    }
    if (found.unknown.length) facts.push(["not known, and left out", found.unknown.join(", ")]);
    told.replaceChildren(...facts.map(([what, text]) => element("div", {}, element("dt", {}, what), element("dd", {}, text))));
    const roll = networks.dice(seed);
    run(frames.map((frame) => () => {
      const own = values(found, roll);
      const z = networks.normal(roll, model.latent_dim);
      const vector = model.factors.flatMap((factor, i) => prodgenLive.encode(factor, own[i]));
      const said = model.factors.map((factor, i) => `${title(factor)} ${words(factor, own[i])}`).join(", ");
      frame.show(prodgenLive.draw(model, z, vector), "", `A drawn product: ${said}`);
    }), () => { lab.root.dataset.drawn = line.value; });
    const understood = facts.filter(([, text]) => text !== "left to dice").map(([what, text]) => `${what}: ${text}`);
    lab.announce(`${SHOWN} pictures. ${understood.length ? `Read: ${understood.join("; ")}.` : "Nothing was understood, so everything is left to dice."}`);
  }

  lab.stage.append(
    form,
    element("p", { class: "lab-small" }, "Or one of these:"),
    element("div", { class: "lab-buttons" }, ...examples),
    element("div", { class: "lab-eight" }, ...frames.map(({ root }) => root)),
    told,
    element("div", { class: "lab-buttons" }, again),
    element("p", { class: "lab-small" }, lab.description.honest),
  );
  return draw;
}));
