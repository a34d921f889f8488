// The mathematics of the labs that train in the page: dense networks with their gradients by hand, Adam, the losses and the
// penalty of the package, and the two games of chapters 3.1 and 3.2 in the plane. Nothing here draws.
// Batches are Float32Arrays ordered point, number. tests/test_labs_plane.py holds every gradient against PyTorch's.
"use strict";

window.prodgenPlane = (() => {
  // ---- chance, from a seed

  /** Numbers in [0, 1), always the same for the same seed (mulberry32). */
  function uniforms(seed) {
    let state = seed | 0;
    return () => {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  }

  /** out, filled from N(0, 1), by Box and Muller. */
  function fillNormal(out, random) {
    for (let i = 0; i < out.length; i += 2) {
      const length = Math.sqrt(-2 * Math.log(1 - random()));
      const angle = 2 * Math.PI * random();
      out[i] = length * Math.cos(angle);
      if (i + 1 < out.length) out[i + 1] = length * Math.sin(angle);
    }
    return out;
  }

  // ---- dense networks

  /**
   * out (rows, columns) += a (rows, inner) b (inner, columns), where a[r, k] stands at r * row + k * step.
   * Eight columns at a time: eight sums that stay in registers are four times as fast as one.
   */
  function addProduct(out, a, row, step, b, rows, inner, columns) {
    const whole = columns - (columns % 8);
    for (let r = 0; r < rows; r++) {
      const here = r * columns;
      for (let c = 0; c < whole; c += 8) {
        let s0 = 0, s1 = 0, s2 = 0, s3 = 0, s4 = 0, s5 = 0, s6 = 0, s7 = 0;
        for (let k = 0, p = r * row, q = c; k < inner; k++, p += step, q += columns) {
          const v = a[p];
          s0 += v * b[q]; s1 += v * b[q + 1]; s2 += v * b[q + 2]; s3 += v * b[q + 3];
          s4 += v * b[q + 4]; s5 += v * b[q + 5]; s6 += v * b[q + 6]; s7 += v * b[q + 7];
        }
        const to = here + c;
        out[to] += s0; out[to + 1] += s1; out[to + 2] += s2; out[to + 3] += s3;
        out[to + 4] += s4; out[to + 5] += s5; out[to + 6] += s6; out[to + 7] += s7;
      }
      for (let c = whole; c < columns; c++) {
        let sum = 0;
        for (let k = 0, p = r * row, q = c; k < inner; k++, p += step, q += columns) sum += a[p] * b[q];
        out[here + c] += sum;
      }
    }
  }

  const sigmoid = (a) => 1 / (1 + Math.exp(-a));
  const softplus = (a) => Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a)));

  /** Activations: in `values` a becomes f(a), in `slopes` stands f'(a). */
  const leaky = (slope) => (values, slopes) => {
    for (let i = 0; i < values.length; i++) {
      slopes[i] = values[i] > 0 ? 1 : slope;
      values[i] *= slopes[i];
    }
  };
  const silu = (values, slopes) => {
    for (let i = 0; i < values.length; i++) {
      const [a, share] = [values[i], sigmoid(values[i])];
      slopes[i] = share * (1 + a * (1 - share));
      values[i] = a * share;
    }
  };

  /** Dense layers of these widths with `activate` between them, begun as PyTorch begins nn.Linear. */
  function network(widths, activate, random) {
    const sizes = widths.slice(1).map((to, l) => (widths[l] + 1) * to);
    const count = sizes.reduce((sum, size) => sum + size, 0);
    const [parameters, gradient] = [new Float32Array(count), new Float32Array(count)];
    let start = 0;
    const layers = sizes.map((size, l) => {
      const [from, to] = [widths[l], widths[l + 1]];
      const split = start + from * to;
      const part = (all) => ({ weight: all.subarray(start, split), bias: all.subarray(split, start + size) });
      const layer = { from, to, ...part(parameters), gradient: part(gradient), turned: new Float32Array(from * to) };
      start += size;
      for (let i = start - size; i < start; i++) parameters[i] = (2 * random() - 1) / Math.sqrt(from);
      return layer;
    });
    return { widths, activate, layers, parameters, gradient };
  }

  /** Room for what a pass of n points leaves behind for the way back. */
  function room(net, n) {
    const arrays = () => net.widths.map((width) => new Float32Array(n * width));
    return { n, values: arrays(), slopes: arrays(), errors: arrays() };
  }

  /** x (n, first width) -> (n, last width). */
  function forward(net, pass, x) {
    pass.values[0].set(x);
    net.layers.forEach(({ from, to, weight, bias }, l) => {
      const out = pass.values[l + 1];
      for (let r = 0; r < pass.n; r++) out.set(bias, r * to);
      addProduct(out, pass.values[l], from, 1, weight, pass.n, from, to);
      if (l + 1 < net.layers.length) net.activate(out, pass.slopes[l + 1]);
    });
    return pass.values[net.layers.length];
  }

  /** error: the gradient by the output. Returns that by x; adds those by the weights to `net.gradient` if it learns. */
  function backward(net, pass, error, learns = true) {
    pass.errors[net.layers.length].set(error);
    for (let l = net.layers.length - 1; l >= 0; l--) {
      const { from, to, weight, gradient, turned } = net.layers[l];
      const [above, below] = [pass.errors[l + 1], pass.errors[l]];
      if (l + 1 < net.layers.length) for (let i = 0; i < above.length; i++) above[i] *= pass.slopes[l + 1][i];
      if (learns) {
        addProduct(gradient.weight, pass.values[l], 1, from, above, from, pass.n, to);
        for (let i = 0; i < above.length; i++) gradient.bias[i % to] += above[i];
      }
      for (let i = 0; i < from; i++) for (let o = 0; o < to; o++) turned[o * from + i] = weight[i * to + o];
      addProduct(below.fill(0), above, to, 1, turned, pass.n, to, from);
    }
    return pass.errors[0];
  }

  /**
   * The R1 penalty, the mean of ||grad_x D(x)||^2 over the points of a pass; adds `weight` times its gradient.
   *
   * The activation must be piecewise linear. Then grad_x D is a product of weights and slopes, d_l being its part
   * above layer l, and the derivative of its square runs through the same product the other way: u = 2 grad_x D goes
   * forward without biases, and layer l receives u_l d_l.
   */
  function r1Penalty(net, pass, weight) {
    const ones = new Float32Array(pass.n).fill(1);
    let u = backward(net, pass, ones, false).slice();
    let square = 0;
    for (let i = 0; i < u.length; i++) { square += u[i] * u[i]; u[i] *= (2 * weight) / pass.n; }
    net.layers.forEach((layer, l) => {
      const { from, to } = layer;
      addProduct(layer.gradient.weight, u, 1, from, pass.errors[l + 1], from, pass.n, to);
      if (l + 1 === net.layers.length) return;
      const next = new Float32Array(pass.n * to);
      addProduct(next, u, from, 1, layer.weight, pass.n, from, to);
      for (let i = 0; i < next.length; i++) next[i] *= pass.slopes[l + 1][i];
      u = next;
    });
    return square / pass.n;
  }

  /** A step of Adam (Kingma and Ba, 2015) down `gradient`, which is then zero. */
  function adam(parameters, gradient, betas) {
    const [first, second] = [new Float32Array(parameters.length), new Float32Array(parameters.length)];
    let steps = 0;
    return (rate) => {
      steps += 1;
      const [a, b] = betas;
      const size = rate / (1 - a ** steps);
      const scale = 1 / Math.sqrt(1 - b ** steps);
      for (let i = 0; i < parameters.length; i++) {
        const g = gradient[i];
        first[i] = a * first[i] + (1 - a) * g;
        second[i] = b * second[i] + (1 - b) * g * g;
        parameters[i] -= (size * first[i]) / (Math.sqrt(second[i]) * scale + 1e-8);
      }
      gradient.fill(0);
    };
  }

  // ---- the losses of prodgen.losses: from logits at a real and a generated point, the loss and its slope by either

  const crossEntropy = (real, fake) => [softplus(-real) + softplus(fake), -sigmoid(-real), sigmoid(fake)];
  const critic = (real, fake) => [-fake, 0, -1];
  const losses = {
    minimax: {
      discriminator: crossEntropy,
      generator: (real, fake) => [-softplus(fake), 0, -sigmoid(fake)],
    },
    "non-saturating": {
      discriminator: crossEntropy,
      generator: (real, fake) => [softplus(-fake), 0, -sigmoid(-fake)],
    },
    hinge: {
      discriminator: (real, fake) => [
        Math.max(0, 1 - real) + Math.max(0, 1 + fake), real < 1 ? -1 : 0, fake > -1 ? 1 : 0,
      ],
      generator: critic,
    },
    wasserstein: {
      discriminator: (real, fake) => [fake - real, -1, 1],
      generator: critic,
    },
    relativistic: {
      discriminator: (real, fake) => [softplus(fake - real), -sigmoid(fake - real), sigmoid(fake - real)],
      generator: (real, fake) => [softplus(real - fake), sigmoid(real - fake), -sigmoid(real - fake)],
    },
  };

  // ---- the shops of the plane: clouds, of which each has its share of the photos

  const onRing = (k) => [2 * Math.cos((k * Math.PI) / 4), 2 * Math.sin((k * Math.PI) / 4)];
  const even = (centres) => centres.map((centre) => ({ centre, share: 1 / centres.length }));
  const eight = Array.from({ length: 8 }, (_, k) => onRing(k));
  const shops = {
    ring: even(eight), // as in chapter 3.1
    grid: even([-1.8, -0.6, 0.6, 1.8].flatMap((y) => [-1.8, -0.6, 0.6, 1.8].map((x) => [x, y]))),
    two: even([[-1.5, 0], [1.5, 0]]),
    curve: even(Array.from({ length: 40 }, (_, k) => [-2 + k / 9.75, 1.2 * Math.sin(-2 + k / 9.75 + 0.4)])),
    rare: eight.map((centre, k) => ({ centre, share: k ? 0.98 / 7 : 0.02 })),
  };
  const SPREAD = 0.1;

  /** out, filled with points of a shop: (n, 2). */
  function fillReal(out, shop, random) {
    fillNormal(out, random);
    for (let i = 0; i < out.length; i += 2) {
      let [left, k] = [random(), 0];
      while (k + 1 < shop.length && left >= shop[k].share) left -= shop[k++].share;
      out[i] = shop[k].centre[0] + SPREAD * out[i];
      out[i + 1] = shop[k].centre[1] + SPREAD * out[i + 1];
    }
    return out;
  }

  /** Clouds found, and the share of points in any, as `modes_found` of chapter 3.1 counts them. */
  function modesFound(points, shop) {
    const counts = shop.map(() => 0);
    for (let i = 0; i < points.length; i += 2) {
      const k = shop.findIndex(({ centre: [x, y] }) => Math.hypot(points[i] - x, points[i + 1] - y) <= 3 * SPREAD);
      if (k >= 0) counts[k] += 1;
    }
    const n = points.length / 2;
    return {
      found: counts.filter((count, k) => count / n >= shop[k].share / 10).length,
      inside: counts.reduce((sum, count) => sum + count, 0) / n,
    };
  }

  /** Chapter 3.1's word: at one look at least half of the points lie in clouds, and at none is half of the clouds found. */
  function collapsed(looks, shop) {
    return looks.some(({ inside }) => inside >= 0.5) && looks.every(({ found }) => found < shop.length / 2);
  }

  // ---- the smallest GAN: V = uv

  /** One step of both players, `turn` of chapter 3.1: [u, v] -> [u, v]. */
  function bilinearTurn([u, v], rate, gamma, atOnce) {
    const moved = v + rate * (u - gamma * v);
    return [u - rate * (atOnce ? v : moved), moved];
  }

  /** `growth` of chapter 3.1: the largest modulus of the step's eigenvalues, the factor of the distance in the long run. */
  function bilinearGrowth(rate, gamma, atOnce) {
    const [[a, c], [b, d]] = [bilinearTurn([1, 0], rate, gamma, atOnce), bilinearTurn([0, 1], rate, gamma, atOnce)];
    const [half, product] = [(a + d) / 2, a * d - b * c];
    const under = half * half - product;
    return under < 0 ? Math.sqrt(product) : Math.abs(half) + Math.sqrt(under);
  }

  // ---- a GAN

  const HIDDEN = 32;
  const BATCH = 64;
  const BETAS = [0, 0.9]; // as `play` of chapter 3.1 has them

  /** Two players who know nothing yet. `settings`: shop, loss, gamma, turns [of D, of G], rates [of D, of G]. */
  function gan(seed, settings) {
    const random = uniforms(seed);
    const generator = network([2, HIDDEN, HIDDEN, 2], leaky(0), random);
    const discriminator = network([2, HIDDEN, HIDDEN, 1], leaky(0.2), random);
    const average = network([2, HIDDEN, HIDDEN, 2], leaky(0), random);
    average.parameters.set(generator.parameters);
    const drawn = room(generator, BATCH);
    const [ofReal, ofFake] = [room(discriminator, BATCH), room(discriminator, BATCH)];
    const stepD = adam(discriminator.parameters, discriminator.gradient, BETAS);
    const stepG = adam(generator.parameters, generator.gradient, BETAS);
    const [real, z] = [new Float32Array(2 * BATCH), new Float32Array(2 * BATCH)];
    const [byReal, byFake] = [new Float32Array(BATCH), new Float32Array(BATCH)];

    const game = { generator, discriminator, average, settings, real, z, rounds: 0, loss: [0, 0] };

    /** The mean of a loss over a batch of each kind, `real` and G of `z`; its slopes stand in byReal and byFake. */
    function judge(loss) {
      const [a, b] = [forward(discriminator, ofReal, real), forward(discriminator, ofFake, forward(generator, drawn, z))];
      let sum = 0;
      for (let i = 0; i < BATCH; i++) {
        const [value, slopeReal, slopeFake] = loss(a[i], b[i]);
        sum += value;
        byReal[i] = slopeReal / BATCH;
        byFake[i] = slopeFake / BATCH;
      }
      return sum / BATCH;
    }

    /** D's gradient, with that of gamma / 2 times the penalty. */
    game.learnD = () => {
      game.loss[0] = judge(losses[settings.loss].discriminator);
      if (settings.gamma > 0) r1Penalty(discriminator, ofReal, settings.gamma / 2);
      backward(discriminator, ofReal, byReal);
      backward(discriminator, ofFake, byFake);
    };

    /** G's gradient, through a D that only judges. */
    game.learnG = () => {
      game.loss[1] = judge(losses[settings.loss].generator);
      backward(generator, drawn, backward(discriminator, ofFake, byFake, false));
    };

    /** D's turns, then G's; the average follows with a half-life of 10,000 images, or of a twentieth of those seen. */
    game.round = () => {
      const { shop, turns, rates } = settings;
      for (let turn = 0; turn < turns[0] + turns[1]; turn++) {
        fillNormal(z, random);
        if (turn < turns[0]) {
          fillReal(real, shops[shop], random);
          game.learnD();
          stepD(rates[0]);
        } else {
          game.learnG();
          stepG(rates[1]);
        }
      }
      game.rounds += 1;
      const weight = 1 - 0.5 ** (BATCH / Math.min(10_000, 0.05 * game.rounds * BATCH));
      const [ours, theirs] = [average.parameters, generator.parameters];
      for (let i = 0; i < ours.length; i++) ours[i] += weight * (theirs[i] - ours[i]);
    };
    return game;
  }

  // ---- a VAE

  /** A VAE in the plane with a code of so many numbers. `settings`: shop, beta, rate. */
  function vae(seed, latent, settings) {
    const random = uniforms(seed);
    const encoder = network([2, HIDDEN, HIDDEN, 2 * latent], silu, random);
    const decoder = network([latent, HIDDEN, HIDDEN, 2], silu, random);
    const logSigma = new Float32Array(1); // the decoder's one deviation, learned as that of the package is
    const bySigma = new Float32Array(1);
    const steps = [encoder, decoder, { parameters: logSigma, gradient: bySigma }]
      .map(({ parameters, gradient }) => adam(parameters, gradient, [0.9, 0.999]));
    const [encoded, decoded] = [room(encoder, BATCH), room(decoder, BATCH)];
    const [x, byMean] = [new Float32Array(2 * BATCH), new Float32Array(2 * BATCH)];
    const [noise, z] = [new Float32Array(latent * BATCH), new Float32Array(latent * BATCH)];
    const byCode = new Float32Array(2 * latent * BATCH);

    const model = { encoder, decoder, logSigma, bySigma, settings, x, noise, rounds: 0, reward: 0, price: 0 };

    /** Reward and price of the batch `x` in nats, with one draw a point, and the gradients of -reward + beta * price. */
    model.learn = () => {
      const code = forward(encoder, encoded, x); // means, then log-variances, point by point
      for (let i = 0; i < z.length; i++) {
        const at = Math.floor(i / latent) * 2 * latent + (i % latent);
        z[i] = code[at] + Math.exp(0.5 * code[at + latent]) * noise[i];
      }
      const mean = forward(decoder, decoded, z);
      const sigma = Math.exp(logSigma[0]);
      let [reward, price] = [0, 0];
      for (let i = 0; i < mean.length; i++) {
        const off = (x[i] - mean[i]) / sigma;
        reward += -0.5 * off * off - logSigma[0] - 0.5 * Math.log(2 * Math.PI);
        byMean[i] = -off / sigma / BATCH;
        bySigma[0] += (1 - off * off) / BATCH;
      }
      const byZ = backward(decoder, decoded, byMean);
      const beta = settings.beta / BATCH;
      for (let i = 0; i < z.length; i++) {
        const at = Math.floor(i / latent) * 2 * latent + (i % latent);
        const [m, logVariance] = [code[at], code[at + latent]];
        const variance = Math.exp(logVariance);
        price += 0.5 * (m * m + variance - 1 - logVariance);
        byCode[at] = byZ[i] + beta * m;
        byCode[at + latent] = byZ[i] * noise[i] * 0.5 * Math.sqrt(variance) + beta * 0.5 * (variance - 1);
      }
      backward(encoder, encoded, byCode);
      [model.reward, model.price] = [reward / BATCH, price / BATCH];
    };

    model.round = () => {
      fillReal(x, shops[settings.shop], random);
      fillNormal(noise, random);
      model.learn();
      for (const step of steps) step(settings.rate);
      model.rounds += 1;
    };
    return model;
  }

  return {
    uniforms, fillNormal, network, leaky, silu, room, forward, backward, r1Penalty, adam, losses, sigmoid,
    shops, SPREAD, BATCH, fillReal, modesFound, collapsed, bilinearTurn, bilinearGrowth, gan, vae,
  };
})();
