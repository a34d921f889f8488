// Chapter 2.2: an activation function, its slope, and the tangent at a point. The formulas are the chapter's.
"use strict";

prodgenLabs.activations = (() => {
  const sigmoid = (a) => { const e = Math.exp(-Math.abs(a)); return a >= 0 ? 1 / (1 + e) : e / (1 + e); };
  const LEAK = 0.2;
  // name: [value, slope]
  return {
    linear: [(a) => a, () => 1],
    sigmoid: [sigmoid, (a) => sigmoid(a) * (1 - sigmoid(a))],
    tanh: [Math.tanh, (a) => 1 - Math.tanh(a) ** 2],
    ReLU: [(a) => Math.max(a, 0), (a) => (a > 0 ? 1 : 0)],
    "leaky ReLU": [(a) => (a > 0 ? a : LEAK * a), (a) => (a > 0 ? 1 : LEAK)],
    SiLU: [(a) => a * sigmoid(a), (a) => sigmoid(a) * (1 + a * (1 - sigmoid(a)))],
  };
})();

prodgenLabs.register("activations", (lab) => {
  const { plot, fixed, activations } = prodgenLabs;
  const picture = plot({ x: [-6, 6], y: [-1.5, 3], xlabel: "sum a" });
  const line = Array.from({ length: 481 }, (_, i) => -6 + i / 40);
  const saturated = 0.05; // a slope below it lets nearly nothing back
  lab.stage.append(picture.root);
  picture.onPoint((a) => lab.set({ a }));
  return () => {
    const { name, a } = lab.values;
    const [value, slope] = activations[name];
    const [here, steep] = [value(a), slope(a)];
    picture.line("value", line.map((x) => [x, value(x)]), { colour: 1, name: `${name}: what it passes on` });
    picture.line("slope", line.map((x) => [x, slope(x)]), { colour: 2, dash: "7 4", name: "its slope: what it lets back" });
    picture.line("tangent", [[a - 1, here - steep], [a + 1, here + steep]], { colour: 0, width: 3.5 });
    picture.marks("point", [{ at: [a, here], size: 6 }], { colour: 0 });
    const said = `${name} at a = ${fixed(a, 2)} passes on ${fixed(here, 3)} and lets back ${fixed(steep, 3)}.`;
    const verdict = Math.abs(steep) < saturated
      ? " It is saturated: hardly any gradient comes back through it."
      : Math.abs(steep) <= 0.25 ? " At most a quarter of the gradient comes back through it." : "";
    picture.show(`The curve of ${name} and of its slope, with the tangent at a point. ${said}${verdict}`);
    lab.announce(said + verdict);
  };
});
