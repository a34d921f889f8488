// Chapter 5.4: a walk between two products of a kind, and sliders along the directions the first layer answers most to.
"use strict";

prodgenLabs.register("latent-walk", (lab) => prodgenLabs.wake(lab, (_, data, model) => {
  const { element, button, choice, slider, player, fixed, networks } = prodgenLabs;
  const [{ values: kinds }] = model.factors;
  const directions = networks.rows(prodgenLive.halves(data.directions), model.latent_dim);
  const STOPS = 10;
  const run = networks.queue();
  let ends = [];

  const kind = choice({ label: "kind", options: kinds, default: "Dress" }, () => change("kind"));
  const way = slider({ label: "on the way from A to B", min: 0, max: 1, step: 0.02, default: 0.5 }, () => { walk.pause(); change("t"); },
    (t) => fixed(t, 2));
  const sliders = directions.map((_, i) => slider({ label: `direction ${i + 1}`, help: " ", min: -3, max: 3, step: 0.25, default: 0 },
    () => change("direction"), (amount) => fixed(amount, 2)));
  const walk = player(() => {
    way.set(way.value >= 1 ? 0 : way.value + 0.02);
    draw("");
    return way.value < 1;
  }, { pace: 60, stopped: () => change("t") });
  const fresh = button("New ends A and B", () => { begin(); change("ends"); });
  const reset = button("All directions to 0", () => { for (const one of sliders) one.set(0); change("direction"); });

  const [before, now] = [networks.framed(model.size), networks.framed(model.size)];
  const strip = (n) => Array.from({ length: n }, () => element("canvas"));
  const [stops, each] = [strip(STOPS), strip(kinds.length)];
  const [along, across] = [stops, each].map((canvases) => element("div", { class: "lab-strip", role: "img" }, ...canvases));

  const asked = (k) => prodgenLive.encode(model.factors[0], k);
  const moved = (z) => networks.along(z, directions, sliders.map(({ value }) => value));
  const place = (t) => prodgenLive.greatCircle(ends[0], ends[1], t);
  const begin = () => { ends = [0, 1].map(() => prodgenLive.noise(model.latent_dim)); };

  const PIXELS = { least: 0.5, decimals: 1, unit: " px" };
  const SHARE = { least: 0.02, decimals: 2, unit: "" };
  const MEASURES = { height: PIXELS, width: PIXELS, area: SHARE, brightness: SHARE, contrast: SHARE };

  /** What a direction does to this kind, of what was measured: the two effects that stand out most. */
  function effect(k, i) {
    const large = Object.entries(data.effects[k][i])
      .filter(([name, [size, deviations]]) => Math.abs(size) >= MEASURES[name].least && Math.abs(deviations) >= 0.5)
      .sort(([, [, a]], [, [, b]]) => Math.abs(b) - Math.abs(a)).slice(0, 2);
    const words = large.map(([name, [size]]) => {
      const { decimals, unit } = MEASURES[name];
      return `${name} ${size > 0 ? "+" : ""}${fixed(size, decimals)}${unit}`;
    });
    return words.length ? words.join(", ") : "nothing that we measure stands out";
  }

  function draw(said) {
    const k = kinds.indexOf(kind.value);
    const [still, here] = [place(way.value), moved(place(way.value))];
    const pictures = [still, here].map((z) => prodgenLive.draw(model, z, asked(k)));
    before.show(pictures[0], "directions at 0", `${kind.value} ${fixed(way.value, 2)} of the way, all directions at 0`);
    now.show(pictures[1], "with the directions", `${kind.value} ${fixed(way.value, 2)} of the way, with the directions`);
    if (!said) return;
    const [from, to] = pictures.map((image) => networks.measures(image, model.size));
    const turned = sliders.some(({ value }) => value);
    const measured = turned
      ? `The directions change brightness from ${fixed(from.brightness, 2)} to ${fixed(to.brightness, 2)}, contrast from ${fixed(from.contrast, 2)} to ${fixed(to.contrast, 2)}, width from ${from.width} to ${to.width} pixels and height from ${from.height} to ${to.height}.`
      : `Brightness ${fixed(from.brightness, 2)}, contrast ${fixed(from.contrast, 2)}, ${from.width} pixels wide and ${from.height} high.`;
    lab.announce(`${kind.value}, ${fixed(way.value, 2)} of the way from A to B. ${measured}`);
  }

  function change(what) {
    const k = kinds.indexOf(kind.value);
    sliders.forEach((one, i) => { one.root.querySelector("small").textContent = effect(k, i); });
    draw("said");
    const jobs = [];
    if (what !== "t") {
      stops.forEach((canvas, i) => jobs.push(() =>
        networks.paint(canvas, prodgenLive.draw(model, moved(place(i / (STOPS - 1))), asked(k)), model.size)));
      along.setAttribute("aria-label", `The walk from A to B in ${STOPS} stops, as ${kind.value}`);
    }
    each.forEach((canvas, i) => jobs.push(() =>
      networks.paint(canvas, prodgenLive.draw(model, moved(place(way.value)), asked(i)), model.size)));
    across.setAttribute("aria-label", `The same place, ${fixed(way.value, 2)} of the way, as ${kinds.join(", ")}`);
    run(jobs);
  }

  begin();
  lab.stage.append(
    element("div", { class: "lab-beside" },
      element("div", { class: "lab-framed-row" }, before.root, now.root),
      element("div", {}, kind.root, way.root, walk.root)),
    element("div", { class: "lab-buttons" }, fresh, reset),
    element("div", { class: "lab-controls" }, ...sliders.map(({ root }) => root)),
    element("p", { class: "lab-small" }, "The whole walk, from A to B:"), along,
    element("p", { class: "lab-small" }, "This place of it, as each kind:"), across,
    element("p", { class: "lab-small" }, `Beneath each direction stands what it does to the kind chosen, from −${data.step} to ${data.step}, on average over ${data.drawn} products: what stands out most from how much such products differ anyway. The ${directions.length} together have ${Math.round(100 * data.shares.reduce((a, b) => a + b))} % of the variance of what the first layer answers.`),
  );
  return () => change("all");
}));
