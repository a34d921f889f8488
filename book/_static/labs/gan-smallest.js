// Chapter 3.1: the bilinear game V = uv, one photo and one picture, by the chapter's `turn` and `growth`.
"use strict";

prodgenLabs.register("gan-smallest", (lab) => {
  const { element, button, fixed, player, plot } = prodgenLabs;
  const { bilinearTurn, bilinearGrowth } = window.prodgenPlane;
  const STEPS = 150;
  const START = [1, 0];

  let [places, shown] = [[START], STEPS];
  const path = plot({
    x: [-3, 3], y: [-2.2, 2.2], xlabel: "u: the picture's distance from the photo", ylabel: "v: how steep D is", height: 0.75,
  });
  const players = plot({ x: [-3, 3], y: [-3, 3], xlabel: "x", ylabel: "D's logit a(x) = −vx", height: 0.75 });
  const play = player(() => {
    shown = shown < STEPS ? shown + 1 : 0;
    draw();
    return shown < STEPS;
  }, { pace: 80, stopped: () => lab.announce(sentence()) });
  play.root.append(button("From the start", () => { shown = 0; draw(); lab.announce(sentence()); }));
  lab.stage.append(play.root, element("div", { class: "lab-pair" }, path.root, players.root));

  const factor = () => bilinearGrowth(lab.values.alpha, lab.values.gamma, lab.values.order === "at once");
  const verdict = () => (Math.abs(factor() - 1) < 1e-9 ? "goes round" : factor() > 1 ? "runs away" : "comes to rest");
  const sentence = () => {
    const [u, v] = places[shown];
    return `The game ${verdict()}: in the long run the distance changes by a factor of ${fixed(factor(), 3)} a step. `
      + `After ${shown} step${shown === 1 ? "" : "s"} u = ${fixed(u, 2)} and v = ${fixed(v, 2)}.`;
  };

  function draw() {
    const [u, v] = places[shown];
    const walked = places.slice(0, shown + 1);
    path.line("path", walked, { colour: 1, width: 1.5, name: "the two players' path" });
    path.marks("steps", walked.map((at) => ({ at, size: 2 })), { colour: 1 });
    path.marks("start", [{ at: START, kind: "square" }], { colour: 2, name: "start" });
    path.marks("goal", [{ at: [0, 0], kind: "star", size: 6 }], { colour: 0, name: "goal" });
    path.marks("now", [{ at: [u, v], kind: "diamond", size: 6 }], { colour: 3, name: "now" });
    path.show(`The path of the bilinear game. ${sentence()}`);
    players.line("judge", [[-3, 3 * v], [3, -3 * v]], { colour: 2, dash: "7 4", name: "D's logit: high means photo" });
    players.marks("photo", [{ at: [0, 0], kind: "star", size: 6 }], { colour: 0, name: "the photo" });
    players.marks("picture", [{ at: [u, -v * u], kind: "diamond", size: 6 }], { colour: 3, name: "the picture" });
    players.show(`D is a line of slope ${fixed(-v, 2)} through the photo at 0; the picture is at ${fixed(u, 2)}.`);
  }

  return () => {
    const { alpha, gamma, order } = lab.values;
    places = [START];
    for (let i = 0; i < STEPS; i++) {
      const next = bilinearTurn(places[i], alpha, gamma, order === "at once");
      places.push(next.map((value) => Math.min(1e6, Math.max(-1e6, value)))); // beyond sight it makes no difference
    }
    if (!play.playing) shown = STEPS;
    draw();
    lab.announce(sentence());
  };
});
