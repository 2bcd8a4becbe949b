// The one session that the page shows: found again after a reload, else started.

import { call, CallError, token } from "/pages/calls.js";
import { Driver } from "/pages/drive.js";
import { FramePainter, FrameStream } from "/pages/frames.js";
import { keep, recall } from "/pages/keep.js";

const KINDS = ["STREAM_KIND_RGBA8", "STREAM_KIND_JPEG"];
const SIDE = 512;
const MAX_FPS = 30;
const NAMES = 4; // tabs that may show the same avatar
const GONE = ["not_found", "permission_denied"];
const LOCAL = ["localhost", "127.0.0.1", "[::1]"];

/** Raw pixels keep the alpha but take a megabyte each: from afar JPEG comes instead. */
const FORMAT = LOCAL.includes(location.hostname) ? "rgba8" : "jpeg";

/** Other programs' ports that are open: [{source, address, sender ...}]. */
export async function gateways() {
  return (await call("GetServerInfo")).gateways ?? [];
}

async function request(avatar) {
  const phones = [...new Set((await gateways()).map(({ source }) => source))];
  const sources = ["drive", "webcam", ...phones, "audio"].map((name) => ({ name }));
  return { avatar, width: SIDE, height: SIDE, kinds: KINDS, maxFps: MAX_FPS, sources, profile: true };
}

/** StartSession's answer, and the session's name. */
async function start(avatar) {
  const fields = await request(avatar);
  const before = recall("session");
  if (before?.avatar === avatar) {
    const resume = { sessionId: before.sessionId, ownerToken: before.ownerToken };
    try {
      return { ...(await call("StartSession", { ...fields, name: before.name, resume })), name: before.name };
    } catch (error) {
      if (!(error instanceof CallError) || !GONE.includes(error.code)) throw error;
    }
  }
  for (let number = 1; ; number++) {
    const name = `${avatar.slice(0, 52)}-studio${number > 1 ? number : ""}`;
    try {
      return { ...(await call("StartSession", { ...fields, name })), name };
    } catch (error) {
      if (error.code !== "already_exists" || number === NAMES) throw error;
    }
  }
}

/** A running session: its pictures on a canvas, and what drives it. */
export class Stage {
  /** `on.lost(reason)` while no pictures come, `on.found()` once they do. Raises CallError. */
  static async open(avatar, canvas, on) {
    const session = await start(avatar);
    const { sessionId, ownerToken, name } = session;
    keep("session", { avatar, sessionId, ownerToken, name });
    return new Stage(avatar, session, canvas, on);
  }

  constructor(avatar, session, canvas, on) {
    this.avatar = avatar;
    this.session = session;
    this.painter = new FramePainter(canvas);
    this.watchers = new Set(); // called with every picture
    this.lost = true;
    this.stream = new FrameStream(session.sessionId, FORMAT, token, {
      frame: (frame) => this.take(frame, on),
      lost: (reason) => {
        this.lost = true;
        on.lost(reason);
      },
    });
    this.driver = new Driver(session, (packet) => this.stream.send(packet));
  }

  take(frame, on) {
    if (this.lost) on.found();
    this.lost = false;
    this.painter.show(frame);
    for (const watch of this.watchers) watch(frame);
  }

  get owner() {
    const { sessionId, ownerToken } = this.session;
    return { sessionId, ownerToken };
  }

  get viewUrl() {
    return `${location.origin}/view/${this.session.name}`;
  }

  /** Look away; the session goes on for whoever else reads it, until it is not driven any more. */
  leave() {
    this.driver.close();
    this.stream.close();
  }

  /** End it for everybody. */
  async end() {
    this.leave();
    keep("session", null);
    await call("EndSession", this.owner).catch(() => {});
  }
}
