// Sound of the microphone in signed 16 bit, forty milliseconds at a time. Runs on the sound's thread.

const CHUNK_S = 0.04;

class Chunks extends AudioWorkletProcessor {
  constructor() {
    super();
    this.chunk = new Int16Array(Math.round(CHUNK_S * sampleRate));
    this.filled = 0;
  }

  process([[samples]]) {
    for (const sample of samples ?? []) {
      this.chunk[this.filled++] = Math.round(32767 * Math.min(Math.max(sample, -1), 1));
      if (this.filled < this.chunk.length) continue;
      this.port.postMessage(this.chunk.slice());
      this.filled = 0;
    }
    return true;
  }
}

registerProcessor("chunks", Chunks);
