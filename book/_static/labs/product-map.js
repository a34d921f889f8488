// Chapter 3.2: the plane in which the codes of test photos differ most, and the product that is decoded at each place.
"use strict";

prodgenLabs.register("product-map", (lab) => prodgenLabs.wake(lab, (_, data, model) => {
  const { element, button, choice, slider, player, plot, fixed, networks } = prodgenLabs;
  const width = model.latent_dim;
  const numbers = (text) => networks.rows(prodgenLive.halves(text), width);
  const [[centre], directions, codes] = [numbers(data.centre), numbers(data.directions), numbers(data.codes)];
  const photos = networks.bytes(data.pictures);
  const coordinates = (z) => directions.map((d) => networks.dot(z.map((value, i) => value - centre[i]), d));
  const placed = codes.map(coordinates);
  const decode = (z) => prodgenLive.draw(model, z);

  let z = centre.slice();
  let photo = null;
  let path = [];

  // ---- the map
  const { min: low, max: high } = lab.description.controls.across;
  const map = plot({ x: [low, high], y: [low, high], xlabel: "across: first direction", ylabel: "up: second direction", height: 0.8 });
  data.kinds.forEach((kind, k) => {
    const own = placed.filter((_, i) => data.labels[i] === k);
    const mark = k < 5 ? "circle" : "diamond"; // ten kinds: five colours, two marks
    map.marks(kind, own.map((at) => ({ at, kind: mark, size: 3 })), { colour: 1 + k % 5, name: kind });
  });
  map.onPoint((a, b) => lab.set({ across: a, up: b }));

  // ---- pictures
  const frames = Object.fromEntries(["here", "photo", "rebuilt"].map((name) => [name, networks.framed(data.size)]));
  const bars = element("div", { class: "lab-bars", role: "img" });
  const columns = Array.from({ length: width }, () => bars.appendChild(element("i")));

  // ---- photos
  const next = new Array(data.kinds.length).fill(0);
  const kind = choice({ label: "kind of photo", options: data.kinds, default: "Bag" }, () => {});
  const take = button("Take a test photo", () => {
    const k = data.kinds.indexOf(kind.value);
    const own = data.labels.flatMap((label, i) => (label === k ? [i] : []));
    photo = own[next[k]++ % own.length];
    move(codes[photo], `Test photo: ${kind.value}.`);
  });
  const home = button("Back to the plane", () => {
    photo = null;
    move(networks.along(centre, directions, coordinates(z)), "On the plane itself:");
  });

  // ---- the path
  const way = slider({ label: "on the path", min: 0, max: 1, step: 0.01, default: 0 }, () => { show.pause(); walk("On the path:"); },
    (t) => (path.length > 1 ? `${Math.round(100 * t)} % of the way` : "no path yet"));
  const show = player(() => {
    if (path.length < 2) { lab.announce("A path needs two places."); return false; }
    way.set(way.value >= 1 ? 0 : way.value + 0.01);
    walk("");
    return way.value < 1;
  }, { pace: 60, stopped: () => { if (path.length > 1) walk("On the path:"); } });
  function walk(said) {
    if (path.length < 2) { lab.announce("A path needs two places."); return; }
    const at = way.value * (path.length - 1);
    const first = Math.min(Math.floor(at), path.length - 2);
    photo = null;
    move(path[first].map((value, i) => value + (at - first) * (path[first + 1][i] - value)), said);
  }
  const add = button("Add this place to the path", () => {
    path.push(z.slice());
    way.refresh();
    redraw(`Place ${path.length} of the path.`);
  });
  const clear = button("Clear the path", () => {
    path = [];
    show.pause();
    way.set(0);
    redraw("The path is empty.");
  });

  /** To another code, and the sliders with it. */
  function move(code, said) {
    z = Float32Array.from(code);
    const [a, b] = coordinates(z);
    lab.controls.across.set(a);
    lab.controls.up.set(b);
    redraw(said);
  }

  function redraw(said) {
    const at = coordinates(z);
    const there = decode(z);
    const nearest = codes.map((code) => code.reduce((sum, value, i) => sum + (value - z[i]) ** 2, 0));
    const like = data.kinds[data.labels[nearest.indexOf(Math.min(...nearest))]];
    const off = Math.hypot(...networks.along(z, directions, at.map((value) => -value)).map((value, i) => value - centre[i]));
    const [right, high] = at.map((value) => fixed(Math.round(10 * value) / 10 + 0, 1)); // no minus before a zero
    const place = `${right} across, ${high} up`;
    const stops = path.map(coordinates);
    if (stops.length) map.line("path", stops, { colour: 0, dash: "6 4", width: 2.5, name: "the path" });
    else map.remove("path");
    map.marks("stops", stops.map((stop) => ({ at: stop, kind: "square", size: 5 })), { colour: 0 });
    map.marks("here", [{ at, kind: "star", size: 8 }], { colour: 0, name: "you are here" });
    map.show(`Map of ${codes.length} test photos. You are at ${place}. Places on the path: ${path.length}.`);
    frames.here.show(there, "decoded here", `The product decoded at ${place}`);
    for (const name of ["photo", "rebuilt"]) frames[name].root.hidden = photo === null;
    if (photo !== null) {
      const what = data.kinds[data.labels[photo]];
      frames.photo.show(networks.picture(photos, data.size, photo), "test photo", `The test photo: ${what}`);
      frames.rebuilt.show(decode(codes[photo]), "rebuilt from its code", `The photo of ${what}, rebuilt from its code`);
    }
    z.forEach((value, i) => columns[i].style.setProperty("--value", Math.max(-3, Math.min(3, value))));
    const busy = z.filter((value) => Math.abs(value) > 0.1).length;
    bars.setAttribute("aria-label", `The code: ${width} numbers, ${busy} of them further than a tenth from 0.`);
    home.disabled = off < 0.01;
    if (said) lab.announce(`${said} ${place}, ${off < 0.01 ? "on the plane" : `${fixed(off, 1)} beside the plane`}. By its code, the nearest of the test photos is of kind ${like}.`);
  }

  lab.stage.append(
    element("div", { class: "lab-beside" }, map.root, element("div", {},
      element("div", { class: "lab-framed-row" }, ...Object.values(frames).map(({ root }) => root)),
      element("p", { class: "lab-small" }, `The code here, ${width} numbers:`), bars)),
    element("div", { class: "lab-controls" }, kind.root),
    element("div", { class: "lab-buttons" }, take, home, add, clear),
    way.root, show.root,
    element("p", { class: "lab-small" }, `The plane holds ${Math.round(100 * data.share)} % of the variance of ${data.placed.toLocaleString("en")} codes; the rest lies across it.`),
  );
  return (key) => {
    const { across, up } = lab.values;
    const [a, b] = coordinates(z);
    const shift = key === undefined ? [across - a, up - b] : key === "across" ? [across - a, 0] : [0, up - b];
    show.pause();
    z = networks.along(z, directions, shift);
    redraw(photo === null ? "Here:" : `Moved from the photo of ${data.kinds[data.labels[photo]]}:`);
  };
}));
