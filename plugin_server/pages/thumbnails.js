// What avatars look like in the list: one frame of a short session each, kept in the browser.

import { call, token } from "/pages/calls.js";
import { FramePainter, FrameStream } from "/pages/frames.js";
import { pictures } from "/pages/keep.js";

const SIDE = 320;
const TIMEOUT_MS = 20_000;
let turn = Promise.resolve(); // one after the other: each loads an avatar

/** A picture of an avatar of ListAvatars, a Blob. */
export async function takePicture({ name, createdUnixMs }) {
  const kept = await pictures.get(name).catch(() => null);
  if (kept?.createdUnixMs === createdUnixMs) return kept.blob;
  const taking = turn.then(() => photograph(name));
  turn = taking.catch(() => {});
  const blob = await taking;
  await pictures.put(name, { createdUnixMs, blob }).catch(() => {});
  return blob;
}

async function photograph(avatar) {
  const session = await call("StartSession", { avatar, width: SIDE, height: SIDE, maxFps: 5 });
  try {
    return await firstPicture(session.sessionId);
  } finally {
    const { sessionId, ownerToken } = session;
    call("EndSession", { sessionId, ownerToken }).catch(() => {});
  }
}

function firstPicture(sessionId) {
  const canvas = document.createElement("canvas");
  const painter = new FramePainter(canvas);
  return new Promise((resolve, reject) => {
    const stream = new FrameStream(sessionId, "rgba8", token, {
      frame: async (frame) => {
        finish();
        painter.newest = frame;
        await painter.draw();
        canvas.toBlob((blob) => resolve(blob), "image/webp", 0.9);
      },
      lost: () => {},
    });
    const late = setTimeout(() => {
      finish();
      reject(new Error("no picture came"));
    }, TIMEOUT_MS);
    function finish() {
      clearTimeout(late);
      stream.close();
    }
  });
}
