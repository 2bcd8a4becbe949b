// Records what the stage shows as a video, and what drives it as a table.

import { SHAPES } from "/pages/shapes.js";

const FPS = 30;
const BITS_PER_S = 8_000_000;
const FORMATS = ["video/mp4;codecs=avc1.42E01F,mp4a.40.2", "video/mp4", "video/webm;codecs=vp9,opus", "video/webm"];

/** The first of FORMATS that this browser records; MP4 if it can. */
export function videoFormat() {
  return FORMATS.find((format) => MediaRecorder.isTypeSupported(format));
}

/** The picture over its background, with the microphone's sound if it is on. */
export class VideoRecorder {
  constructor(stage, color, sound) {
    this.stage = stage;
    this.color = color; // "" leaves the ground transparent, black where the format has no alpha
    this.canvas = document.createElement("canvas");
    this.context = this.canvas.getContext("2d");
    this.watch = () => this.draw();
    stage.painter.drawn = this.watch;
    this.draw();
    const stream = this.canvas.captureStream(FPS);
    for (const track of sound?.getAudioTracks() ?? []) stream.addTrack(track.clone());
    this.parts = [];
    this.recorder = new MediaRecorder(stream, { mimeType: videoFormat(), videoBitsPerSecond: BITS_PER_S });
    this.recorder.ondataavailable = ({ data }) => this.parts.push(data);
    this.recorder.start(1000);
  }

  draw() {
    const { canvas } = this.stage.painter;
    if (this.canvas.width !== canvas.width || this.canvas.height !== canvas.height) {
      [this.canvas.width, this.canvas.height] = [canvas.width, canvas.height];
    }
    this.context.clearRect(0, 0, canvas.width, canvas.height);
    this.context.fillStyle = this.color || "transparent";
    this.context.fillRect(0, 0, canvas.width, canvas.height);
    this.context.drawImage(canvas, 0, 0);
  }

  /** The video, a Blob, and how its name ends. */
  async stop() {
    const stopped = new Promise((resolve) => (this.recorder.onstop = resolve));
    this.recorder.stop();
    await stopped;
    this.stage.painter.drawn = () => {};
    for (const track of this.recorder.stream.getTracks()) track.stop();
    const type = this.recorder.mimeType;
    return { blob: new Blob(this.parts, { type }), ending: type.startsWith("video/mp4") ? "mp4" : "webm" };
  }
}

/** The 52 weights, thirty rows a second, as `flexavatar drive --from` plays them. */
export class TableRecorder {
  constructor(stage) {
    this.driver = stage.driver;
    this.began = performance.now();
    this.rows = [["seconds", ...SHAPES, "HeadYaw", "HeadPitch", "HeadRoll"].join(",")];
    this.timer = setInterval(() => this.add(), 1000 / FPS);
  }

  add() {
    const seconds = ((performance.now() - this.began) / 1000).toFixed(4);
    const weights = [...this.driver.shown].map((weight) => weight.toFixed(4));
    const [pitch, yaw, roll] = this.driver.neckPose(this.driver.seen);
    this.rows.push([seconds, ...weights, ...[yaw, pitch, roll].map((angle) => angle.toFixed(5))].join(","));
  }

  /** The table, a Blob, and how its name ends. */
  async stop() {
    clearInterval(this.timer);
    return { blob: new Blob([this.rows.join("\n"), "\n"], { type: "text/csv" }), ending: "csv" };
  }
}
