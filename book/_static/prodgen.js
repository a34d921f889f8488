// A role that assistive technology does not understand, mended in the page until docutils writes a better one.
document.addEventListener("DOMContentLoaded", () => {
  // The entries of its list of references are no list items.
  for (const entry of document.querySelectorAll(".citation-list > .citation")) entry.setAttribute("role", "listitem");
});

// What only some pages need is loaded where it is needed, from beside this script.
const here = document.currentScript.src;
const loaded = {}; // by path: what is asked for twice comes once, unless it failed
const load = (path) => (loaded[path] ??= new Promise((resolve, reject) => {
  const script = document.createElement("script");
  const failed = (event) => { delete loaded[path]; script.remove(); reject(event); };
  Object.assign(script, { src: new URL(path, here), onload: resolve, onerror: failed });
  document.head.append(script);
}));

// A product in three dimensions: its viewer, a megabyte, is loaded where a page shows one. Only over https may a
// button offer the reader's own room: it hands the model to another program.
document.addEventListener("DOMContentLoaded", () => {
  const viewers = document.querySelectorAll("model-viewer");
  if (!viewers.length) return;
  if (location.protocol === "https:") for (const viewer of viewers) viewer.setAttribute("ar", "");
  load("vendor/@google/model-viewer/model-viewer-umd.min.js");
  for (const viewer of viewers) viewer.after(fileCheck(viewer));
});

/** A button that has the Khronos group's validator, written for Node and loaded here, look at a viewer's file. */
function fileCheck(viewer) {
  const [place, button, said] = ["p", "button", "span"].map((kind) => document.createElement(kind));
  Object.assign(button, { type: "button", textContent: "Check this file by its specification" });
  place.className = "file-check";
  said.setAttribute("aria-live", "polite");
  place.append(button, " ", said);
  button.addEventListener("click", async () => {
    said.textContent = "Loading the validator …";
    window.exports ??= {}; // where it puts itself
    try {
      await load("vendor/gltf-validator/gltf_validator.dart.js");
    } catch {
      said.textContent = "The validator could not be loaded.";
      return;
    }
    const bytes = Uint8Array.from(atob(viewer.src.split(",")[1]), (letter) => letter.charCodeAt(0));
    const { issues, info, validatorVersion } = await exports.validateBytes(bytes, {});
    said.textContent = `glTF validator ${validatorVersion}: ${issues.numErrors} errors, ${issues.numWarnings} warnings` +
      (info ? `; ${info.totalTriangleCount.toLocaleString("en")} triangles.` : ".");
  });
  return place;
}

// A generator in the page: its weights, a megabyte or more, are loaded when the reader asks for it.
document.addEventListener("DOMContentLoaded", () => {
  for (const lab of document.querySelectorAll(".live[data-model]")) {
    const { model, beside } = lab.dataset;
    const button = document.createElement("button");
    Object.assign(button, { type: "button", textContent: "Wake the network" });
    button.addEventListener("click", async () => {
      if (button.ariaBusy === "true") return; // a second click while it loads
      Object.assign(button, { ariaBusy: "true", textContent: "Loading its weights …" });
      try {
        await load("live/live.js");
        await load(`live/${model}.js`);
        if (beside) await load(`labs/${beside}.js`);
      } catch {
        Object.assign(button, { ariaBusy: "false", textContent: "It could not be loaded. Try again" });
        return;
      }
      prodgenLive.open(lab, prodgenLive.models[model], prodgenLive.beside?.[beside]);
      lab.querySelector("select, input, button").focus();
    });
    lab.replaceChildren(button);
  }
});

// Labs: arithmetic in the page. What they share is loaded once, each lab's own script where its place is.
document.addEventListener("DOMContentLoaded", async () => {
  const labs = document.querySelectorAll(".lab[data-lab]");
  if (!labs.length) return;
  await load("labs/kit.js");
  await load("labs/descriptions.js");
  prodgenLabs.load = load;
  const loaded = {};
  for (const lab of labs) {
    const name = lab.dataset.lab;
    for (const script of [...(prodgenLabs.descriptions[name].needs ?? []), name]) await (loaded[script] ??= load(`labs/${script}.js`));
    prodgenLabs.open(lab);
  }
});
