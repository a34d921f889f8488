// Chapter 3.1: a GAN in the plane that trains in the page, with the losses, the penalty and the turns of the chapter.
"use strict";

prodgenLabs.register("gan-plane", (lab) => {
  const { element, button, fixed, player, plot, screen, key } = prodgenLabs;
  const P = window.prodgenPlane;
  const SHOPS = { "ring of eight": "ring", "grid of sixteen": "grid", "two clouds": "two", "ring, one cloud rare": "rare" };
  const TURNS = { "one each": [1, 1], "ten of G": [1, 10], "five of D": [5, 1] };
  const { provoked, cured } = lab.description.presets;
  const REACH = 3;
  const SIDE = 40; // of D's field, in places
  const SHOWN = 300;
  const PUSHED = 60; // pictures of which is drawn where G will move them
  const LOOKED = 1000; // points in a look
  const EVERY = 50; // rounds between two looks
  const LOOKS = 10; // of which the verdict is made, as in the chapter
  const RELATIVE = ["wasserstein", "relativistic"]; // their logits mean something by comparison only

  let [seed, game, photos, history, looks] = [0, null, null, [], []];
  let spoken = 0;
  const z = P.fillNormal(new Float32Array(2 * LOOKED), P.uniforms(99));
  const places = Float32Array.from({ length: 2 * SIDE * SIDE }, (_, i) => {
    const [row, column] = [Math.floor(i / 2 / SIDE), (i >> 1) % SIDE];
    return REACH * (2 * ((i % 2 ? SIDE - 1 - row : column) + 0.5) / SIDE - 1);
  });

  const view = screen({ reach: REACH });
  const curve = plot({ x: [0, 500], y: [0, 8], ylabel: "clouds found", height: 0.4 });
  const said = plot({ x: [0, 500], y: [0, 1], xlabel: "rounds", ylabel: "mean of D", height: 0.5 });
  const play = player(advance, { pace: 4, stopped: () => tell() });
  const again = (same) => { if (!same) seed += 1; begin(); tell(); };
  play.root.append(
    button("Start again", () => again(true)),
    button("New seed", () => again(false)),
    button("Provoke a collapse", () => { lab.set(provoked); begin(); play.play(); }),
    button("Cure it", () => { lab.set(cured); play.play(); }),
  );
  lab.row.classList.add("lab-dense");
  lab.stage.append(
    play.root,
    element("div", { class: "lab-pair" },
      element("div", {}, view.root, key([
        [0, "ring", "photos"], [1, "disc", "pictures, drawn by G"],
        [2, "ground", "here D says: a photo"], [1, "ground", "here D says: a picture"],
        [3, "line", "where D's slope pushes a picture"],
      ])),
      element("div", {}, curve.root, said.root)),
  );

  const drawer = () => (lab.values.drawn === "G" ? game.generator : game.average);
  let passes;
  const shop = () => P.shops[game.settings.shop];

  function settings() {
    const { shop, loss, gamma, turns, rateD, rateG } = lab.values;
    return { shop: SHOPS[shop], loss, gamma, turns: TURNS[turns], rates: [Number(rateD), Number(rateG)] };
  }

  function begin() {
    game = P.gan(seed, settings());
    const judged = (n) => P.room(game.discriminator, n);
    passes = {
      look: P.room(game.generator, LOOKED), field: judged(SIDE * SIDE), photos: judged(SHOWN), pictures: judged(SHOWN),
      pushed: judged(PUSHED),
    };
    photos = P.fillReal(new Float32Array(2 * SHOWN), shop(), P.uniforms(7));
    [history, looks] = [[], []];
    look();
    draw();
  }

  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const drawn = () => P.forward(drawer(), passes.look, z).subarray(0, 2 * SHOWN);

  /** D's logits for photos and pictures, and what counts as undecided: some losses teach D to compare only. */
  function judge() {
    const real = P.forward(game.discriminator, passes.photos, photos);
    const fake = P.forward(game.discriminator, passes.pictures, drawn());
    return { real, fake, undecided: RELATIVE.includes(game.settings.loss) ? (mean(real) + mean(fake)) / 2 : 0 };
  }

  /** Counts the clouds among points that G draws, for the curves and the verdict. */
  function look() {
    const seen = P.modesFound(P.forward(drawer(), passes.look, z), shop());
    const { real, fake, undecided } = judge();
    const [onReal, onFake] = [real, fake].map((logits) => mean(logits.map((a) => P.sigmoid(a - undecided))));
    looks = [...looks.slice(1 - LOOKS), seen];
    history.push([game.rounds, seen.found, onReal, onFake]);
    if (history.length > 400) history = history.filter((_, i) => i % 2 === 0);
    const rounds = [0, Math.max(500, game.rounds)];
    const column = (i) => history.map((row) => [row[0], row[i]]);
    curve.range(rounds, [0, shop().length + 0.5]);
    curve.line("found", column(1), { colour: 1 });
    curve.show(`Clouds found, by the round: ${seen.found} of ${shop().length} after ${game.rounds} rounds.`);
    said.range(rounds, [0, 1]);
    said.line("real", column(2), { colour: 2, name: "on photos" });
    said.line("fake", column(3), { colour: 1, dash: "7 4", name: "on pictures" });
    said.show(`What D says on average, by the round: ${fixed(onReal, 2)} to photos, ${fixed(onFake, 2)} to pictures.`);
  }

  function sentence() {
    const { found, inside } = looks.at(-1);
    const verdict = looks.length === LOOKS && P.collapsed(looks, shop()) ? " By the chapter's count it has collapsed." : "";
    return `Seed ${seed}, round ${game.rounds.toLocaleString("en")}: ${found} of ${shop().length} clouds found, and `
      + `${Math.round(100 * inside)} % of the pictures lie in a cloud.${verdict}`;
  }

  function tell() {
    if (history.at(-1)?.[0] !== game.rounds) look();
    draw();
    lab.announce(sentence());
  }

  /** A line from each of some pictures to where D's slope would have it: downhill on G's loss. */
  function pushes(pictures, real) {
    const { loss } = game.settings;
    const fake = P.forward(game.discriminator, passes.pushed, pictures);
    const slopes = fake.map((a, i) => P.losses[loss].generator(real[i], a)[2]);
    const downhill = P.backward(game.discriminator, passes.pushed, slopes, false);
    for (let i = 0; i < 2 * PUSHED; i += 2) {
      const [x, y, dx, dy] = [pictures[i], pictures[i + 1], -downhill[i], -downhill[i + 1]];
      const length = 0.9 / (1 + Math.hypot(dx, dy)); // times the slope: nowhere longer than 0.9
      view.line([x, y, x + length * dx, y + length * dy], { colour: 3, width: 1.5 });
    }
  }

  view.draw = () => {
    const { real, undecided } = judge();
    const logits = P.forward(game.discriminator, passes.field, places);
    const pictures = drawn();
    view.clear();
    view.ground(logits.map((a) => 2 * P.sigmoid(a - undecided) - 1), SIDE, 1, 2);
    view.dots(photos.subarray(0, SHOWN), { colour: 0, hollow: true, size: 2.5 });
    pushes(pictures.subarray(0, 2 * PUSHED), real);
    view.dots(pictures, { colour: 1, size: 2.5 });
    view.label();
  };
  const draw = () => view.show(`The plane with photos, pictures and D's opinion of each place. ${sentence()}`);

  /** As many rounds as a frame has time for, or one where the reader asked for one. */
  function advance() {
    const until = performance.now() + 12;
    const most = play.playing && lab.values.pace === "fast" ? 40 : 1;
    for (let done = 0; done < most && (done === 0 || performance.now() < until); done++) {
      game.round();
      if (game.rounds % EVERY === 0) look();
    }
    draw();
    if (play.playing && performance.now() - spoken > 4000) {
      spoken = performance.now();
      lab.announce(sentence());
    }
    return true;
  }

  return (changed) => {
    if (!game || changed === "shop") begin();
    Object.assign(game.settings, settings());
    tell();
  };
});
