// Chapter 2.4: the way of an optimiser on a landscape of two weights, step by step. Formulas and landscapes are the
// chapter's.
"use strict";

prodgenLabs.optimisers = (() => {
  const landscapes = {
    valley: {
      height: (p, q) => 0.5 * (p ** 2 + 25 * q ** 2),
      slope: (p, q) => [p, 25 * q],
      begin: [-4, 1.5],
      lowest: [0, 0],
    },
    bend: {
      height: (p, q) => 0.1 * (1 - p) ** 2 + (q - p ** 2) ** 2,
      slope: (p, q) => [0.2 * (p - 1) - 4 * p * (q - p ** 2), 2 * (q - p ** 2)],
      begin: [-1.5, 2.5],
      lowest: [1, 1],
    },
  };
  // rule(rate, rho) -> a function from a gradient to the step that is taken, which keeps its state
  const rules = {
    SGD: (rate) => (g) => g.map((x) => -rate * x),
    momentum: (rate, rho) => {
      let v = [0, 0];
      return (g) => { v = v.map((x, i) => rho * x + g[i]); return v.map((x) => -rate * x); };
    },
    Adam: (rate) => {
      const [beta1, beta2, eps] = [0.9, 0.999, 1e-8];
      let [m, s, t] = [[0, 0], [0, 0], 0];
      return (g) => {
        t += 1;
        m = m.map((x, i) => beta1 * x + (1 - beta1) * g[i]);
        s = s.map((x, i) => beta2 * x + (1 - beta2) * g[i] ** 2);
        return m.map((x, i) => -rate * x / (1 - beta1 ** t) / (Math.sqrt(s[i] / (1 - beta2 ** t)) + eps));
      };
    },
  };

  /** The points on the way; a run that flies off ends early. */
  function race(landscape, rule, rate, steps, rho) {
    const { slope, begin } = landscapes[landscape];
    const step = rules[rule](rate, rho);
    const way = [begin];
    while (way.length <= steps && Math.max(...way.at(-1).map(Math.abs)) <= 1e3) {
      const w = way.at(-1);
      const moved = step(slope(...w));
      way.push(w.map((x, i) => x + moved[i]));
    }
    return way;
  }
  return { landscapes, race };
})();

prodgenLabs.register("optimisers", (lab) => {
  const { plot, player, number, still, optimisers: { landscapes, race } } = prodgenLabs;
  const picture = plot({ x: [-5, 5], y: [-3, 4], xlabel: "weight 1", ylabel: "weight 2", height: 0.7 });
  lab.text.rate = (rate) => number(rate, 2);
  let [way, shown, ground] = [[], 0, ""];

  function ending() {
    const { landscape, rule, rate, steps } = lab.values;
    const last = landscapes[landscape].height(...way[shown]);
    const flown = shown < steps && shown === way.length - 1 ? " It has flown off." : "";
    return `${rule}, rate ${number(rate, 2)}: loss ${number(last, 2)} after ${shown} steps.${flown}`;
  }

  function draw() {
    const { landscape } = lab.values;
    const points = way.slice(0, shown + 1);
    picture.line("way", points, { colour: 2 });
    picture.marks("steps", points.map((at) => ({ at, size: 3 })), { colour: 2, name: "steps" });
    picture.marks("start", [{ at: way[0], kind: "square" }], { colour: 0, name: "start" });
    picture.marks("lowest", [{ at: landscapes[landscape].lowest, kind: "star", size: 6 }], { colour: 4, name: "lowest point" });
    picture.show(`The way of an optimiser on the landscape "${landscape}". ${ending()}`);
  }

  /** One step further; from the end back to the start. */
  function step() {
    shown = shown < way.length - 1 ? shown + 1 : 0;
    draw();
    return shown < way.length - 1;
  }

  const runner = player(step, { stopped: () => lab.announce(ending()) });
  lab.stage.append(runner.root, picture.root);

  return (changed) => {
    const { landscape, rule, rate, rho, steps } = lab.values;
    way = race(landscape, rule, rate, steps, rho);
    if (landscape !== ground) {
      const { height } = landscapes[landscape];
      const high = Math.max(height(-5, -3), height(-5, 4), height(5, -3), height(5, 4));
      picture.field(height, Array.from({ length: 13 }, (_, i) => 0.05 * (high / 0.05) ** (i / 13)), { name: "larger loss" });
      ground = landscape;
    }
    runner.pause();
    shown = way.length - 1;
    draw();
    lab.announce(ending());
    if (!changed && !still()) runner.play();
  };
});
