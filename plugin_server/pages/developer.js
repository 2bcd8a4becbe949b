// For developers: how fast it is, and how a program does the same.

import { call } from "/pages/calls.js";
import { element, say } from "/pages/page.js";
import { snippets } from "/pages/snippets.js";

const POINTS = 120;
const POLL_MS = 1000;

/** Figures over time as a line, the newest as a number. */
class Plot {
  constructor(name, unit, about) {
    this.unit = unit;
    this.values = [];
    this.number = element("b", {}, "–");
    this.canvas = element("canvas", { role: "img", "aria-label": name });
    this.made = element("div", { class: "card" }, element("h2", {}, name), this.number, this.canvas, element("p", { class: "soft small" }, about));
  }

  add(value) {
    this.values = [...this.values.slice(1 - POINTS), value];
  }

  draw() {
    if (!this.values.length) return;
    const sorted = [...this.values].sort((a, b) => a - b);
    const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
    this.number.textContent = `${at(0.5).toFixed(1)} ${this.unit}, p95 ${at(0.95).toFixed(1)}`;
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight].map((side) => Math.round(side * devicePixelRatio));
    if (!width) return;
    [this.canvas.width, this.canvas.height] = [width, height];
    const pen = this.canvas.getContext("2d");
    const most = Math.max(at(0.99) * 1.2, 1e-3);
    pen.strokeStyle = getComputedStyle(this.canvas).getPropertyValue("--accent");
    pen.lineWidth = 2 * devicePixelRatio;
    pen.beginPath();
    for (const [i, value] of this.values.entries()) {
      pen.lineTo((i / (POINTS - 1)) * width, height - 3 - (Math.min(value / most, 1) * (height - 6)));
    }
    pen.stroke();
  }
}

/** The third view. */
export class DeveloperView {
  constructor(section, live) {
    this.live = live;
    this.plots = {
      gap: new Plot("Between frames", "ms", "From one new frame to the next, as they come in here."),
      way: new Plot("Server to page", "ms", "From the moment the server sent a frame; on one machine, whose clock is one."),
      frame: new Plot("Frame on the server", "ms", "Animating and drawing one frame, as ListSessions says."),
    };
    this.words = element("p", { class: "soft" });
    this.code = element("pre", { tabindex: "0" }, element("code", {}));
    this.tabs = element("div", { class: "row", role: "group", "aria-label": "Language" });
    this.facts = element("dl", {});
    section.append(
      element("div", { class: "head" }, element("h1", { id: "developer-title", tabindex: "-1" }, "Developer"), this.words),
      element("div", { class: "plots" }, ...Object.values(this.plots).map(({ made }) => made)),
      element("div", { class: "card snippets" },
        element("h2", {}, "Drive it from a program"), this.facts, this.tabs, this.code,
        element("div", { class: "row" }, element("button", { type: "button", onclick: () => this.copy() }, "Copy"))));
    this.watch = (frame) => this.take(frame);
  }

  async show() {
    if (!this.live.stage) await this.live.show();
    this.live.hide();
    const { stage } = this.live;
    this.words.textContent = stage ? `${stage.avatar}, session ${stage.session.name}` : "Make an avatar first: then there is something to measure.";
    this.stage = stage;
    stage?.watchers.add(this.watch);
    this.snippets = snippets(stage);
    this.tabs.replaceChildren(...Object.keys(this.snippets).map((name) => element("button", { type: "button", "aria-pressed": "false", onclick: () => this.choose(name) }, name)));
    this.choose(Object.keys(this.snippets)[0]);
    this.timer = setInterval(() => this.poll(), POLL_MS);
    this.poll();
  }

  hide() {
    this.stage?.watchers.delete(this.watch);
    clearInterval(this.timer);
  }

  take({ repeated, serverNs }) {
    if (repeated) return;
    const now = performance.now();
    if (this.before !== undefined && now - this.before < 2000) this.plots.gap.add(now - this.before);
    this.before = now;
    this.plots.way.add(Math.max(0, performance.timeOrigin + now - Number(serverNs / 1000n) / 1000));
  }

  async poll() {
    for (const plot of Object.values(this.plots)) plot.draw();
    if (!this.stage) return;
    const { sessions = [] } = await call("ListSessions").catch(() => ({}));
    const own = sessions.find(({ sessionId }) => sessionId === this.stage.session.sessionId);
    if (!own) return;
    this.plots.frame.add(own.frameMs ?? 0);
    const { session } = this.stage;
    const facts = { Frames: `${own.frames ?? 0} so far, ${session.gaussians} Gaussians each`, "Session id": session.sessionId, "Frames by ZeroMQ": session.frameAddress, "Drive packets by ZeroMQ": session.driveAddress, "Frames by WebSocket": this.stage.stream.url };
    this.facts.replaceChildren(...Object.entries(facts).flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, element("code", {}, value))]));
  }

  choose(name) {
    for (const tab of this.tabs.children) tab.setAttribute("aria-pressed", String(tab.textContent === name));
    this.code.firstChild.textContent = this.snippets[name];
  }

  async copy() {
    await navigator.clipboard.writeText(this.code.textContent).catch(() => {});
    say("Copied.");
  }
}
