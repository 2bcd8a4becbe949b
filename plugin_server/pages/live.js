// Live: an avatar on its stage, and everything that moves it.

import { call } from "/pages/calls.js";
import { CameraDriver } from "/pages/camera.js";
import { keep, recall } from "/pages/keep.js";
import { MicrophoneDriver } from "/pages/microphone.js";
import { attempt, download, element, say } from "/pages/page.js";
import { ProfileCard } from "/pages/profile.js";
import { TableRecorder, videoFormat, VideoRecorder } from "/pages/recorder.js";
import { EXPRESSIONS } from "/pages/shapes.js";
import { Sliders } from "/pages/sliders.js";
import { gateways, Stage } from "/pages/stage.js";

const COLORS = { Green: "#00b140", Blue: "#0047bb", White: "#ffffff", Grey: "#808080", Black: "#000000" };
const LOOK_MS = 2000; // how often phones are asked for
const DEGREES_PER_WIDTH = 90;
const TURN_DEG = 5; // of the camera, by an arrow key

/** A button that is on or off, and says so. */
function toggle(words, change) {
  const button = element("button", { type: "button", "aria-pressed": "false" }, words);
  button.addEventListener("click", async () => {
    button.disabled = true;
    const on = button.getAttribute("aria-pressed") === "false";
    const done = await attempt(async () => (await change(on)) ?? true);
    if (done) button.setAttribute("aria-pressed", String(on));
    button.disabled = false;
  });
  return button;
}

/** The second view. */
export class LiveView {
  constructor(section) {
    this.section = section;
    this.stage = null;
    this.camera = this.microphone = null;
    this.recorders = {};
    this.color = recall("background", "");
    this.title = element("h1", { id: "live-title", tabindex: "-1" }, "Live");
    this.choice = element("select", { "aria-label": "Avatar", onchange: () => (location.hash = `#live/${this.choice.value}`) });
    this.empty = element("p", { class: "card drop" }, element("span", {}, "There is no avatar yet."), element("a", { class: "button main", href: "#avatars" }, "Make one"));
    this.canvas = element("canvas", { width: "512", height: "512", tabindex: "0", role: "img", "aria-label": "The avatar. Arrow keys turn the view." });
    this.wait = element("p", { class: "wait", role: "status" });
    this.self = element("div", { class: "self", hidden: true });
    this.profile = new ProfileCard();
    this.sliders = new Sliders(() => this.stage?.driver ?? null);
    this.body = element("div", { class: "live" }, this.buildStage(), this.buildPanel());
    section.append(element("div", { class: "head" }, this.title, element("span", { class: "soft" }), this.choice), this.empty, this.body);
    this.listenToKeys();
    this.listenToDrags();
    this.paintBackground();
  }

  // ---- what there is to see

  buildStage() {
    this.video = toggle("Record video", (on) => this.record("video", on));
    this.table = toggle("Record CSV", (on) => this.record("table", on));
    return element("div", { class: "card stage" }, this.canvas, this.wait, this.self,
      element("div", { class: "bar row" },
        this.video, this.table,
        element("button", { type: "button", onclick: () => this.copyLink() }, "Copy OBS link"),
        element("button", { type: "button", class: "quiet", onclick: () => this.turnView(0, 0) }, "Front view"),
      ));
  }

  buildPanel() {
    return element("div", { class: "panel" },
      this.buildSources(), this.buildExpressions(), this.buildBackground(),
      element("details", { class: "card" }, element("summary", {}, "All 52 shapes"), ...this.sliders.elements),
      this.profile.made, this.buildPhone());
  }

  buildSources() {
    this.cameraButton = toggle("Camera", (on) => this.useCamera(on));
    this.microphoneButton = toggle("Microphone", (on) => this.useMicrophone(on));
    this.calibrate = element("button", { type: "button", disabled: true, onclick: () => this.camera?.calibrate() }, "Calibrate");
    this.cameraWords = element("p", { class: "soft small", role: "status" });
    this.level = element("i");
    this.meter = element("div", { class: "level", hidden: true, role: "img", "aria-label": "Level of the microphone" }, this.level);
    return element("div", { class: "card" },
      element("h2", {}, "What moves it"),
      element("div", { class: "row" }, this.cameraButton, this.microphoneButton, this.calibrate),
      this.cameraWords, this.meter,
      element("p", { class: "soft small" }, "Camera and microphone go together: the voice has the mouth while the camera does not see it. Calibrate takes two seconds: look ahead, at ease."));
  }

  buildExpressions() {
    const buttons = EXPRESSIONS.map((expression) => {
      const button = element("button", { type: "button", "aria-keyshortcuts": expression.key }, expression.name, element("kbd", { "aria-hidden": "true" }, expression.key));
      const on = () => this.express(expression);
      const off = () => this.express(null);
      for (const name of ["pointerdown"]) button.addEventListener(name, on);
      for (const name of ["pointerup", "pointerleave", "pointercancel", "blur"]) button.addEventListener(name, off);
      button.addEventListener("keydown", ({ key }) => [" ", "Enter"].includes(key) && on());
      button.addEventListener("keyup", ({ key }) => [" ", "Enter"].includes(key) && off());
      return button;
    });
    return element("div", { class: "card" }, element("h2", {}, "Expressions"),
      element("p", { class: "soft small" }, "Hold a button, or its key."), element("div", { class: "keys" }, ...buttons));
  }

  buildBackground() {
    const swatch = (name, color) => {
      const button = element("button", { type: "button", "aria-label": name, title: name, "data-color": color, onclick: () => this.setColor(color) });
      if (color) button.style.background = color;
      else button.classList.add("none");
      return button;
    };
    const own = element("input", { type: "color", value: this.color || "#7c5cff", "aria-label": "A colour of your own", oninput: () => this.setColor(own.value) });
    this.swatches = element("div", { class: "swatches" }, swatch("Transparent", ""), ...Object.entries(COLORS).map((entry) => swatch(...entry)), own);
    return element("div", { class: "card" }, element("h2", {}, "Background"), this.swatches);
  }

  buildPhone() {
    this.phones = element("div", {});
    return element("details", { class: "card", ontoggle: () => this.lookForPhones() }, element("summary", {}, "Phone or other program"), this.phones);
  }

  // ---- showing and leaving

  async show(avatar) {
    this.visible = true;
    const { avatars = [] } = (await attempt(() => call("ListAvatars"))) ?? {};
    const names = avatars.map(({ name }) => name);
    const chosen = names.includes(avatar) ? avatar : names[0];
    this.empty.hidden = names.length > 0;
    this.body.hidden = this.choice.hidden = names.length === 0;
    this.choice.replaceChildren(...names.map((name) => element("option", { value: name, selected: name === chosen }, name)));
    if (chosen !== undefined) await this.put(chosen);
    clearInterval(this.looking);
    this.looking = setInterval(() => this.lookForPhones(), LOOK_MS);
  }

  /** Another view is shown: the avatar goes on, for OBS and for the developer's plots. */
  hide() {
    this.visible = false;
    clearInterval(this.looking);
    this.express(null);
  }

  /** Put an avatar on the stage. */
  async put(avatar) {
    if (this.stage?.avatar === avatar || this.putting === avatar) return;
    this.putting = avatar;
    await this.clear();
    this.tellWait(`${avatar} is coming …`);
    this.title.textContent = avatar;
    this.stage = (await attempt(() => Stage.open(avatar, this.canvas, {
      lost: (reason) => this.tellWait(/ended|no session/.test(reason) ? "The session has ended." : `No pictures: ${reason}`, reason),
      found: () => this.tellWait(""),
    }))) ?? null;
    this.putting = null;
    if (!this.stage) this.tellWait("It could not be shown.");
    else this.profile.show(this.stage);
    this.sliders.reset();
  }

  async clear() {
    for (const button of [this.cameraButton, this.microphoneButton, this.video, this.table]) {
      if (button.getAttribute("aria-pressed") === "true") button.click();
    }
    await this.stage?.end();
    this.stage = null;
  }

  tellWait(words, reason = "") {
    this.wait.textContent = words;
    this.wait.hidden = words === "";
    if (/^no session|ended/.test(reason) && this.stage) this.comeBack();
  }

  /** A session that is over, of a server that went or a time that ran out, is started anew. */
  async comeBack() {
    const { avatar } = this.stage;
    this.stage.leave();
    this.stage = null;
    if (this.visible) await this.put(avatar);
  }

  // ---- what moves it

  async useCamera(on) {
    if (on) {
      if (!this.stage) throw new Error("Wait until the avatar is there.");
      this.camera = await CameraDriver.open(this.stage, (words) => this.tellCamera(words));
      this.self.replaceChildren(this.camera.video);
    } else {
      this.camera?.close();
      this.camera = null;
      this.tellCamera("");
    }
    this.self.hidden = !on;
    this.calibrate.disabled = !on;
  }

  tellCamera(words) {
    if (this.cameraWords.textContent !== words) this.cameraWords.textContent = words;
  }

  async useMicrophone(on) {
    if (on) {
      if (!this.stage) throw new Error("Wait until the avatar is there.");
      this.microphone = await MicrophoneDriver.open(this.stage, (words, level) => {
        this.level.style.transform = `scaleX(${Math.sqrt(level)})`;
        if (words) console.warn("microphone:", words);
      });
    } else {
      this.microphone?.close();
      this.microphone = null;
    }
    this.meter.hidden = !on;
  }

  express(expression) {
    if (this.stage) this.stage.driver.expression = expression?.weights ?? null;
  }

  listenToKeys() {
    const held = new Set();
    const isOurs = ({ target, ctrlKey, metaKey, altKey }) =>
      this.visible && !ctrlKey && !metaKey && !altKey && !/^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName);
    addEventListener("keydown", (event) => {
      const expression = EXPRESSIONS.find(({ key }) => key === event.key);
      if (!expression || !isOurs(event)) return;
      held.add(event.key);
      this.express(expression);
    });
    addEventListener("keyup", ({ key }) => held.delete(key) && this.express(null));
    addEventListener("blur", () => {
      held.clear();
      this.express(null);
    });
    this.canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-TURN_DEG, 0], ArrowRight: [TURN_DEG, 0], ArrowUp: [0, TURN_DEG], ArrowDown: [0, -TURN_DEG] }[event.key];
      if (!step || !this.stage) return;
      event.preventDefault();
      const { yaw, pitch } = this.stage.driver.orbit;
      this.turnView(yaw + step[0], pitch + step[1]);
    });
  }

  listenToDrags() {
    let from = null;
    this.canvas.addEventListener("pointerdown", (event) => {
      if (!this.stage) return;
      this.canvas.setPointerCapture(event.pointerId);
      from = { x: event.clientX, y: event.clientY, ...this.stage.driver.orbit };
    });
    this.canvas.addEventListener("pointermove", ({ clientX, clientY }) => {
      if (from === null) return;
      const degrees = DEGREES_PER_WIDTH / this.canvas.clientWidth;
      this.turnView(from.yaw - degrees * (clientX - from.x), from.pitch + degrees * (clientY - from.y));
    });
    for (const name of ["pointerup", "pointercancel"]) this.canvas.addEventListener(name, () => (from = null));
  }

  turnView(yaw, pitch) {
    this.stage?.driver.turn(Math.min(Math.max(yaw, -80), 80), Math.min(Math.max(pitch, -45), 45));
  }

  async lookForPhones() {
    if (!this.phones.parentElement.open) return;
    const open = await gateways().catch(() => []);
    const rows = open.map(({ source, address, sender, subject, silentS = 0, problem }) => [
      element("dt", {}, source),
      element("dd", {}, `${address} · ${sender ? `${subject || sender}, ${silentS < 2 ? "moving it" : `silent for ${Math.round(silentS)} s`}` : "nobody yet"}${problem ? ` · ${problem}` : ""}`),
    ]);
    this.phones.replaceChildren(open.length
      ? element("dl", {}, ...rows.flat())
      : element("p", { class: "small" }, "Start the studio with a port for your phone’s program and the phone’s address; the page then says when it is heard: ",
        element("code", {}, "flexavatar studio --live-link-face 11111 --phone 192.168.1.23")));
  }

  // ---- what comes of it

  setColor(color) {
    this.color = color;
    keep("background", color);
    this.paintBackground();
    if (this.recorders.video) this.recorders.video.color = color;
  }

  paintBackground() {
    this.canvas.style.background = this.color;
    this.canvas.classList.toggle("transparent", this.color === "");
    for (const button of this.swatches.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset.color === this.color));
    }
  }

  async record(kind, on) {
    const button = this[kind];
    if (on) {
      if (!this.stage) throw new Error("Wait until the avatar is there.");
      if (kind === "video" && !videoFormat()) throw new Error("This browser records no video: use Chromium or Firefox.");
      this.recorders[kind] = kind === "video" ? new VideoRecorder(this.stage, this.color, this.microphone?.stream) : new TableRecorder(this.stage);
    } else {
      const { blob, ending } = await this.recorders[kind].stop();
      this.recorders[kind] = null;
      download(blob, `${this.stage?.avatar ?? "avatar"}.${ending}`);
      say(`Saved as ${this.stage?.avatar ?? "avatar"}.${ending}, where your browser keeps downloads.`);
    }
    button.classList.toggle("recording", on);
    button.textContent = `${on ? "Stop recording" : "Record"} ${kind === "video" ? (on ? "" : "video") : "CSV"}`.trim();
  }

  async copyLink() {
    if (!this.stage) return;
    await attempt(async () => {
      await navigator.clipboard.writeText(this.stage.viewUrl);
      say("Copied. In OBS add a Browser source with this link, 512 wide and 512 high: the ground is transparent.");
    });
  }
}
