// The first page: photos and drawn products mixed. The reader marks the photos; so did a judge that sees texture only.
"use strict";

prodgenLabs.register("which-is-real", (lab) => prodgenLabs.wake(lab, (_, data) => {
  const { element, button, networks } = prodgenLabs;
  const SHOWN = 12;
  const pool = networks.bytes(data.pictures);
  const count = data.judge.length;
  const photo = (i) => i < data.photos;
  const word = (isPhoto) => (isPhoto ? "photo" : "drawn");
  const score = { rounds: 0, reader: 0, judge: 0 };
  let places = [];
  let shown = false;

  const tiles = Array.from({ length: SHOWN }, (_, n) => {
    const canvas = element("canvas", { "aria-hidden": "true" });
    const words = element("span", { "aria-hidden": "true" });
    const tile = element("button", { type: "button", class: "lab-tile" }, canvas, words);
    tile.addEventListener("click", () => {
      if (shown) return;
      tile.ariaPressed = String(tile.ariaPressed !== "true");
      label(n);
    });
    return { tile, canvas, words };
  });
  const marked = (n) => tiles[n].tile.ariaPressed === "true";

  function label(n) {
    const { tile, words } = tiles[n];
    const place = places[n];
    const [mine, judged, truth] = [marked(n), data.judge[place] > 0.5, photo(place)];
    const error = judged === truth ? "" : ", judge ✗";
    words.textContent = shown ? `${truth === mine ? "✓" : "✗"} ${word(truth)}${error}` : mine ? "photo" : "";
    tile.classList.toggle("lab-wrong", shown && truth !== mine);
    tile.setAttribute("aria-label", shown
      ? `Picture ${n + 1}, ${data.kinds[place]}: ${word(truth)}. You said ${word(mine)}, the judge ${word(judged)}.`
      : `Picture ${n + 1} is a photo`);
  }

  function begin() {
    shown = false;
    const left = Array.from({ length: count }, (_, i) => i);
    places = Array.from({ length: SHOWN }, () => left.splice(Math.floor(Math.random() * left.length), 1)[0]);
    places.forEach((place, n) => {
      networks.paint(tiles[n].canvas, networks.picture(pool, data.size, place), data.size);
      tiles[n].tile.ariaPressed = "false";
      tiles[n].tile.ariaDisabled = "false";
      label(n);
    });
    reveal.hidden = false;
    lab.announce(`${SHOWN} pictures, mixed by chance. Mark those that are photos.`);
  }

  const reveal = button("Show what they are", () => {
    shown = true;
    const right = (says) => places.filter((place, n) => photo(place) === says(place, n)).length;
    const now = { reader: right((_, n) => marked(n)), judge: right((place) => data.judge[place] > 0.5) };
    score.rounds += 1;
    score.reader += now.reader;
    score.judge += now.judge;
    tiles.forEach(({ tile }, n) => { tile.ariaDisabled = "true"; label(n); });
    reveal.hidden = true;
    again.focus();
    const total = score.rounds > 1
      ? ` After ${score.rounds} rounds: you ${score.reader} of ${score.rounds * SHOWN}, the judge ${score.judge}.` : "";
    lab.announce(`You are right about ${now.reader} of ${SHOWN}, the judge about ${now.judge}.${total}`);
  });
  const again = button("New round", () => { begin(); tiles[0].tile.focus(); });

  const percent = Math.round(100 * data.right);
  lab.stage.append(
    element("div", { class: "lab-tiles" }, ...tiles.map(({ tile }) => tile)),
    element("div", { class: "lab-buttons" }, reveal, again),
    element("p", {}, `${lab.description.judge} On ${data.judged.toLocaleString("en")} other pictures, half of them photos, it is right about ${percent} %.`),
  );
  begin();
}));
