// Photos of whoever sits before the camera: from the front, from the left, from the right.

import { openCamera } from "/pages/camera.js";
import { element, say } from "/pages/page.js";

const POSES = [
  { name: "front", ask: "Look at the camera, at ease" },
  { name: "left", ask: "Turn a little to your left" },
  { name: "right", ask: "Turn a little to your right" },
];
const DARK = 60; // grey level of the middle of the picture
const BRIGHT = 225;
const CHECK_MS = 500;

/** A viewfinder that asks for three photos; what was taken may be used at any time. */
export class CameraShots {
  /** `done(files)` is called in the end. Raises Error if there is no camera. */
  static async open(done) {
    return new CameraShots(await openCamera({ width: 1280, height: 960 }), done);
  }

  constructor(video, done) {
    this.video = video;
    this.done = done;
    this.files = [];
    this.advice = element("p", { role: "status" });
    this.use = element("button", { type: "button", onclick: () => this.finish(), disabled: true }, "Use these photos");
    this.taken = element("div", { class: "chosen" });
    this.elements = [
      element("div", { class: "viewfinder" }, video, this.advice),
      this.taken,
      element("div", { class: "row" },
        element("button", { class: "main", type: "button", onclick: () => this.shoot() }, "Take the photo"),
        this.use,
        element("button", { class: "quiet", type: "button", onclick: () => this.cancel() }, "Cancel"),
      ),
    ];
    this.timer = setInterval(() => this.advise(), CHECK_MS);
  }

  picture(width) {
    const canvas = document.createElement("canvas");
    canvas.width = width;
    canvas.height = Math.round((width * this.video.videoHeight) / this.video.videoWidth);
    canvas.getContext("2d").drawImage(this.video, 0, 0, canvas.width, canvas.height);
    return canvas;
  }

  advise() {
    const small = this.picture(32);
    const [across, down] = [small.width >> 1, small.height >> 1];
    const { data } = small.getContext("2d").getImageData(across >> 1, down >> 1, across, down);
    let sum = 0;
    for (let i = 0; i < data.length; i += 4) sum += data[i] + data[i + 1] + data[i + 2];
    const grey = sum / (0.75 * data.length);
    const ask = POSES[Math.min(this.files.length, POSES.length - 1)].ask;
    const words = grey < DARK ? "It is too dark: turn on a light before you" : grey > BRIGHT ? "It is too bright: turn away from the light" : ask;
    if (this.advice.textContent !== words) this.advice.textContent = words;
  }

  async shoot() {
    const canvas = this.picture(this.video.videoWidth);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.95));
    const { name } = POSES[this.files.length];
    this.files.push(new File([blob], `me-${name}.jpg`, { type: "image/jpeg" }));
    this.taken.append(element("img", { src: canvas.toDataURL("image/jpeg", 0.6), alt: `Photo from the ${name}` }));
    this.use.disabled = false;
    if (this.files.length === POSES.length) return this.finish();
    say("Good. One more from the side makes it better, or use what you have.");
    return this.advise();
  }

  close() {
    clearInterval(this.timer);
    for (const track of this.video.srcObject?.getTracks() ?? []) track.stop();
  }

  cancel() {
    this.files = [];
    this.finish();
  }

  finish() {
    this.close();
    this.done(this.files);
  }
}
