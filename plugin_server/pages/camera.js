// The browser's camera drives a session: pictures go to the server, which looks for the face.

import { base64, call } from "/pages/calls.js";
import { nowNs } from "/pages/drive.js";
import { element } from "/pages/page.js";

const WIDTH = 640; // of what is sent
const QUALITY = 0.85;
const PAUSE_MS = 300; // after a failure

/** A video element with what the camera sees. Raises Error that says what to do. */
export async function openCamera(size) {
  if (!navigator.mediaDevices) throw new Error("Camera and microphone need https, or a studio that runs on this machine (localhost).");
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: size.width, height: size.height } });
    const video = element("video", { muted: true, playsinline: "", "aria-label": "What the camera sees" });
    video.srcObject = stream;
    await video.play();
    return video;
  } catch (error) {
    const reasons = {
      NotAllowedError: "The camera is not allowed here: allow it beside the address of this page, then try again.",
      NotFoundError: "No camera was found: connect one, then try again.",
      NotReadableError: "The camera is in use by another program: close that one, then try again.",
    };
    throw new Error(reasons[error.name] ?? `The camera cannot be opened: ${error.message}`);
  }
}

/** Drives a stage by the camera until it is closed. */
export class CameraDriver {
  /** `told(words)` hears how it goes. Raises Error if there is no camera. */
  static async open(stage, told) {
    return new CameraDriver(await openCamera({ width: WIDTH, height: 480 }), stage, told);
  }

  constructor(video, stage, told) {
    this.video = video;
    this.stage = stage;
    this.told = told;
    this.closed = false;
    this.learn = true;
    this.looked = []; // milliseconds that the newest pictures took
    this.run();
  }

  /** Learn anew how this person looks at rest. */
  calibrate() {
    this.learn = true;
  }

  async run() {
    while (!this.closed) {
      try {
        await this.nextPicture();
        await this.look();
      } catch (error) {
        if (this.closed) return;
        this.told(error.message);
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    }
  }

  nextPicture() {
    const { video } = this;
    if (!("requestVideoFrameCallback" in video)) return new Promise((resolve) => setTimeout(resolve, 33));
    return new Promise((resolve) => {
      const late = setTimeout(resolve, 500); // hidden tabs get no callbacks
      video.requestVideoFrameCallback(() => {
        clearTimeout(late);
        resolve();
      });
    });
  }

  async look() {
    const began = performance.now();
    const picture = await base64(await this.picture());
    const calibrate = this.learn;
    const answer = await call("DrivePicture", { ...this.stage.owner, ptsNs: String(nowNs(began)), picture, calibrate });
    if (calibrate) this.learn = false;
    if (this.closed) return;
    this.stage.driver.see(answer);
    this.looked = [...this.looked.slice(-29), performance.now() - began];
    this.told(answer.face ? (answer.calibrated ? "" : "Look ahead, at ease …") : "No face in the picture: move into the light");
  }

  /** JPEG of what the camera sees now. */
  async picture() {
    const { videoWidth, videoHeight } = this.video;
    const scale = Math.min(1, WIDTH / videoWidth);
    const size = [Math.round(videoWidth * scale), Math.round(videoHeight * scale)];
    this.canvas ??= new OffscreenCanvas(...size);
    [this.canvas.width, this.canvas.height] = size;
    this.canvas.getContext("2d").drawImage(this.video, 0, 0, ...size);
    return this.canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
  }

  close() {
    this.closed = true;
    this.stage.driver.see({ face: false });
    for (const track of this.video.srcObject.getTracks()) track.stop();
    this.video.remove();
  }
}
