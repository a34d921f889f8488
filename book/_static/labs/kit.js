// What the labs in the book's pages share: controls, plots, animations, and words for those who do not see them.
// Classic scripts throughout, so that a page opened as a file has its labs too.
//
// A lab is `prodgenLabs.register(NAME, open)` in NAME.js. `open(lab)` draws into `lab.stage` and returns the function
// that is called at once and after each change of a control. `lab.values` has the controls' values by name. Title,
// help and controls come from `prodgenLabs.descriptions[NAME]`, which the chapter's Python explorer reads as well.
"use strict";

window.prodgenLabs = (() => {
  const openers = {};
  let ids = 0;

  // ---- small things

  function element(kind, attributes = {}, ...children) {
    const made = document.createElement(kind);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  function shape(kind, attributes = {}, text = "") {
    const made = document.createElementNS("http://www.w3.org/2000/svg", kind);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (text) made.textContent = text;
    return made;
  }

  /** A number as it is read: so many significant digits, and a minus sign that is no hyphen. */
  const number = (value, digits = 3) => {
    const size = Math.abs(value);
    const text = size && (size < 1e-4 || size >= 1e6) ? value.toExponential(digits - 1) : String(Number(value.toPrecision(digits)));
    return text.replaceAll("-", "−");
  };

  /** So many decimals, and the same minus sign. */
  const fixed = (value, decimals) => value.toFixed(decimals).replace("-", "−");

  /** What the style sheet says of a colour now, such as "--lab-1": for canvases, which do not follow it by themselves. */
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  /** Calls `draw` whenever the reader changes between light and dark: for canvases. */
  function onTheme(draw) {
    new MutationObserver(draw).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  }

  const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

  // ---- controls: {root, value, text, set}

  function labelled(control, { label, help }) {
    control.id = `lab-${ids++}`;
    const name = element("div", { class: "lab-name" }, element("label", { for: control.id }, label));
    const box = element("div", { class: "lab-control" }, name, control);
    if (help) {
      const words = element("small", { id: `${control.id}-help` }, help);
      control.setAttribute("aria-describedby", words.id);
      box.append(words);
    }
    return { box, name };
  }

  /**
   * A slider of `description`: {label, help, min, max, step, default, log}. With `log` its value is ten to what
   * those numbers say. `say` turns its value into words.
   */
  function slider(description, changed, say = (value) => number(value)) {
    const { min, max, step, log } = description;
    const meant = (position) => (log ? 10 ** position : Number(position));
    const input = element("input", { type: "range", min, max, step, value: description.default });
    const { box, name } = labelled(input, description);
    const shown = element("output", { for: input.id });
    name.append(shown);
    const control = {
      root: box,
      get value() { return meant(input.value); },
      get text() { return say(control.value); },
      refresh() { shown.textContent = control.text; input.setAttribute("aria-valuetext", control.text); },
      set(value) { input.value = log ? Math.log10(value) : value; control.refresh(); },
    };
    input.addEventListener("input", () => { control.refresh(); changed(); });
    control.refresh();
    return control;
  }

  /** A choice of `description`: {label, help, options, default}; options are texts or whole numbers. */
  function choice(description, changed) {
    const { options } = description;
    const select = element("select", {}, ...options.map((option) => element("option", { value: option }, option.toLocaleString("en"))));
    select.value = description.default;
    select.addEventListener("change", changed);
    return {
      root: labelled(select, description).box,
      get value() { return options[select.selectedIndex]; },
      get text() { return select.selectedOptions[0].text; },
      refresh() {},
      set(value) { select.value = value; },
    };
  }

  function button(text, pressed) {
    const made = element("button", { type: "button" }, text);
    made.addEventListener("click", pressed);
    return made;
  }

  /**
   * A polite live region, and the function that says something there once the reader pauses. Until the region is in
   * the page it says it at once, and nobody is disturbed.
   */
  function announcer() {
    const region = element("p", { class: "lab-said", "aria-live": "polite" });
    let waiting;
    const announce = (text) => {
      clearTimeout(waiting);
      const tell = () => { if (region.textContent !== text) region.textContent = text; };
      if (region.isConnected) waiting = setTimeout(tell, 250);
      else tell();
    };
    return { region, announce };
  }

  // ---- plots

  /** Round numbers from low to high, about n of them. */
  function ticks(low, high, n) {
    const rough = (high - low) / n;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
    const found = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) found.push(k * step);
    return found;
  }

  const MARKS = {
    circle: (x, y, r) => shape("circle", { cx: x, cy: y, r }),
    square: (x, y, r) => shape("rect", { x: x - r, y: y - r, width: 2 * r, height: 2 * r }),
    diamond: (x, y, r) => shape("path", { d: `M${x} ${y - 1.3 * r}l${r} ${1.3 * r}l${-r} ${1.3 * r}l${-r} ${-1.3 * r}z` }),
    star: (x, y, r) => {
      const corner = (i) => {
        const [size, angle] = [i % 2 ? 0.7 * r : 1.7 * r, Math.PI * (i / 5 - 0.5)];
        return `${x + size * Math.cos(angle)} ${y + size * Math.sin(angle)}`;
      };
      return shape("path", { d: `M${Array.from({ length: 10 }, (_, i) => corner(i)).join("L")}z` });
    },
  };

  /**
   * A picture with two axes. What is drawn is kept by name and drawn again when the width changes; lines, points and
   * letters are SVG with the style sheet's colours, so light and dark need no drawing.
   *
   * x, y: [low, high]. xlabel, ylabel: with the unit. height: of the drawing, as a share of its width.
   * yticks: [[value, text]], where the numbers would say nothing.
   */
  function plot({ x, y, xlabel = "", ylabel = "", height = 0.6, yticks = null }) {
    const svg = shape("svg", { role: "img" });
    const under = element("canvas", { "aria-hidden": "true" });
    const legend = element("ul", { class: "lab-legend" });
    const frame = element("div", { class: "lab-frame" }, under, svg);
    const root = element("div", { class: "lab-plot" }, frame, legend);
    const things = new Map();
    let [wide, high, box] = [0, 0, { left: 0, right: 0, top: 0, bottom: 0 }];
    let field = null;

    const across = (value) => box.left + (value - x[0]) / (x[1] - x[0]) * (wide - box.left - box.right);
    const up = (value) => high - box.bottom - (value - y[0]) / (y[1] - y[0]) * (high - box.top - box.bottom);

    function path(points) { // a point far outside would only make the drawing slow
      const near = (value, [low, top]) => Math.min(top + 9 * (top - low), Math.max(low - 9 * (top - low), value));
      return `M${points.map(([a, b]) => `${across(near(a, x)).toFixed(1)} ${up(near(b, y)).toFixed(1)}`).join("L")}`;
    }

    function drawAxes() {
      const group = shape("g", { class: "lab-axes" });
      const [bottom, right] = [high - box.bottom, wide - box.right];
      for (const value of ticks(...x, wide < 420 ? 6 : 9)) {
        if (!field) group.append(shape("line", { x1: across(value), x2: across(value), y1: box.top, y2: bottom }));
        group.append(shape("text", { x: across(value), y: bottom + 18, "text-anchor": "middle" }, number(value)));
      }
      for (const [value, text] of yticks ?? ticks(...y, 5).map((value) => [value, number(value)])) {
        if (!field) group.append(shape("line", { x1: box.left, x2: right, y1: up(value), y2: up(value) }));
        group.append(shape("text", { x: box.left - 6, y: up(value) + 4, "text-anchor": "end" }, text));
      }
      group.append(shape("path", { class: "lab-spines", d: `M${box.left} ${box.top}V${bottom}H${right}` }));
      if (xlabel) group.append(shape("text", { x: (box.left + right) / 2, y: high - 4, "text-anchor": "middle" }, xlabel));
      const middle = (box.top + bottom) / 2;
      if (ylabel) group.append(shape("text", { transform: `translate(13 ${middle}) rotate(-90)`, "text-anchor": "middle" }, ylabel));
      return group;
    }

    /**
     * Shades of blue for a height at each place, one a level; the page's own colour shines through the low ones.
     * It is computed on a grid and drawn between its places by straight lines.
     */
    function shade() {
      under.hidden = !field;
      if (!field) return;
      const [columns, rows] = [Math.round(wide - box.left - box.right), Math.round(high - box.top - box.bottom)];
      Object.assign(under, { width: columns, height: rows });
      under.style.inset = `${box.top}px auto auto ${box.left}px`;
      const context = under.getContext("2d");
      const pixels = context.createImageData(columns, rows);
      const { heights, cells, levels } = field;
      for (let row = 0; row < rows; row++) for (let column = 0; column < columns; column++) {
        const [right, top] = [(column + 0.5) / columns * cells, (1 - (row + 0.5) / rows) * cells];
        const [i, j] = [Math.floor(right), Math.floor(top)];
        const [s, t] = [right - i, top - j];
        const at = j * (cells + 1) + i;
        const height = (1 - t) * ((1 - s) * heights[at] + s * heights[at + 1])
          + t * ((1 - s) * heights[at + cells + 1] + s * heights[at + cells + 2]);
        const level = levels.findLastIndex((bound) => bound <= height) + 1;
        pixels.data.set([0, 114, 178, Math.round(200 * level / levels.length)], 4 * (row * columns + column));
      }
      context.putImageData(pixels, 0, 0);
    }

    /** The head of an arrow from one point to another, as a path. */
    function head([from, to]) {
      const [right, down] = [across(to[0]) - across(from[0]), up(to[1]) - up(from[1])];
      const angle = Math.atan2(down, right);
      const wing = (turn) => `${across(to[0]) - 11 * Math.cos(angle + turn)} ${up(to[1]) - 11 * Math.sin(angle + turn)}`;
      return `M${wing(0.45)}L${across(to[0])} ${up(to[1])}L${wing(-0.45)}`;
    }

    function render() {
      if (!wide) return;
      svg.replaceChildren(drawAxes());
      const inside = shape("svg", {
        x: box.left, y: box.top, width: wide - box.left - box.right, height: high - box.top - box.bottom,
        viewBox: `${box.left} ${box.top} ${wide - box.left - box.right} ${high - box.top - box.bottom}`,
      });
      svg.append(inside);
      const named = [];
      for (const { lines, marks, colour: hue = 1, dash = "none", width = 2, pale, arrow, name } of things.values()) {
        const paint = `var(--lab-${hue})`; // as attributes, since a strict policy forbids styles in the page
        const stroke = {
          stroke: paint, "stroke-width": width, "stroke-dasharray": dash, "stroke-opacity": pale ? 0.3 : 1, fill: "none",
        };
        for (const points of lines ?? []) {
          inside.append(shape("path", { d: path(points) + (arrow ? head(points.slice(-2)) : ""), ...stroke }));
        }
        for (const { at, kind = "circle", size = 5 } of marks ?? []) {
          const mark = MARKS[kind](across(at[0]), up(at[1]), size);
          mark.setAttribute("fill", paint);
          inside.append(mark);
        }
        if (!name) continue;
        const swatch = shape("svg", { width: 28, height: 12, "aria-hidden": "true" });
        if (lines) swatch.append(shape("path", { d: "M0 6H28", ...stroke }));
        else {
          const mark = MARKS[marks[0].kind ?? "circle"](14, 6, 4);
          mark.setAttribute("fill", paint);
          swatch.append(mark);
        }
        named.push(element("li", {}, swatch, name));
      }
      if (field?.name) named.push(element("li", {}, element("span", { class: "lab-shades" }), field.name));
      legend.replaceChildren(...named);
      legend.hidden = !named.length;
    }

    function measure() {
      const now = frame.clientWidth;
      if (!now || now === wide) return;
      [wide, high] = [now, Math.max(Math.round(now * height), Math.min(now, 260))];
      const longest = Math.max(0, ...(yticks ?? []).map(([, text]) => text.length));
      box = { left: (ylabel ? 22 : 6) + Math.max(34, 7.5 * longest), right: 10, top: 10, bottom: xlabel ? 42 : 26 };
      for (const [name, value] of Object.entries({ width: wide, height: high, viewBox: `0 0 ${wide} ${high}` })) svg.setAttribute(name, value);
      shade();
      render();
    }
    new ResizeObserver(measure).observe(frame);

    return {
      root,
      /** A line through points [[x, y], …]; the same key again moves it. options: colour, dash, width, arrow, name. */
      line(key, points, options = {}) { things.set(key, { lines: [points], ...options }); },
      /** Lines of one look: [[[x, y], …], …]. options: those of `line`, and pale. */
      segments(key, lines, options = {}) { things.set(key, { lines, ...options }); },
      /** Marks [{at: [x, y], kind, size}]; kind: circle, square, diamond or star. options: colour, name. */
      marks(key, marks, options = {}) { things.set(key, { marks, ...options }); },
      remove(key) { things.delete(key); },
      /**
       * The ground: the height value(x, y), in one shade for each of the rising levels that it reaches. cells: in
       * how many places a side it is computed. name: of the deepest shade, for the legend.
       */
      field(value, levels, { cells = 96, name = "" } = {}) {
        const place = ([low, top], i) => low + i / cells * (top - low);
        const heights = Array.from({ length: (cells + 1) ** 2 }, (_, n) =>
          value(place(x, n % (cells + 1)), place(y, Math.floor(n / (cells + 1)))));
        field = { heights, levels, cells, name };
        if (wide) shade();
      },
      /** Other axes: {x, y, xlabel, ylabel, yticks}, those that change. */
      axes(changed) {
        ({ x, y, xlabel, ylabel, yticks } = { x, y, xlabel, ylabel, yticks, ...changed });
        wide = 0; // measured anew by the next `show`
      },
      /** Another piece of the plane: x, y as above. */
      range(newX, newY) { [x, y] = [newX, newY]; },
      /** Shows what was drawn since, and says it: a sentence for those who do not see it. */
      show(sentence) { svg.setAttribute("aria-label", sentence); measure(); render(); },
      /** Calls moved(x, y) where the reader presses or drags. The sliders do the same by key. */
      onPoint(moved) {
        svg.classList.add("lab-movable");
        const move = (event) => {
          const place = svg.getBoundingClientRect();
          const inside = (share) => Math.min(1, Math.max(0, share));
          const right = inside((event.clientX - place.left - box.left) / (wide - box.left - box.right));
          const down = inside((event.clientY - place.top - box.top) / (high - box.top - box.bottom));
          moved(x[0] + right * (x[1] - x[0]), y[1] - down * (y[1] - y[0]));
        };
        svg.addEventListener("pointerdown", (event) => { svg.setPointerCapture(event.pointerId); move(event); });
        svg.addEventListener("pointermove", (event) => { if (svg.hasPointerCapture(event.pointerId)) move(event); });
      },
    };
  }

  // ---- animations

  /**
   * Buttons "Play"/"Pause" and "One step". step() makes a step and returns whether more can follow. It moves only
   * while it is on the screen, and starts paused where the reader's system asks for less motion.
   * pace: milliseconds between steps. stopped: called when it comes to rest.
   */
  function player(step, { pace = 100, stopped = () => {} } = {}) {
    let playing = false;
    let seen = false;
    let timer;
    const toggle = button("Play", () => (playing ? pause() : play()));
    const once = button("One step", () => { pause(); step(); stopped(); });
    function tick() {
      clearTimeout(timer);
      if (!playing) return;
      if (seen && !step()) { pause(); return; }
      timer = setTimeout(tick, pace);
    }
    function play() { playing = true; toggle.textContent = "Pause"; tick(); }
    function pause() {
      const was = playing;
      playing = false;
      clearTimeout(timer);
      toggle.textContent = "Play";
      if (was) stopped();
    }
    const root = element("div", { class: "lab-buttons" }, toggle, once);
    new IntersectionObserver(([entry]) => { seen = entry.isIntersecting; }).observe(root);
    return { root, play, pause, get playing() { return playing; } };
  }

  // ---- what has to be loaded first

  /**
   * For a lab that draws with a trained network or has pictures of its own: a button that says what it will load and
   * how much, and loads it. `opened(lab, data, model)` is then what `register` calls elsewhere; data is what the build
   * wrote for the lab, model the network that its description names.
   */
  function wake(lab, opened) {
    const name = lab.root.dataset.lab;
    const { wake: words, megabytes, model } = lab.description;
    let change = () => {};
    if (!megabytes) { // the build had not what the lab shows
      lab.stage.append(element("p", {}, lab.description.missing));
      return change;
    }
    const asleep = `${words} (${megabytes} MB)`;
    const waker = button(asleep, async () => {
      if (waker.ariaBusy === "true") return; // a second press while it loads
      Object.assign(waker, { ariaBusy: "true", textContent: "Loading …" });
      try {
        await api.load("live/live.js");
        await api.load("labs/networks.js");
        await api.load(`labs/${name}.data.js`);
        if (model) await api.load(`live/${model}.js`);
      } catch {
        Object.assign(waker, { ariaBusy: "false", textContent: "It could not be loaded. Try again" });
        return;
      }
      waker.remove();
      lab.row.hidden = false;
      change = opened(lab, api.data[name], model && window.prodgenLive.models[model]) ?? change;
      change();
      lab.root.dataset.awake = name;
      lab.root.querySelector("select, input, button").focus();
    });
    lab.row.hidden = true;
    lab.stage.append(waker);
    return (key) => change(key);
  }

  // ---- the lab

  function open(root) {
    const name = root.dataset.lab;
    const description = api.descriptions[name];
    const { region, announce } = announcer();
    const controls = {};
    let change = () => {};
    const stage = element("div", { class: "lab-stage" });
    const row = element("div", { class: "lab-controls" });
    const lab = {
      root, description, stage, row, announce, controls,
      /** How a slider's value is said, by its name: set before the first change. */
      text: {},
      get values() { return Object.fromEntries(Object.entries(controls).map(([key, { value }]) => [key, value])); },
      /** Moves controls as the reader would: {name: value, …}. */
      set(values) {
        for (const [key, value] of Object.entries(values)) controls[key].set(value);
        change();
      },
    };
    for (const [key, one] of Object.entries(description.controls)) {
      const changed = () => change(key);
      const say = (value) => (lab.text[key] ?? number)(value);
      controls[key] = one.options ? choice(one, changed) : slider(one, changed, say);
      row.append(controls[key].root);
    }
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", description.title);
    root.replaceChildren(
      element("p", { class: "lab-title" }, description.title),
      ...(description.help ? [element("p", {}, description.help)] : []),
      row, stage,
    );
    change = openers[name](lab) ?? change;
    for (const control of Object.values(controls)) control.refresh();
    change();
    root.append(region);
    root.dataset.opened = name;
  }

  const api = {
    // By name, from _static/labs/descriptions.js, which the build writes: what each lab is, and what it draws.
    descriptions: {}, data: {},
    /** Makes a lab known. opened(lab) -> the function to call after each change, with the control's name. */
    register(name, opened) { openers[name] = opened; },
    known: (name) => name in openers,
    wake,
    open, element, slider, choice, button, announcer, plot, player, number, fixed, ticks, colour, onTheme, still,
  };
  return api;
})();
