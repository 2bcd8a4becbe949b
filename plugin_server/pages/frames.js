// Frames of a session over a WebSocket, drawn on a canvas. Messages are those of proto/wire.md.

export const HEADER_BYTES = 112;
const RGBA8 = 1;
const JPEG = 2;
const RETRY_MS = 1000;
const SILENT_MS = 5000; // a session at rest repeats itself twice a second

/** Subprotocols, one of which says the token: a page can set no headers. */
function protocols(token) {
  if (!token) return ["flexavatar"];
  const letters = btoa(token).replace(/=+$/, "");
  return ["flexavatar", "bearer." + letters.replaceAll("+", "-").replaceAll("/", "_")];
}

/** What the header of a message says of a picture. */
function readFrame(message) {
  const header = new DataView(message);
  return {
    message,
    kind: header.getUint16(24, true),
    repeated: (header.getUint16(26, true) & 1) === 1,
    seq: header.getUint32(28, true),
    ptsNs: header.getBigUint64(32, true),
    serverNs: header.getBigUint64(40, true),
    width: header.getUint32(48, true),
    height: header.getUint32(52, true),
  };
}

/** The pictures of a session by its name or id. It waits for one, and comes back, by itself. */
export class FrameStream {
  /** `on.frame(frame)` for each picture; `on.lost(reason)` while there are none. */
  constructor(name, kinds, token, on) {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    this.url = `${scheme}//${location.host}/frames/${name}?kinds=${kinds}`;
    this.token = token;
    this.on = on;
    this.closed = false;
    this.connect();
  }

  connect() {
    const socket = new WebSocket(this.url, protocols(this.token));
    this.socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onclose = ({ reason }) => this.lose(reason);
    socket.onmessage = ({ data }) => {
      this.expectMore();
      const frame = readFrame(data);
      if (frame.kind === RGBA8 || frame.kind === JPEG) this.on.frame(frame);
    };
    this.expectMore();
  }

  expectMore() {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.lose("nothing came"), SILENT_MS);
  }

  lose(reason) {
    this.leave();
    if (this.closed) return;
    const why = reason || "the server is not there, or refuses the token";
    console.warn("no frames:", why);
    this.on.lost(why);
    this.retry = setTimeout(() => this.connect(), RETRY_MS);
  }

  leave() {
    clearTimeout(this.silence);
    this.socket.onmessage = this.socket.onclose = null;
    this.socket.close();
  }

  /** Hand over a drive packet; whether it could be sent. */
  send(packet) {
    if (this.socket.readyState !== WebSocket.OPEN) return false;
    this.socket.send(packet);
    return true;
  }

  close() {
    this.closed = true;
    clearTimeout(this.retry);
    this.leave();
  }
}

/** Draws the newest picture on a canvas, once for each picture of the screen. */
export class FramePainter {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.newest = null; // not drawn yet
    this.image = null;
    this.drawn = () => {};
  }

  show(frame) {
    if (this.newest === null) requestAnimationFrame(() => this.draw());
    this.newest = frame;
  }

  clear() {
    this.newest = null;
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  async draw() {
    const frame = this.newest;
    if (frame === null) return;
    this.newest = null;
    if (frame.kind === JPEG) await this.drawJpeg(frame);
    else this.drawRgba8(frame);
    this.drawn(frame);
  }

  resize({ width, height }) {
    if (this.canvas.width === width && this.canvas.height === height) return;
    this.canvas.width = width;
    this.canvas.height = height;
    this.image = null;
  }

  async drawJpeg(frame) {
    const file = new Blob([new Uint8Array(frame.message, HEADER_BYTES)], { type: "image/jpeg" });
    const picture = await createImageBitmap(file);
    this.resize(frame);
    this.context.drawImage(picture, 0, 0);
    picture.close();
  }

  drawRgba8(frame) {
    this.resize(frame);
    this.image ??= this.context.createImageData(frame.width, frame.height);
    straighten(new Uint8Array(frame.message, HEADER_BYTES), this.image.data);
    this.context.putImageData(this.image, 0, 0);
  }
}

/** Premultiplied colours to those that putImageData wants; it multiplies them back, exactly. */
function straighten(premultiplied, straight) {
  const pixels = new Uint32Array(premultiplied.buffer, premultiplied.byteOffset);
  new Uint32Array(straight.buffer).set(pixels);
  for (let i = 0; i < pixels.length; i++) {
    const alpha = pixels[i] >>> 24;
    if (alpha === 0 || alpha === 255) continue;
    const scale = 255 / alpha;
    for (let at = 4 * i; at < 4 * i + 3; at++) straight[at] = premultiplied[at] * scale; // rounds
  }
}
