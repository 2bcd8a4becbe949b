// Sliders of the 52 shapes and of the head's turn.

import { element } from "/pages/page.js";
import { GROUPS, label, otherSide } from "/pages/shapes.js";

const TURNS = { yaw: ["Turn", 40], pitch: ["Nod", 30], roll: ["Tilt", 30] };

function row(text, attributes, onChange) {
  const output = element("output", {}, "0");
  const input = element("input", { type: "range", "aria-label": text, ...attributes });
  const write = () => (output.textContent = input.step === "1" ? input.value : Number(input.value).toFixed(2).replace(/^0\.00$/, "0"));
  input.addEventListener("input", () => {
    write();
    onChange(Number(input.value));
  });
  const set = (value) => {
    input.value = value;
    write();
  };
  return { made: element("label", { class: "shape" }, element("span", {}, text), input, output), set };
}

/** Sliders for whatever driver the stage has. */
export class Sliders {
  /** `driver()` gives the one of now, or null. */
  constructor(driver) {
    this.driver = driver;
    this.rows = new Map(); // by shape
    this.turns = new Map(); // by angle
    const linked = element("input", { type: "checkbox", checked: true, onchange: () => this.link() });
    this.linked = linked;
    this.elements = [
      element("div", { class: "row" },
        element("label", { class: "row small" }, linked, "Left and right together"),
        element("button", { type: "button", class: "quiet", onclick: () => this.reset() }, "All to 0"),
      ),
      this.headGroup(),
      ...Object.entries(GROUPS).map(([name, shapes]) => this.group(name, shapes)),
    ];
    this.link();
  }

  /** One slider for both sides, or one for each. */
  link() {
    for (const [shape, { made }] of this.rows) {
      const paired = otherSide(shape) !== null;
      made.hidden = this.linked.checked && paired && shape.endsWith("Right");
      const text = label(shape);
      made.firstChild.textContent = this.linked.checked && paired ? text.replace(/ left$/, "") : text;
    }
  }

  headGroup() {
    const rows = Object.entries(TURNS).map(([angle, [text, most]]) => {
      const one = row(text, { min: String(-most), max: String(most), step: "1", value: "0" }, (degrees) => {
        const driver = this.driver();
        if (driver) driver.head[angle] = degrees;
      });
      this.turns.set(angle, one);
      return one.made;
    });
    return element("fieldset", {}, element("legend", {}, "Head"), ...rows);
  }

  group(name, shapes) {
    const rows = shapes.map((shape) => {
      const one = row(label(shape), { min: "0", max: "1", step: "0.01", value: "0", "data-shape": shape }, (weight) => this.change(shape, weight));
      this.rows.set(shape, one);
      return one.made;
    });
    return element("fieldset", {}, element("legend", {}, name), ...rows);
  }

  change(shape, weight) {
    const other = this.linked.checked ? otherSide(shape) : null;
    this.driver()?.setSlider(shape, weight);
    if (other === null) return;
    this.rows.get(other).set(weight);
    this.driver()?.setSlider(other, weight);
  }

  reset() {
    for (const [shape, { set }] of this.rows) {
      set(0);
      this.driver()?.setSlider(shape, 0);
    }
    for (const [angle, { set }] of this.turns) {
      set(0);
      if (this.driver()) this.driver().head[angle] = 0;
    }
  }
}
