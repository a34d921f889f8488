// A square piece of the plane on a canvas, for labs that draw hundreds of points many times a second.
"use strict";

/**
 * Shows [-reach, reach] in both directions. names: of the axes. `draw` is what the lab sets: it is called on `show`, and
 * whenever the size or the reader's choice of light or dark changes. Places are [x, y]; hues are those of the style sheet.
 */
prodgenLabs.screen = ({ reach, names = ["", ""] }) => {
  const { element, colour, onTheme } = prodgenLabs;
  const canvas = element("canvas", { class: "lab-screen", role: "img" });
  const context = canvas.getContext("2d");
  const shades = document.createElement("canvas");
  let side = 0;
  const at = (value) => (0.5 + value / (2 * reach)) * side;
  const hue = (number) => colour(`--lab-${number}`);
  const rgb = (number) => {
    const digits = hue(number).slice(1);
    const long = digits.length === 3 ? [...digits].map((digit) => digit + digit).join("") : digits;
    return [0, 2, 4].map((i) => Number.parseInt(long.slice(i, i + 2), 16));
  };

  const screen = {
    root: canvas,
    draw: () => {},

    /** An empty plane with its axes. */
    clear() {
      context.clearRect(0, 0, side, side);
      context.strokeStyle = colour("--pst-color-border");
      context.fillStyle = hue(0);
      context.font = "13px sans-serif";
      context.lineWidth = 1;
      context.beginPath();
      for (let value = 1 - Math.ceil(reach); value < reach; value++) {
        context.moveTo(at(value), 0);
        context.lineTo(at(value), side);
        context.moveTo(0, at(value));
        context.lineTo(side, at(value));
      }
      context.stroke();
    },

    /** The numbers at the axes, over whatever else was drawn. upright: whether the vertical one means something. */
    label(upright = true) {
      context.fillStyle = hue(0);
      context.textAlign = "center";
      for (let value = 1 - Math.ceil(reach); value < reach; value++) {
        const text = String(value).replace("-", "−");
        context.fillText(text, at(value), side - 5);
        if (upright && value > 1 - Math.ceil(reach)) context.fillText(text, 11, at(-value) + 4);
      }
      context.textAlign = "right";
      context.fillText(names[0], side - 6, side - 20);
      context.textAlign = "left";
      if (upright) context.fillText(names[1], 6, 16);
    },

    /** A ground of count by count values in [-1, 1], row by row from the top left: hues for below and above zero. */
    ground(values, count, below, above) {
      Object.assign(shades, { width: count, height: count });
      const pen = shades.getContext("2d");
      const pixels = pen.createImageData(count, count);
      const [low, high] = [rgb(below), rgb(above)];
      for (let i = 0; i < values.length; i++) {
        pixels.data.set(values[i] < 0 ? low : high, 4 * i);
        pixels.data[4 * i + 3] = 150 * Math.sqrt(Math.abs(values[i])); // the root: a faint opinion is seen as well
      }
      pen.putImageData(pixels, 0, 0);
      context.drawImage(shades, 0, 0, side, side);
    },

    /** Points [x, y, x, y, …]: full discs, or hollow rings. */
    dots(points, { colour: number, hollow = false, size = 3 }) {
      Object.assign(context, { lineWidth: 1.2, fillStyle: hue(number), strokeStyle: hue(number) });
      context.beginPath();
      for (let i = 0; i < points.length; i += 2) {
        const [x, y] = [at(points[i]), at(-points[i + 1])];
        context.moveTo(x + size, y);
        context.arc(x, y, size, 0, 2 * Math.PI);
      }
      if (hollow) context.stroke();
      else context.fill();
    },

    /** A line through points [x, y, x, y, …]. */
    line(points, { colour: number, width = 2, dash = [] }) {
      Object.assign(context, { lineWidth: width, strokeStyle: hue(number) });
      context.setLineDash(dash);
      context.beginPath();
      for (let i = 0; i < points.length; i += 2) context.lineTo(at(points[i]), at(-points[i + 1]));
      context.stroke();
      context.setLineDash([]);
    },

    /** An upright ellipse about [x, y] with these half-axes. */
    ellipse([x, y], [a, b], { colour: number, width = 1.5, dash = [] }) {
      Object.assign(context, { lineWidth: width, strokeStyle: hue(number) });
      context.setLineDash(dash);
      context.beginPath();
      context.ellipse(at(x), at(-y), at(a) - at(0), at(b) - at(0), 0, 0, 2 * Math.PI);
      context.stroke();
      context.setLineDash([]);
    },

    /** A cross that stands out from everything else. */
    cross([x, y]) {
      for (const [width, ink] of [[7, colour("--pst-color-background")], [3, hue(0)]]) {
        Object.assign(context, { lineWidth: width, strokeStyle: ink });
        context.beginPath();
        for (const slant of [-1, 1]) {
          context.moveTo(at(x) - 7, at(-y) - 7 * slant);
          context.lineTo(at(x) + 7, at(-y) + 7 * slant);
        }
        context.stroke();
      }
    },

    /** Draws, and says what is to be seen to those who do not see it. */
    show(sentence) {
      canvas.setAttribute("aria-label", sentence);
      if (side) screen.draw();
    },

    /** Calls moved(x, y) where the reader presses or drags. */
    onPoint(moved) {
      canvas.classList.add("lab-movable");
      const move = (event) => {
        const place = canvas.getBoundingClientRect();
        const inside = (share) => reach * (2 * Math.min(1, Math.max(0, share)) - 1);
        moved(inside((event.clientX - place.left) / place.width), -inside((event.clientY - place.top) / place.height));
      };
      canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); move(event); });
      canvas.addEventListener("pointermove", (event) => { if (canvas.hasPointerCapture(event.pointerId)) move(event); });
    },
  };

  new ResizeObserver(() => {
    const now = canvas.clientWidth;
    if (!now || now === side) return;
    side = now;
    const fine = Math.min(2, window.devicePixelRatio || 1);
    Object.assign(canvas, { width: fine * side, height: fine * side });
    context.setTransform(fine, 0, 0, fine, 0, 0);
    screen.draw();
  }).observe(canvas);
  onTheme(() => { if (side) screen.draw(); });
  return screen;
};

/** What the marks on a screen mean: [[hue, "ring", "disc", "line", "dash" or "ground", text], …]. */
prodgenLabs.key = (entries) => {
  const { element } = prodgenLabs;
  const list = element("ul", { class: "lab-legend" });
  for (const [hue, kind, text] of entries) {
    const mark = element("span", { class: `lab-${kind}`, "aria-hidden": "true" });
    mark.style.setProperty("--hue", `var(--lab-${hue})`); // no style attribute: a strict policy refuses those
    list.append(element("li", {}, mark, text));
  }
  return list;
};
