// Messages of splats to Spark's packed array, which has our 16 bytes as they are: proto/wire.md.

const HEADER_BYTES = 112;
const CHUNK_WORDS = 256 * 4;
const SPLATS_KEY = 4;
const SPLATS_DELTA = 5;

export function readHeader(message) {
  const view = new DataView(message);
  const magic = String.fromCharCode(...new Uint8Array(message, 0, 4));
  const version = view.getUint16(4, true);
  if (magic !== "FLXA" || version !== 1) throw new Error("not a message of version 1");
  if (view.getUint32(64, true) !== message.byteLength - HEADER_BYTES) throw new Error("truncated");
  return {
    kind: view.getUint16(24, true),
    seq: view.getUint32(28, true),
    count: view.getUint32(56, true),
    baseSeq: view.getUint32(60, true),
    lnScaleMin: view.getFloat32(72, true),
    lnScaleMax: view.getFloat32(76, true),
  };
}

export class SplatDecoder {
  constructor() {
    this.key = null; // Uint32Array, four words a splat
    this.keySeq = -1;
  }

  // What a message shows, put into `words`; false if its keyframe is missing.
  feed(header, message, words) {
    if (header.kind === SPLATS_KEY) {
      this.key = new Uint32Array(message, HEADER_BYTES);
      this.keySeq = header.seq;
      words.set(this.key);
      return true;
    }
    if (header.kind !== SPLATS_DELTA || header.baseSeq !== this.keySeq) return false;
    const chunks = Math.ceil(header.count / 256);
    const bitmap = new Uint8Array(message, HEADER_BYTES, Math.ceil(chunks / 128) * 16);
    const changed = new Uint32Array(message, HEADER_BYTES + bitmap.length);
    words.set(this.key);
    let read = 0;
    for (let chunk = 0; chunk < chunks; chunk++) {
      if (!((bitmap[chunk >> 3] >> (chunk & 7)) & 1)) continue;
      const size = Math.min(CHUNK_WORDS, 4 * header.count - chunk * CHUNK_WORDS);
      words.set(changed.subarray(read, read + size), chunk * CHUNK_WORDS);
      read += size;
    }
    if (read !== changed.length) throw new Error("chunks do not fit the bitmap");
    return true;
  }
}
