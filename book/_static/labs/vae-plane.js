// Chapter 3.2: a VAE in the plane that trains in the page. Reward, price and bound are the chapter's, with a Gaussian
// likelihood of one learned deviation, as the package's VAE has for colour.
"use strict";

prodgenLabs.register("vae-plane", (lab) => {
  const { element, button, fixed, player, plot, screen, key } = prodgenLabs;
  const P = window.prodgenPlane;
  const SHOPS = { curve: "curve", "ring of eight": "ring", "grid of sixteen": "grid", "two clouds": "two" };
  const RATE = 4e-3; // presets.VAERecipe
  const [SHOWN, ENCODED, DRAWN] = [300, 32, 300];
  const ANNEALED = 1500; // rounds in which the weight rises
  const START_BETA = 0.05;
  const ACTIVE = 0.01; // eq. (eq-3-2-active)

  let [seed, model, photos, history, rising] = [0, null, null, [], null];
  let [sum, counted, spoken] = [[0, 0], 0, 0];
  const plane = screen({ reach: 3 });
  const codes = screen({ reach: 3.5, names: ["z₁", "z₂"] });
  const curve = plot({ x: [0, 500], y: [-8, 4], xlabel: "rounds", ylabel: "nats a point", height: 0.45 });
  const play = player(advance, { pace: 4, stopped: () => tell() });
  play.root.append(
    button("Start again", () => { begin(); tell(); }),
    button("New seed", () => { seed += 1; begin(); tell(); }),
    button("Provoke a collapse", () => { lab.set(lab.description.presets.provoked); begin(); play.play(); }),
    button("Cure it by annealing", () => { rising = 0; play.play(); }),
  );
  lab.row.classList.add("lab-dense");
  lab.stage.append(
    play.root,
    element("div", { class: "lab-pair" },
      element("div", {}, element("p", {}, "Points"), plane.root, key([
        [0, "ring", "photos"], [3, "line", "decoder means of all codes"], [1, "disc", "new: decoder means of the prior"],
        [2, "line", "from a photo to its reconstruction"],
      ])),
      element("div", {}, element("p", {}, "Codes"), codes.root, key([
        [2, "line", "posterior of a photo, one deviation"], [1, "dash", "prior, one and two deviations"],
      ]))),
    curve.root,
  );
  codes.onPoint((z1, z2) => lab.set({ z1, z2 }));

  const latent = () => model.decoder.widths[0];
  const encode = (x) => P.forward(model.encoder, P.room(model.encoder, x.length / 2), x);
  const decode = (z) => P.forward(model.decoder, P.room(model.decoder, z.length / latent()), Float32Array.from(z));
  const here = () => [lab.values.z1, lab.values.z2].slice(0, latent());

  function begin() {
    const { shop, beta } = lab.values;
    model = P.vae(seed, Number(lab.values.latent), { shop: SHOPS[shop], beta, rate: RATE });
    photos = P.fillReal(new Float32Array(2 * SHOWN), P.shops[SHOPS[shop]], P.uniforms(7));
    [history, sum, counted, rising] = [[], [0, 0], 0, null];
    model.learn(); // the bound of an untrained one
    for (const net of [model.encoder, model.decoder]) net.gradient.fill(0);
    note();
  }

  /** A point of the curves: the mean since the last. */
  function note() {
    const [reward, price] = counted ? sum.map((value) => value / counted) : [model.reward, model.price];
    history.push([model.rounds, reward, price]);
    if (history.length > 400) history = history.filter((_, i) => i % 2 === 0);
    [sum, counted] = [[0, 0], 0];
    const [lowest, highest] = [Math.min(...history.map((row) => row[1] - row[2])), Math.max(...history.map((row) => Math.max(row[1], row[2])))];
    curve.range([0, Math.max(500, model.rounds)], [Math.max(-8, lowest - 1), Math.max(4, highest + 0.5)]);
    curve.line("reward", history.map(([at, reward]) => [at, reward]), { colour: 3, dash: "7 4", name: "reward" });
    curve.line("price", history.map(([at, , price]) => [at, price]), { colour: 2, dash: "2 3", name: "price of a code" });
    curve.line("elbo", history.map(([at, reward, price]) => [at, reward - price]), { colour: 1, name: "ELBO" });
    curve.show(`ELBO, reward and price by the round. ${bound()}`);
  }

  function bound() {
    const [, reward, price] = history.at(-1);
    return `ELBO ${fixed(reward - price, 2)} nats: reward ${fixed(reward, 2)}, price ${fixed(price, 2)}.`;
  }

  function sentence() {
    const code = encode(photos);
    const d = latent();
    let active = 0;
    for (let j = 0; j < d; j++) {
      const means = Array.from({ length: SHOWN }, (_, i) => code[2 * d * i + j]);
      const middle = means.reduce((a, b) => a + b, 0) / SHOWN;
      if (means.reduce((a, b) => a + (b - middle) ** 2, 0) / (SHOWN - 1) > ACTIVE) active += 1;
    }
    const [x, y] = decode(here());
    const stands = `At z = ${here().map((value) => fixed(value, 1)).join(", ")} the decoder's mean is (${fixed(x, 2)}, ${fixed(y, 2)}), `
      + `its deviation ${fixed(Math.exp(model.logSigma[0]), 2)}.`;
    return `Seed ${seed}, round ${model.rounds.toLocaleString("en")}, β ${fixed(model.settings.beta, 2)}. ${bound()} `
      + `Active: ${active} of ${d}. ${stands}`;
  }

  function tell() {
    draw();
    lab.announce(sentence());
  }

  /** The decoder's means along lines of the code: one line of one number, a grid of two. */
  function sheet() {
    const line = Array.from({ length: 81 }, (_, i) => -3 + 0.075 * i);
    if (latent() === 1) return [decode(line)];
    const across = Array.from({ length: 11 }, (_, i) => -2.5 + 0.5 * i);
    return across.flatMap((fixedAt) => [
      decode(line.flatMap((moving) => [moving, fixedAt])), decode(line.flatMap((moving) => [fixedAt, moving])),
    ]);
  }

  plane.draw = () => {
    const d = latent();
    plane.clear();
    plane.dots(photos, { colour: 0, hollow: true, size: 2.5 });
    if (lab.values.shown === "new pictures") {
      plane.dots(decode(P.fillNormal(new Float32Array(d * DRAWN), P.uniforms(5))), { colour: 1, size: 3 });
    } else if (lab.values.shown === "reconstructions") {
      const code = encode(photos);
      const means = decode(Array.from({ length: d * SHOWN }, (_, i) => code[2 * d * Math.floor(i / d) + (i % d)]));
      for (let i = 0; i < 2 * SHOWN; i += 2) {
        plane.line([photos[i], photos[i + 1], means[i], means[i + 1]], { colour: 2, width: 1 });
      }
    }
    for (const line of sheet()) plane.line(line, { colour: 3, width: d === 1 ? 3 : 1 });
    plane.cross(decode(here()));
    plane.label();
  };

  codes.draw = () => {
    const d = latent();
    const code = encode(photos.subarray(0, 2 * ENCODED));
    codes.clear();
    for (const deviations of [1, 2]) {
      const style = { colour: 1, dash: [5, 4] };
      if (d === 2) codes.ellipse([0, 0], [deviations, deviations], style);
      else for (const z of [-deviations, deviations]) codes.line([z, -3.5, z, 3.5], { ...style, width: 1.5 });
    }
    const clouds = Array.from({ length: ENCODED }, (_, i) => {
      const [m, s] = [0, d].map((from) => code.subarray(2 * d * i + from, 2 * d * i + from + d));
      return { m: [...m], s: [...s].map((value) => Math.exp(0.5 * value)) };
    }).sort((a, b) => a.m[0] - b.m[0]);
    clouds.forEach(({ m, s }, i) => {
      if (d === 2) { codes.ellipse(m, s, { colour: 2 }); return; }
      const height = 2.6 - 5.2 * i / (ENCODED - 1); // one number needs no height: in the order of their means
      codes.line([m[0] - s[0], height, m[0] + s[0], height], { colour: 2, width: 3 });
    });
    codes.cross([here()[0], here()[1] ?? 0]);
    codes.label(d === 2);
  };

  function draw() {
    plane.show(`Photos in the plane, and what the decoder makes of codes. ${bound()}`);
    codes.show("The codes: the posterior of some photos, over the prior.");
  }

  function advance() {
    const until = performance.now() + 12;
    const most = play.playing ? 40 : 1;
    for (let done = 0; done < most && (done === 0 || performance.now() < until); done++) {
      if (rising !== null) {
        model.settings.beta = Math.min(1, START_BETA + rising++ / ANNEALED);
        lab.controls.beta.set(model.settings.beta);
        if (model.settings.beta === 1) rising = null;
      }
      model.round();
      sum = [sum[0] + model.reward, sum[1] + model.price];
      counted += 1;
      if (model.rounds % 25 === 0) note();
    }
    draw();
    if (play.playing && performance.now() - spoken > 4000) {
      spoken = performance.now();
      lab.announce(sentence());
    }
    return true;
  }

  return (changed) => {
    if (!model || changed === "shop" || changed === "latent") begin();
    if (changed === "beta") rising = null;
    if (rising === null) model.settings.beta = lab.values.beta;
    tell();
  };
});
