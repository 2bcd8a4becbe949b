// How the avatar follows whoever moves it: stronger here, calmer there, as in a mirror.

import { call } from "/pages/calls.js";
import { attempt, element } from "/pages/page.js";
import { SHAPES } from "/pages/shapes.js";

const REGIONS = {
  Mouth: ["jaw", "mouth", "cheek", "nose", "tongue"],
  Eyes: ["eye"],
  Brows: ["brow"],
};

const shapesOf = (region) => SHAPES.filter((name) => REGIONS[region].some((start) => name.startsWith(start)));

/** A card whose settings are kept with the avatar by the server. */
export class ProfileCard {
  constructor() {
    this.stage = null;
    this.gains = {};
    for (const region of Object.keys(REGIONS)) this.gains[region] = this.slider("0", "2", "0.05");
    this.smoothing = this.slider("-2", "2", "0.25"); // powers of 2
    this.mirror = element("input", { type: "checkbox", onchange: () => this.save() });
    const rows = Object.entries({ ...this.gains, Smoothing: this.smoothing });
    this.made = element("details", { class: "card" },
      element("summary", {}, "How it follows you"),
      ...rows.map(([name, { input, output }]) => element("label", { class: "shape" }, element("span", {}, name), input, output)),
      element("label", { class: "row small" }, this.mirror, "As in a mirror"),
      element("div", { class: "row" }, element("button", { type: "button", class: "quiet", onclick: () => this.reset() }, "As usual")),
      element("p", { class: "soft small" }, "For camera, phone and other programs; kept with the avatar."));
  }

  slider(min, max, step) {
    const output = element("output");
    const input = element("input", { type: "range", min, max, step, onchange: () => this.save() });
    const write = () => (output.textContent = min === "-2" ? `${2 ** Number(input.value) >= 1 ? "×" : "÷"}${(2 ** Math.abs(Number(input.value))).toFixed(1)}` : `${Math.round(100 * Number(input.value))} %`);
    input.addEventListener("input", write);
    return { input, output, set: (value) => { input.value = String(value); write(); } };
  }

  /** Show the settings of the avatar on a stage. */
  async show(stage) {
    this.stage = stage;
    await attempt(async () => this.take(await call("GetProfile", { avatar: stage.avatar })));
  }

  take({ gains = {}, smoothing = 1, mirror = false }) {
    for (const region of Object.keys(REGIONS)) this.gains[region].set(gains[shapesOf(region)[0]] ?? 1);
    this.smoothing.set(Math.log2(smoothing));
    this.mirror.checked = mirror;
    if (this.stage) this.stage.driver.profile = { gains, mirror };
  }

  reset() {
    this.take({});
    this.save();
  }

  save() {
    if (!this.stage) return;
    const gains = {};
    for (const region of Object.keys(REGIONS)) {
      const gain = Number(this.gains[region].input.value);
      if (gain !== 1) for (const name of shapesOf(region)) gains[name] = gain;
    }
    const profile = { gains, smoothing: 2 ** Number(this.smoothing.input.value), mirror: this.mirror.checked };
    attempt(async () => this.take(await call("SetProfile", { avatar: this.stage.avatar, profile })));
  }
}
