// Generators of prodgen, alive in a page. One classic script: it also runs in a page that was opened as a file.
// A model is what `live_model` in live.py writes; `prodgenLive.models` keeps them by name.
"use strict";

window.prodgenLive = (() => {
  const models = {};

  // ---- numbers

  /** base64 of little-endian float16 -> Float32Array. */
  function halves(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    const numbers = new Float32Array(bytes.length / 2);
    for (let i = 0; i < numbers.length; i++) {
      const word = view.getUint16(2 * i, true);
      const exponent = (word >> 10) & 31;
      const size = exponent ? (1 + (word & 1023) / 1024) * 2 ** (exponent - 15) : (word & 1023) * 2 ** -24;
      numbers[i] = word & 0x8000 ? -size : size;
    }
    return numbers;
  }

  /** n draws from N(0, 1), by Box and Muller. */
  function noise(n) {
    return Float32Array.from({ length: n }, () =>
      Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random()));
  }

  /** From a (t = 0) to b (t = 1) on the great circle through them (White, 2016), as models.great_circle does. */
  function greatCircle(a, b, t) {
    let [dot, aa, bb] = [0, 0, 0];
    for (let i = 0; i < a.length; i++) { dot += a[i] * b[i]; aa += a[i] * a[i]; bb += b[i] * b[i]; }
    const angle = Math.acos(Math.min(1, Math.max(-1, dot / Math.sqrt(aa * bb))));
    if (Math.sin(angle) < 1e-6) return a;
    return a.map((value, i) => (Math.sin((1 - t) * angle) * value + Math.sin(t * angle) * b[i]) / Math.sin(angle));
  }

  // ---- layers. Maps are {side, channels, data}; data is ordered row, column, channel.

  const activations = {
    "": () => {},
    relu: (x) => { for (let i = 0; i < x.length; i++) if (x[i] < 0) x[i] = 0; },
    silu: (x) => { for (let i = 0; i < x.length; i++) x[i] /= 1 + Math.exp(-x[i]); },
  };

  // A ReLU leaves many zeros: only the other inputs of a place count, and four of them are added at a time.
  let [inputs, places, found] = [new Float32Array(64), new Int32Array(64), 0];

  /** Note which of the inputs data[start...] are not zero. */
  function gather(data, start, from) {
    if (from > inputs.length) [inputs, places] = [new Float32Array(from), new Int32Array(from)];
    found = 0;
    for (let i = 0; i < from; i++) {
      if (data[start + i] === 0) continue;
      inputs[found] = data[start + i];
      places[found++] = i;
    }
  }

  /** out[start...] += the noted inputs times their rows of weights, (from, to) at `tap` of as many. */
  function accumulate(out, start, weights, tap, from, to) {
    const row = (k) => (tap * from + places[k]) * to;
    let k = 0;
    for (; k + 4 <= found; k += 4) {
      const [a, b, c, d] = [inputs[k], inputs[k + 1], inputs[k + 2], inputs[k + 3]];
      const [ra, rb, rc, rd] = [row(k), row(k + 1), row(k + 2), row(k + 3)];
      for (let o = 0; o < to; o++) {
        out[start + o] += a * weights[ra + o] + b * weights[rb + o] + c * weights[rc + o] + d * weights[rd + o];
      }
    }
    for (; k < found; k++) {
      const [a, ra] = [inputs[k], row(k)];
      for (let o = 0; o < to; o++) out[start + o] += a * weights[ra + o];
    }
  }

  /** Each place adds to a square of `size` places of the map that is `scale` times as wide; tap: whose weights where. */
  function convolve({ side, data }, { from, to, weight, bias }, size, scale, tap) {
    const wide = scale * side;
    const out = new Float32Array(wide * wide * to);
    for (let place = 0; place < wide * wide; place++) out.set(bias, place * to);
    for (let y = 0; y < side; y++) for (let x = 0; x < side; x++) {
      gather(data, (y * side + x) * from, from);
      for (let ky = 0; ky < size; ky++) for (let kx = 0; kx < size; kx++) {
        const [row, column] = [scale * y + ky - 1, scale * x + kx - 1];
        if (row < 0 || row >= wide || column < 0 || column >= wide) continue;
        accumulate(out, (row * wide + column) * to, weight, tap(ky * size + kx), from, to);
      }
    }
    return { side: wide, channels: to, data: out };
  }

  const kinds = {
    linear({ data }, { from, to, side, weight, bias }) {
      const out = Float32Array.from(bias);
      gather(data, 0, from);
      accumulate(out, 0, weight, 0, from, to);
      return { side, channels: to / side ** 2, data: out };
    },
    /** 3 by 3, padded by one. What a place reads with its first weight, that place gives with its last. */
    conv: (maps, layer) => convolve(maps, layer, 3, 1, (tap) => 8 - tap),
    /** Transposed, 4 by 4, stride 2, padded by one: twice as many places a side. */
    up: (maps, layer) => convolve(maps, layer, 4, 2, (tap) => tap),
    keep(maps, layer, kept) { kept.push(maps.data.slice()); return maps; },
    add(maps, layer, kept) {
      const before = kept.pop();
      for (let i = 0; i < before.length; i++) maps.data[i] = Math.max(0, maps.data[i] + before[i]);
      return maps;
    },
    /** Four channels at each place become four places (Shi et al., 2016). */
    shuffle({ side, channels, data }) {
      const [wide, colours] = [2 * side, channels / 4];
      const out = new Float32Array(data.length);
      for (let row = 0; row < wide; row++) for (let column = 0; column < wide; column++) {
        const here = ((row >> 1) * side + (column >> 1)) * channels + (row & 1) * 2 + (column & 1);
        for (let c = 0; c < colours; c++) out[(row * wide + column) * colours + c] = data[here + 4 * c];
      }
      return { side: wide, channels: colours, data: out };
    },
    tanh(maps) { maps.data.forEach((value, i) => { maps.data[i] = Math.tanh(value); }); return maps; },
    clamp(maps) {
      maps.data.forEach((value, i) => { maps.data[i] = Math.min(1, Math.max(-1, value)); });
      return maps;
    },
  };

  /** A model with its weights read, once. */
  function ready(model) {
    if (model.ready) return model;
    const numbers = halves(model.weights);
    const taps = { linear: 1, conv: 9, up: 16 };
    let at = 0;
    const take = (n) => numbers.subarray(at, at += n);
    for (const layer of model.layers) {
      if (!(layer.kind in taps)) continue;
      layer.weight = take(taps[layer.kind] * layer.from * layer.to);
      layer.bias = take(layer.to);
    }
    model.ready = true;
    return model;
  }

  /** z and a condition's vector -> an image, Float32Array (size * size * channels) in [-1, 1]. */
  function draw(model, z, condition = []) {
    let maps = { data: Float32Array.from([...z, ...condition]) };
    const kept = [];
    for (const layer of ready(model).layers) {
      maps = kinds[layer.kind](maps, layer, kept);
      if (layer.activation) activations[layer.activation](maps.data);
    }
    return maps.data;
  }

  // ---- what can be asked for

  const width = (f) => f.values.length || (f.period ? 2 : f.size + (f.bounds ? 1 : 0));

  /** A factor's part of the vector, as Factor.encode writes it; null leaves it open. */
  function encode(factor, value) {
    const part = new Array(width(factor)).fill(0);
    if (value === null) return part;
    if (factor.values.length) part[value] = 1;
    else if (factor.period) {
      part[0] = Math.cos(value * 2 * Math.PI / factor.period);
      part[1] = Math.sin(value * 2 * Math.PI / factor.period);
    } else if (factor.bounds) {
      const [low, high] = factor.bounds;
      part.fill(2 * (value - low) / (high - low) - 1, 0, factor.size);
      part[factor.size] = 1;
    }
    return part;
  }

  // ---- the lab

  const SHOWN = 8;
  let labs = 0;

  function element(kind, attributes = {}, ...children) {
    const made = document.createElement(kind);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  const title = (factor) => (factor.name === "label" ? "kind" : factor.name);

  function paint(canvas, model, image) {
    const [high, wide] = model.content || [model.size, model.size]; // without what was padded
    const [top, left] = [(model.size - high) >> 1, (model.size - wide) >> 1];
    [canvas.height, canvas.width] = [high, wide];
    const context = canvas.getContext("2d");
    const pixels = context.createImageData(wide, high);
    for (let y = 0; y < high; y++) for (let x = 0; x < wide; x++) {
      const place = 4 * (y * wide + x);
      const from = ((y + top) * model.size + x + left) * model.channels;
      for (let c = 0; c < 3; c++) {
        pixels.data[place + c] = 127.5 * (image[from + (model.channels === 3 ? c : 0)] + 1);
      }
      pixels.data[place + 3] = 255;
    }
    context.putImageData(pixels, 0, 0);
  }

  /**
   * Controls and pictures for a model, in the place of what `root` holds. With `beside`, {title, picture}, a picture
   * that another made of the same order: picture({factor: value}) as `draw` gives it, null where it cannot be made.
   */
  function open(root, model, beside) {
    const own = `live-${labs++}`;
    const { factors } = model;
    // Of several factors each starts at a value: few training images had most of them left open.
    const asked = factors.map((f) => (f.values.length ? (factors.length > 1 ? 0 : null) : null));
    let latents = [];
    let order = 0;

    const controls = element("div", { class: "live-controls" });
    const pictures = element("div", { class: "live-pictures", role: "img" });
    const canvases = Array.from({ length: SHOWN }, () => pictures.appendChild(element("canvas")));
    const large = element("canvas", { class: "live-large", role: "img" });
    const other = element("canvas", { class: "live-large", role: "img" });
    const otherSaid = element("figcaption");
    const said = element("p", { class: "live-said", "aria-live": "polite" });
    const way = element("input", { id: `${own}-way`, type: "range", min: 0, max: 100 * (SHOWN - 1), step: 5, value: 0 });

    const condition = () => factors.flatMap((factor, i) => encode(factor, asked[i]));
    const wanted = () => factors.flatMap((factor, i) => {
      if (asked[i] === null) return [];
      return [`${title(factor)} ${factor.values.length ? factor.values[asked[i]] : Math.round(asked[i])}`];
    }).join(", ") || "any kind";

    function walk() {
      const at = Number(way.value) / 100;
      const first = Math.min(Math.floor(at), SHOWN - 2);
      paint(large, model, draw(model, greatCircle(latents[first], latents[first + 1], at - first), condition()));
      const text = Number.isInteger(at) ? `picture ${at + 1}` : `between pictures ${first + 1} and ${first + 2}`;
      way.setAttribute("aria-valuetext", text);
      large.setAttribute("aria-label", `A drawn product, ${wanted()}: ${text}`);
    }

    // The large one at once, the others one at a time, so that the page answers in between; a later order ends
    // an earlier one.
    function redraw(what) {
      const mine = ++order;
      const vector = condition();
      let next = 0;
      walk();
      const step = () => {
        if (mine !== order) return;
        paint(canvases[next], model, draw(model, latents[next], vector));
        if (++next < SHOWN) { setTimeout(step); return; }
        pictures.setAttribute("aria-label", `${SHOWN} drawn products, ${wanted()}`);
        said.textContent = `${what}: ${wanted()}.`;
        if (beside) compare();
        root.dataset.drawn = mine;
      };
      setTimeout(step);
    }

    function compare() {
      const image = beside.picture(Object.fromEntries(factors.map((factor, i) => [factor.name, asked[i]])));
      other.hidden = !image;
      otherSaid.textContent = image ? beside.title : "To see what it should be, leave nothing open.";
      other.setAttribute("aria-label", `${beside.title}: ${wanted()}`);
      if (image) paint(other, model, image);
    }

    function anew() {
      latents = Array.from({ length: SHOWN }, () => noise(model.latent_dim));
      redraw(`${SHOWN} new pictures`);
    }

    factors.forEach((factor, i) => {
      const id = `${own}-${i}`;
      const ask = (value) => { asked[i] = value; redraw("The same noise, asked for something else"); };
      let control;
      if (factor.values.length) {
        control = element("select", { id }, element("option", { value: "" }, "any"));
        factor.values.forEach((name, n) => control.append(element("option", { value: n }, name)));
        control.value = asked[i] ?? "";
        control.addEventListener("change", () => ask(control.value === "" ? null : Number(control.value)));
      } else if (factor.size === 1 && (factor.period || factor.bounds)) {
        const [low, high] = factor.period ? [0, factor.period] : factor.bounds;
        asked[i] = low + (high - low) / 8; // from the front an angle would hide that it can turn
        control = element("input", { id, type: "range", min: low, max: high, step: (high - low) / 72, value: asked[i] });
        control.addEventListener("input", () => ask(Number(control.value)));
      } else return; // a text, say: left open
      controls.append(element("div", {}, element("label", { for: id }, title(factor)), control));
    });
    const button = element("button", { type: "button" }, "Draw new ones");
    button.addEventListener("click", anew);
    controls.append(button);
    way.addEventListener("input", walk);
    root.replaceChildren(
      controls, pictures,
      element("div", { class: "live-walk" },
        element("label", { for: way.id }, "Walk from the first picture to the last"), way,
        beside ? element("div", { class: "live-pair" }, large, element("figure", {}, other, otherSaid)) : large),
      said,
    );
    anew();
  }

  return { models, draw, encode, greatCircle, halves, noise, paint, open };
})();
