// The book's photographer in the page: what src/prodgen/data/studio.py and products.py compute, one picture at a time.
// tests/test_live.py holds its pictures equal to theirs.
"use strict";

window.prodgenStudio = (() => {
  const [TOP, REACH, CENTRE, DISTANCE, GAMMA] = [1.75, 1.25, 0.7, 4.2, 2.2];
  const VIEW = Math.tan(16 * Math.PI / 180);
  const [KEY, FILL] = [[-0.50, 0.70, 0.51], [0.77, 0.26, 0.58]];
  const SOFTBOXES = [[-0.9, 0.25], [1.2, 0.14], [2.8, 0.1], [-2.8, 0.1]];
  const SPECKS = [[46, 21, 11], [-18, 43, 26], [13, -27, 45], [37, -35, 16], [-30, -14, 43], [22, 40, -32]];
  const LINES = [31, 47, 68, 83];

  const COLOURS = [
    [0.80, 0.12, 0.12], [0.93, 0.48, 0.10], [0.92, 0.80, 0.14], [0.20, 0.60, 0.22],
    [0.10, 0.60, 0.60], [0.14, 0.30, 0.80], [0.46, 0.20, 0.66], [0.92, 0.42, 0.64],
  ];

  // ---- signed distances: negative inside, in units that all products share

  const { abs, max, min, sqrt, sin, cos, atan2 } = Math;
  const clamp = (x, low, high) => min(max(x, low), high);
  const TURNS = { 4: [[1, 0], [0, 1]], 6: [0, 1, 2].map((k) => [cos(Math.PI * k / 3), sin(Math.PI * k / 3)]) };

  /** Distance from a plane's origin; circles, or polygons with so many sides. */
  function norm(u, v, sides = 0) {
    if (!sides) return sqrt(u * u + v * v);
    let far = 0;
    for (const [a, b] of TURNS[sides]) far = max(far, abs(u * a + v * b));
    return far;
  }

  function corner(u, v, edge) {
    u += edge;
    v += edge;
    return min(max(u, v), 0) + norm(max(u, 0), max(v, 0)) - edge;
  }

  const rect = (u, v, width, height, edge = 0) => corner(abs(u) - width, abs(v) - height, edge);
  const solid = (outline, y, low, high, edge = 0.02) =>
    corner(outline, abs(y - (low + high) / 2) - (high - low) / 2, edge);

  function join(soft, ...parts) {
    return parts.reduce((whole, part) => {
      const gap = max(soft - abs(whole - part), 0);
      return min(whole, part) - gap * gap / (4 * soft + 1e-9);
    });
  }

  const hollow = (whole, hole) => max(whole, -hole);

  function legs(x, y, z, width, depth, top, lean, square, thick = 0.05) {
    const out = lean * (1 - y / top);
    return 0.95 * solid(norm(abs(x) - width - out, abs(z) - depth - out, square) - thick, y, 0, top);
  }

  const products = {
    mug(x, y, z, a, b, c, square) {
      const [radius, top] = [0.42 + 0.16 * a, 0.75 + 0.45 * b];
      const wall = norm(x, z, square && 6) - radius;
      const cup = hollow(solid(wall, y, 0, top, 0.03), solid(wall + 0.08, y, 0.1, 3));
      const ring = norm(norm(x - radius, y - top / 2, square) - 0.2 - 0.1 * c, z, square) - 0.06;
      return join(square ? 0.01 : 0.08, cup, hollow(ring, wall + 0.04));
    },
    bottle(x, y, z, a, b, c, square) {
      const [radius, neck] = [0.3 + 0.14 * a, 0.1 + 0.06 * b];
      let t = clamp((y - 0.65 - 0.35 * c) / 0.38, 0, 1);
      if (!square) t = t * t * (3 - 2 * t);
      const across = norm(x, z, square);
      const body = 0.65 * solid(across - radius + (radius - neck) * t, y, 0, 1.5, 0.04);
      return join(0, body, solid(across - neck - 0.05, y, 1.42, 1.62));
    },
    vase(x, y, z, a, b, c, square) {
      const top = 1.2 + 0.35 * a;
      const u = min(abs(y / top - 0.3 - 0.25 * c) / 0.55, 1);
      const belly = (0.14 + 0.22 * b) * (square ? 1 - u : (1 - u * u) ** 2);
      const wall = norm(x, z, square && 6) - 0.2 - 0.1 * clamp(y / top, 0, 1) ** 6 - belly;
      return 0.65 * hollow(solid(wall, y, 0, top, 0.03), solid(wall + 0.07, y, 0.15, 3));
    },
    lamp(x, y, z, a, b, c, square) {
      const [wide, narrow, t] = [0.44 + 0.16 * a, 0.14 + 0.16 * b, clamp((y - 0.9) / 0.65, 0, 1)];
      const across = norm(x, z, square);
      const shade = 0.85 * solid(abs(across - wide + (wide - narrow) * t) - 0.025, y, 0.9, 1.55, 0.01);
      const [foot, stem] = [solid(across - 0.22 - 0.14 * c, y, 0, 0.09), solid(across - 0.045, y, 0, 1.3)];
      return join(0, shade, foot, stem, norm(norm(x, z), y - 1.25) - 0.11);
    },
    stool(x, y, z, a, b, c, square) {
      const [radius, top, lean] = [0.36 + 0.13 * a, 0.85 + 0.4 * b, 0.03 + 0.15 * c];
      const [across, at] = [norm(x, z, square), 0.62 * radius];
      const seat = solid(across - radius, y, top - 0.1, top, square ? 0.01 : 0.05);
      const rest = norm(across - (at + lean * 0.62) * (square ? 1 : 1.41), y - 0.38 * top, square) - 0.03;
      return join(0, seat, rest, legs(x, y, z, at, at, top - 0.05, lean, square));
    },
    table(x, y, z, a, b, c, square) {
      const [width, depth, top] = [0.56 + 0.18 * a, 0.36 + 0.14 * b, 0.6 + 0.35 * c];
      const board = solid(rect(x, z, width, depth, square ? 0.02 : 0.36), y, top - 0.09, top);
      const [at, lean] = square ? [0.07, 0] : [0.18, 0.1];
      return join(0, board, legs(x, y, z, width - at, depth - at, top - 0.04, lean, square, 0.065));
    },
    chair(x, y, z, a, b, c, square) {
      const [width, seat, back] = [0.36 + 0.1 * a, 0.5 + 0.2 * b, 0.52 + 0.26 * c];
      const [edge, up] = [square ? 0.01 : 0.18, y - seat];
      const board = solid(rect(x, z, width, 0.38, edge), y, seat - 0.09, seat);
      const outer = rect(x, up - back / 2, width, back / 2, edge);
      const frame = hollow(outer, rect(x, up - back * 0.5, width - 0.11, back * 0.3, edge / 2));
      const rest = 0.95 * solid(frame, z + 0.34 + 0.2 * up, -0.045, 0.045);
      return join(0, board, rest, legs(x, y, z, width - 0.06, 0.31, seat - 0.05, square ? 0 : 0.07, square));
    },
    cabinet(x, y, z, a, b, c, square) {
      const [width, height, depth] = [0.42 + 0.24 * a, 0.8 + 0.4 * b, 0.3 + 0.16 * c];
      const [edge, foot, drawer] = [square ? 0.01 : 0.1, square ? 0.12 : 0.2, height / 3];
      const body = solid(rect(x, z, width, depth, edge), y, foot, foot + height, edge);
      const v = y - foot - (clamp(Math.floor((y - foot) / drawer), 0, 2) + 0.5) * drawer;
      const panel = solid(rect(x, v, width - 0.07, drawer / 2 - 0.035, edge / 2), z, depth - 0.1, depth + 0.04);
      const bar = square ? rect(x, v, width * 0.4, 0.03) : norm(x, v) - 0.06;
      const knob = solid(bar, z, depth, depth + 0.11, square ? 0.01 : 0.05);
      return join(0, body, panel, knob, legs(x, y, z, width - 0.1, depth - 0.1, foot + 0.05, 0, square));
    },
    bag(x, y, z, a, b, c, square) {
      const [width, height, arc, t] = [0.45 + 0.2 * a, 0.65 + 0.3 * b, 1 + 0.8 * c, max(y, 0)];
      const [thin, edge] = [0.27 - 0.12 * t / height, square ? 0.02 : 0.14];
      const body = 0.95 * solid(rect(x, z, width - (square ? 0 : 0.14) * t, thin, edge), y, 0, height);
      const loop = norm(norm(x, max(y - height, 0) / arc, square) - 0.27, z, square) - 0.045;
      const handle = 0.6 * max(loop, height - 0.1 - y);
      const pocket = rect(x, y - height * 0.4, width * 0.66, height * 0.28, edge);
      const clasp = norm(norm(x, y - height * 0.66, square), z - thin - 0.08, square) - 0.08;
      return join(0, body, handle, 0.9 * solid(pocket, z - thin, -0.1, 0.09, 0.04), 0.9 * clasp);
    },
  };

  // ---- light and camera. Vectors are [x, y, z].

  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  const sigmoid = (x) => 1 / (1 + Math.exp(-x));
  const along = (point, far, way) => [0, 1, 2].map((i) => point[i] + far * way[i]);

  /** A vector of the studio in the axes of a product that the camera has gone round by `angle`. */
  function turned([x, y, z], angle) {
    return [x * cos(angle) + z * sin(angle), y, z * cos(angle) - x * sin(angle)];
  }

  function rayThrough(row, column, side, tilt) {
    const [v, u] = [-((row + 0.5) / side * 2 - 1) * VIEW, ((column + 0.5) / side * 2 - 1) * VIEW];
    const ray = [u, v * cos(tilt) - sin(tilt), -cos(tilt) - v * sin(tilt)];
    const length = sqrt(dot(ray, ray));
    return ray.map((part) => part / length);
  }

  /** Where a ray meets the product, or null. */
  function trace(distance, start, ray) {
    const toCentre = dot(ray, start) - CENTRE * ray[1];
    const half = toCentre ** 2 - DISTANCE ** 2 + REACH ** 2;
    if (half <= 0) return null;
    const down = min(ray[1], -1e-6);
    const near = max(-toCentre - sqrt(half), min((TOP - start[1]) / down, DISTANCE));
    let left = min(-toCentre + sqrt(half), -start[1] / down) - near;
    let at = along(start, near, ray);
    for (let step = 0; step < 80 && left > 0; step++) {
      const gap = distance(at);
      if (gap < 0.002) return at;
      at = along(at, gap, ray);
      left -= gap;
    }
    return null;
  }

  /** What is left of the light when the product stands near the way out; shares: [how far out, how much]. */
  function openness(distance, point, way, shares) {
    let open = 1;
    for (const [far, share] of shares) open -= share * clamp(1 - distance(along(point, far, way)) / far, 0, 1);
    return open;
  }

  /** The linear light that a surface sends to the camera, by colour. */
  function shade(normal, view, point, albedo, light, material) {
    const facing = clamp(dot(normal, view), 0, 1);
    const [x, y, z] = normal.map((part, i) => 2 * facing * part - view[i]);
    const round = atan2(x, z);
    let boxes = 0;
    for (const [at, width] of SOFTBOXES) boxes += sigmoid((width - abs(round - at)) * 30);
    boxes *= sigmoid((0.8 - abs(y)) * 20);
    const fresnel = 0.04 + 0.96 * (1 - facing) ** 5;
    if (material === 2) {
      const height = abs(normal[1]) > 0.7 ? sqrt(point[0] ** 2 + point[2] ** 2) : point[1];
      const lines = LINES.reduce((sum, wave, phase) => sum + sin(wave * height + phase), 0);
      const tent = 0.06 + 0.8 * sigmoid(9 * y) + 0.4 * sigmoid(-8 * (y + 0.45));
      return albedo.map((part) => {
        const metal = part * tent + (part + (1 - part) * (0.2 + 0.6 * fresnel)) * 1.2 * boxes;
        return light * (metal + 0.5 * fresnel * tent) * (1 + 0.16 * lines);
      });
    }
    const lamps = 0.75 * max(dot(normal, KEY), 0) + 0.12 * max(dot(normal, FILL), 0);
    const diffuse = albedo.map((part) => part * light * (0.4 + 0.2 * normal[1] + lamps));
    if (material === 1) return diffuse.map((part) => part + light * fresnel * (0.3 + 0.5 * sigmoid(6 * y) + 7 * boxes));
    const specks = SPECKS.reduce((sum, wave, phase) => sum + sin(dot(point, wave) + phase), 0);
    return diffuse.map((part) => part * (1 - 0.3 * sigmoid((specks - 1.6) * 4)));
  }

  const TETRAHEDRON = [[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]];
  const NEAR = [[0.05, 0.25], [0.14, 0.25], [0.32, 0.25]];
  const SHADOW = [[0.04, 0.24], [0.12, 0.2], [0.28, 0.16], [0.5, 0.12], [0.8, 0.08]];

  /**
   * A photo: Float32Array (size * size * 3) in [-1, 1], ordered row, column, colour.
   * label: a product's name; square: 0 rounded, 4 angular; colour: sRGB in [0, 1]; material: 0 matte, 1 glossy,
   * 2 metallic; azimuth, elevation: degrees; shape: three numbers in [0, 1].
   */
  function render({ label, square, colour, material, azimuth, elevation, shape, size = 64 }) {
    const [turn, tilt, side] = [azimuth * Math.PI / 180, elevation * Math.PI / 180, 2 * size];
    const product = products[label];
    const distance = ([x, y, z]) => product(x, y, z, ...shape, square);
    const eye = [0, CENTRE + DISTANCE * sin(tilt), DISTANCE * cos(tilt)];
    const [start, way] = [turned(eye, turn), turned([0.35, 0.9, -0.25], turn)];
    const albedo = colour.map((part) => part ** GAMMA);
    const image = new Float32Array(size * size * 3);
    for (let row = 0; row < side; row++) for (let column = 0; column < side; column++) {
      const ray = rayThrough(row, column, side, tilt);
      const point = trace(distance, start, turned(ray, turn));
      let seen;
      if (point) {
        let slope = [0, 0, 0];
        for (const corner of TETRAHEDRON) slope = along(slope, distance(along(point, 0.008, corner)) / (4 * 0.008), corner);
        const steep = max(sqrt(dot(slope, slope)), 1e-9);
        const normal = slope.map((part) => part / steep);
        const light = openness(distance, point, normal.map((part) => part / steep), NEAR);
        seen = shade(turned(normal, -turn), ray.map((part) => -part), point, albedo, light, material);
      } else seen = floor(row >> 1, column >> 1);
      const place = 3 * ((row >> 1) * size + (column >> 1));
      for (let c = 0; c < 3; c++) image[place + c] += clamp(seen[c], 0, 1) ** (1 / GAMMA) / 4;
    }
    return image.map((value) => 2 * value - 1);

    /** The white ground with the product's soft shadow: of a pixel, since it changes slowly. */
    function floor(row, column) {
      const ray = rayThrough(row, column, size, tilt);
      const ground = along(eye, -eye[1] / min(ray[1], -1e-6), ray);
      if (ground[0] ** 2 + ground[2] ** 2 >= 2.5) return [1, 1, 1];
      const light = openness(distance, turned(ground, turn), way, SHADOW);
      return [light, light, light];
    }
  }

  /** A photo of what the generator was asked for, of a product in the middle of all shapes; null if a wish is open. */
  function picture({ label, style, colour, material, azimuth, elevation }) {
    if ([label, style, colour, material, azimuth, elevation].includes(null)) return null;
    const asked = { label: Object.keys(products)[label], square: [0, 4][style], colour: COLOURS[colour] };
    return render({ ...asked, material, azimuth, elevation, shape: [0.5, 0.5, 0.5] });
  }

  return { render, picture };
})();

// Beside a generator in the page (live.js).
if (window.prodgenLive) {
  (prodgenLive.beside ??= {}).studio = { title: "The same order, rendered and not drawn", picture: prodgenStudio.picture };
}
