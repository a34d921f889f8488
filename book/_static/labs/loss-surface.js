// Chapter 2.3: the mean loss of a classifier with two weights, over the photos that the chapter hands over, and the
// way downhill. The formulas are the chapter's.
"use strict";

prodgenLabs.losses = (() => {
  const sigmoid = (a) => { const e = Math.exp(-Math.abs(a)); return a >= 0 ? 1 / (1 + e) : e / (1 + e); };
  const softplus = (a) => Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a)));
  // kind: [loss of a logit and a truth, its slope by the logit]
  const KINDS = {
    "cross-entropy": [(a, y) => softplus(a) - y * a, (a, y) => sigmoid(a) - y],
    "squared error": [
      (a, y) => (sigmoid(a) - y) ** 2,
      (a, y) => { const p = sigmoid(a); return 2 * (p - y) * p * (1 - p); },
    ],
  };
  return {
    /** Mean loss of the logits w x + b. */
    height(kind, w, b, xs, ys) {
      const [loss] = KINDS[kind];
      let sum = 0;
      for (let n = 0; n < xs.length; n++) sum += loss(w * xs[n] + b, ys[n]);
      return sum / xs.length;
    },
    /** Its derivatives in w and in b. */
    gradient(kind, w, b, xs, ys) {
      const [, slope] = KINDS[kind];
      let [byW, byB] = [0, 0];
      for (let n = 0; n < xs.length; n++) {
        const byLogit = slope(w * xs[n] + b, ys[n]);
        byW += byLogit * xs[n];
        byB += byLogit;
      }
      return [byW / xs.length, byB / xs.length];
    },
  };
})();

prodgenLabs.register("loss-surface", (lab) => {
  const { plot, fixed, losses, data } = prodgenLabs;
  const { brightness, is_boot: truth } = data["loss-surface"];
  const picture = plot({ x: [-8, 8], y: [-8, 8], xlabel: "weight w", ylabel: "bias b", height: 0.75 });
  lab.stage.append(picture.root);
  picture.onPoint((w, b) => lab.set({ w, b }));
  let drawn = "";

  function ground(kind) {
    const cells = 48;
    const value = (w, b) => losses.height(kind, w, b, brightness, truth);
    const heights = [];
    for (let i = 0; i <= cells; i++) for (let j = 0; j <= cells; j++) heights.push(value(16 * i / cells - 8, 16 * j / cells - 8));
    const [low, high] = [Math.min(...heights), Math.max(...heights)];
    picture.field(value, Array.from({ length: 15 }, (_, i) => low * (high / low) ** (i / 15)), { cells, name: "larger loss" });
    drawn = kind;
  }

  return () => {
    const { kind, w, b } = lab.values;
    if (kind !== drawn) ground(kind);
    const here = losses.height(kind, w, b, brightness, truth);
    const down = losses.gradient(kind, w, b, brightness, truth).map((slope) => -slope);
    const steep = Math.hypot(...down);
    const tip = [w + 2.5 * down[0] / steep, b + 2.5 * down[1] / steep];
    picture.line("down", [[w, b], tip], { colour: 2, width: 3, arrow: true, name: "downhill" });
    picture.marks("point", [{ at: [w, b], size: 7 }], { colour: 2 });
    const said = `${kind} at w = ${fixed(w, 1)}, b = ${fixed(b, 1)}: loss ${fixed(here, 2)}, steepness ${fixed(steep, 3)}.`;
    picture.show(`The landscape of the mean loss over weight and bias, a point on it and an arrow downhill. ${said}`);
    lab.announce(said);
  };
});
