// The browser's microphone moves the mouth: chunks of PCM by DriveAudioOnce, in order.

import { base64, call } from "/pages/calls.js";

const QUEUE = 25; // chunks; what comes on top while the server hangs is dropped
const AGAIN_MS = 500;

async function openMicrophone() {
  if (!navigator.mediaDevices) throw new Error("Camera and microphone need https, or a studio that runs on this machine (localhost).");
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, autoGainControl: true } });
  } catch (error) {
    const reasons = {
      NotAllowedError: "The microphone is not allowed here: allow it beside the address of this page, then try again.",
      NotFoundError: "No microphone was found: connect one, then try again.",
    };
    throw new Error(reasons[error.name] ?? `The microphone cannot be opened: ${error.message}`);
  }
}

/** Moves a stage's mouth until it is closed. */
export class MicrophoneDriver {
  /** `told(words, level)` hears how it goes; level is 0..1. Raises Error without a microphone. */
  static async open(stage, told) {
    const stream = await openMicrophone();
    const context = new AudioContext();
    await context.audioWorklet.addModule("/pages/microphone-worklet.js");
    return new MicrophoneDriver(stream, context, stage, told);
  }

  constructor(stream, context, stage, told) {
    this.stream = stream;
    this.context = context;
    this.stage = stage;
    this.told = told;
    this.waiting = []; // Int16Array
    this.position = 0; // samples that the server has
    this.sending = false;
    this.closed = false;
    const node = new AudioWorkletNode(context, "chunks", { numberOfOutputs: 0 });
    node.port.onmessage = ({ data }) => this.take(data);
    context.createMediaStreamSource(stream).connect(node);
  }

  take(chunk) {
    if (this.closed) return;
    let loudest = 0;
    for (const sample of chunk) loudest = Math.max(loudest, Math.abs(sample));
    this.told("", loudest / 32768);
    this.waiting.push(chunk);
    if (this.waiting.length > QUEUE) this.waiting.shift();
    if (!this.sending) this.send();
  }

  async send() {
    this.sending = true;
    while (this.waiting.length && !this.closed) {
      const chunks = this.waiting.splice(0);
      try {
        await this.push(new Blob(chunks), chunks.reduce((sum, { length }) => sum + length, 0));
      } catch (error) {
        this.told(error.message, 0);
        this.position = 0; // a sound that was over, or another's: begin a new one
        await call("InterruptAudio", this.stage.owner).catch(() => {});
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      }
    }
    this.sending = false;
  }

  async push(samples, count) {
    const header = { ...this.stage.owner, sampleRate: this.context.sampleRate, channels: 1, live: true };
    const chunk = await base64(samples);
    await call("DriveAudioOnce", { header, position: String(this.position), chunk });
    this.position += count;
  }

  close() {
    this.closed = true;
    for (const track of this.stream.getTracks()) track.stop();
    this.context.close();
    call("InterruptAudio", this.stage.owner).catch(() => {});
  }
}
