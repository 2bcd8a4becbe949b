// The avatar and nothing else, on transparent ground: /view/NAME, with #token=... where one is asked.
// Messages are those of proto/wire.md.

const HEADER_BYTES = 112;
const RGBA8 = 1;
const RETRY_MS = 1000;
const SILENT_MS = 5000; // a session at rest repeats itself twice a second

const canvas = document.querySelector("canvas");
const context = canvas.getContext("2d");
let newest = null; // a message that is not drawn yet
let image = null;

/** Subprotocols, one of which says the token: a page can set no headers. */
function protocols() {
  const token = /[#&]token=([^&]*)/.exec(location.hash)?.[1];
  if (!token) return ["flexavatar"];
  const letters = btoa(decodeURIComponent(token)).replace(/=+$/, "");
  return ["flexavatar", "bearer." + letters.replaceAll("+", "-").replaceAll("/", "_")];
}

function connect() {
  const name = location.pathname.slice("/view/".length);
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const url = `${scheme}//${location.host}/frames/${name}?kinds=rgba8`;
  const socket = new WebSocket(url, protocols());
  socket.binaryType = "arraybuffer";
  let silence = setTimeout(lost, SILENT_MS, { reason: "nothing came" });

  function lost({ reason }) {
    clearTimeout(silence);
    socket.onmessage = socket.onclose = null;
    socket.close();
    console.warn("no frames:", reason || "the server is not there, or refuses the token");
    newest = null;
    context.clearRect(0, 0, canvas.width, canvas.height);
    setTimeout(connect, RETRY_MS);
  }

  socket.onclose = lost;
  socket.onmessage = ({ data }) => {
    clearTimeout(silence);
    silence = setTimeout(lost, SILENT_MS, { reason: "nothing came" });
    if (new DataView(data).getUint16(24, true) !== RGBA8) return;
    if (newest === null) requestAnimationFrame(draw);
    newest = data;
  };
}

function draw() {
  if (newest === null) return;
  const header = new DataView(newest);
  const width = header.getUint32(48, true);
  const height = header.getUint32(52, true);
  if (image === null || image.width !== width || image.height !== height) {
    canvas.width = width;
    canvas.height = height;
    image = context.createImageData(width, height);
  }
  straighten(new Uint8Array(newest, HEADER_BYTES), image.data);
  context.putImageData(image, 0, 0);
  newest = null;
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

connect();
