// Chapter 9.2: the decision guide. Advice, runs and intervals are those that the chapter computes from its record and
// hands over; nothing is computed here.
"use strict";

prodgenLabs.register("choosing", (lab) => {
  const { plot, element, number, data } = prodgenLabs;
  const answer = element("p", { class: "lab-answer", "aria-live": "polite" });
  const picture = plot({ x: [0, 1], y: [0, 1], height: 0.4 });
  lab.stage.append(picture.root);
  return () => {
    const { size, wish } = lab.values;
    const { advice, measure, models } = data.choosing.find((one) => one.size === size && one.wish === wish);
    const every = models.flatMap(({ runs, more }) => [...runs, ...more]);
    const [low, high] = [Math.min(...every), Math.max(...every)];
    const row = (i) => models.length - i;
    const bars = (key) => models.map((model, i) => model[key].map((end) => [end, row(i)]));
    picture.axes({
      x: [low - 0.05 * (high - low), high + 0.05 * (high - low)],
      y: [0.5, models.length + 0.5],
      yticks: models.map(({ model }, i) => [row(i), model]),
      xlabel: measure,
    });
    picture.segments("more", bars("more"), { colour: 1, width: 18, pale: true, name: "one more run, 99 %" });
    picture.segments("mean", bars("mean"), { colour: 1, width: 6, name: "mean, 99 %" });
    const dots = models.flatMap(({ runs }, i) => runs.map((run, n) => ({ at: [run, row(i) + (n % 3 - 1) * 0.12], size: 3 })));
    picture.marks("runs", dots, { colour: 0, name: "one run" });
    const means = models.map(({ model, mean }) => `${model} ${mean.map((end) => number(end)).join(" to ")}`);
    const said = `Mean ${measure}, 99 % interval: ${means.join("; ")}.`;
    answer.textContent = advice;
    if (!answer.isConnected) lab.stage.prepend(answer);
    picture.show(`${advice} Runs of each model as dots, with bands for their mean and for one more run. ${said}`);
    lab.announce(said);
  };
});
