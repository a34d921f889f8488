// What the labs with trained networks share: bytes, dice, words, and what can be measured of a picture.
"use strict";

prodgenLabs.networks = (() => {
  const { element } = prodgenLabs;

  /** base64 -> Uint8Array. */
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

  /** Grey bytes, one picture behind the other -> the i-th as an image in [-1, 1]. */
  function picture(all, size, i) {
    return Float32Array.from(all.subarray(i * size * size, (i + 1) * size * size), (value) => value / 127.5 - 1);
  }

  /** An image, Float32Array (size * size * channels) in [-1, 1], on a canvas. */
  const paint = (canvas, image, size, channels = 1) => prodgenLive.paint(canvas, { size, channels }, image);

  /** A picture with words beneath it: {root, canvas, show(image, words)}. */
  function framed(size, channels = 1) {
    const canvas = element("canvas", { role: "img" });
    const caption = element("div");
    const root = element("div", { class: "lab-framed" }, canvas, caption);
    return {
      root, canvas,
      show(image, words, spoken = words) {
        paint(canvas, image, size, channels);
        caption.textContent = words;
        canvas.setAttribute("aria-label", spoken);
      },
    };
  }

  /** Numbers in [0, 1) that a seed decides (mulberry32): the same dice show the same again. */
  function dice(seed) {
    let state = seed | 0;
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    };
  }

  /** n draws from N(0, 1) by such dice (Box and Muller). */
  const normal = (roll, n) => Float32Array.from({ length: n }, () =>
    Math.sqrt(-2 * Math.log(1 - roll())) * Math.cos(2 * Math.PI * roll()));

  /** The numbers of a flat array as rows of so many. */
  const rows = (flat, width) => Array.from({ length: flat.length / width }, (_, i) => flat.subarray(i * width, (i + 1) * width));

  const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);

  /** z and so much of each direction: z + sum of amounts[i] * directions[i]. */
  const along = (z, directions, amounts) =>
    z.map((value, i) => value + amounts.reduce((sum, amount, d) => sum + amount * directions[d][i], 0));

  /** Runs jobs one at a time, so that the page answers in between; a later call ends an earlier one. */
  function queue() {
    let order = 0;
    return (jobs, done = () => {}) => {
      const mine = ++order;
      const step = () => {
        if (mine !== order) return;
        if (!jobs.length) { done(); return; }
        jobs.shift()();
        setTimeout(step);
      };
      setTimeout(step);
    };
  }

  // ---- what can be measured of a grey product on black, as `measures` in tools/lab_networks.py does

  function measures(image, size) {
    const light = image.map((value) => (value + 1) / 2);
    let [area, sum, top, bottom, left, right] = [0, 0, size, -1, size, -1];
    light.forEach((value, place) => {
      if (value <= 0.1) return;
      const [row, column] = [Math.floor(place / size), place % size];
      area += 1;
      sum += value;
      [top, bottom] = [Math.min(top, row), Math.max(bottom, row)];
      [left, right] = [Math.min(left, column), Math.max(right, column)];
    });
    const brightness = sum / Math.max(area, 1);
    let spread = 0;
    for (const value of light) if (value > 0.1) spread += (value - brightness) ** 2;
    return {
      brightness,
      contrast: Math.sqrt(spread / Math.max(area, 1)),
      area: area / size ** 2,
      height: Math.max(0, bottom - top + 1),
      width: Math.max(0, right - left + 1),
    };
  }

  // ---- sentences, read by rule

  /** A sentence cut into words, Chinese characters and signs, as `pieces` of chapter 6.6.2 does. */
  const pieces = (sentence) => sentence.normalize("NFKC").toLowerCase().match(/[a-z]+|[\u4e00-\u9fff]|[^\s\p{L}\p{N}_]/gu) ?? [];

  const indices = new WeakMap();

  /** Of a grammar: its words by their first piece, long ones first, and the pieces that say nothing. Made once. */
  function index(grammar) {
    if (!indices.has(grammar)) {
      const starting = new Map();
      for (const word of [...grammar.words].sort((a, b) => b.pieces.length - a.pieces.length)) {
        const [first] = word.pieces;
        starting.set(first, [...(starting.get(first) ?? []), word]);
      }
      indices.set(grammar, { starting, frames: new Set(grammar.frames) });
    }
    return indices.get(grammar);
  }

  /**
   * What a sentence asks for: {asked: {factor: value}, refused: {factor: [values]}, twice: [factors], unknown: [texts]}.
   *
   * grammar: {words: [{pieces, factor, value}], frames, not} as `type_a_product` in tools/lab_networks.py gives it. At
   * each place the longest word counts. A word is refused if between it and the word before it stands one that denies.
   * Of several values of one factor the last counts.
   */
  function read(grammar, sentence) {
    const parts = pieces(sentence);
    const [asked, refused, twice, unknown] = [{}, {}, new Set(), []];
    const { starting, frames } = index(grammar);
    let denied = false;
    let joins = false; // whether the piece before is unknown and Chinese
    for (let i = 0; i < parts.length;) {
      const word = (starting.get(parts[i]) ?? []).find(({ pieces: own }) => own.every((piece, k) => piece === parts[i + k]));
      if (word) {
        const { pieces: taken, factor, value } = word;
        if (denied) (refused[factor] ??= []).push(value);
        else {
          if (factor in asked && asked[factor] !== value) twice.add(factor);
          asked[factor] = value;
        }
        [denied, joins] = [false, false];
        i += taken.length;
        continue;
      }
      const piece = parts[i++];
      if (grammar.not.includes(piece)) denied = true;
      const strange = /[\p{L}\p{N}]/u.test(piece) && !frames.has(piece);
      const chinese = /[\u4e00-\u9fff]/.test(piece);
      if (strange && joins && chinese) unknown[unknown.length - 1] += piece;
      else if (strange) unknown.push(piece);
      joins = strange && chinese;
    }
    return { asked, refused, twice: [...twice], unknown };
  }

  return { bytes, picture, paint, framed, dice, normal, rows, dot, along, queue, measures, pieces, read };
})();
