// What the page itself says of the face: sliders, expressions, the head's turn, the camera's place.

import { mirrored, PLACE, SHAPES } from "/pages/shapes.js";

const PACKET_BYTES = 336;
const WEIGHTS_AT = 72;
const PARTS = { arkit: 1, head: 2, orbit: 4 };
const TICK_MS = 33;
const ALIVE_MS = 10_000; // a session that nobody drives ends after some minutes
const SEEN_MS = 400; // a camera's face is as old as that at most
const RADIANS = Math.PI / 180;

/** Sends drive packets of one session, thirty a second while there is something to say. */
export class Driver {
  /** `send(packet)` hands one over; `session` is StartSession's answer. */
  constructor(session, send) {
    this.session = session;
    this.send = send;
    this.sliders = new Float32Array(SHAPES.length);
    this.expression = null; // weights by name
    this.head = { yaw: 0, pitch: 0, roll: 0 }; // degrees
    this.orbit = { yaw: 0, pitch: 0 }; // degrees
    this.profile = {}; // {gains, mirror}, as the server follows the camera
    this.seen = null; // {weights, neckPose, atMs} of the camera
    this.seq = 0;
    this.said = 0; // when a packet was sent last
    this.orbited = false;
    this.shown = new Float32Array(SHAPES.length); // newest known weights, for recordings
    this.timer = setInterval(() => this.tick(), TICK_MS);
  }

  close() {
    clearInterval(this.timer);
  }

  setSlider(name, weight) {
    this.sliders[PLACE[name]] = weight;
  }

  turn(yaw, pitch) {
    this.orbit = { yaw, pitch };
    this.orbited = true;
  }

  /** Take what the server saw in a picture of the camera, as the session follows it. */
  see({ face, weights = {}, head }) {
    if (!face) return void (this.seen = null);
    const { gains = {}, mirror = false } = this.profile;
    const turned = Object.entries(weights).map(([name, weight]) => [mirror ? mirrored(name) : name, weight]);
    const [x, y, z] = head?.neckPose ?? [0, 0, 0];
    this.seen = {
      weights: Object.fromEntries(turned.map(([name, weight]) => [name, weight * (gains[name] ?? 1)])),
      neckPose: mirror ? [x, -y, -z] : [x, y, z],
      atMs: performance.now(),
    };
    return undefined;
  }

  get turnsHead() {
    return Object.values(this.head).some((angle) => angle !== 0);
  }

  get hasFace() {
    return this.expression !== null || this.turnsHead || this.sliders.some((weight) => weight > 0);
  }

  tick() {
    const now = performance.now();
    const seen = this.seen !== null && now - this.seen.atMs < SEEN_MS ? this.seen : null;
    this.shown = this.weights(seen);
    let parts = this.hasFace ? PARTS.arkit | PARTS.head : 0;
    if (this.orbited || now - this.said > ALIVE_MS) parts |= PARTS.orbit;
    if (parts !== 0 && this.send(this.packet(parts, seen, now))) {
      this.said = now;
      this.orbited = false;
    }
  }

  /** Sliders and expression on top of what the camera sees. */
  weights(seen) {
    const sum = Float32Array.from(this.sliders);
    for (const source of [seen?.weights, this.expression]) {
      for (const [name, weight] of Object.entries(source ?? {})) sum[PLACE[name]] += weight;
    }
    return sum.map((weight) => Math.min(Math.max(weight, 0), 1));
  }

  packet(parts, seen, now) {
    const packet = new DataView(new ArrayBuffer(PACKET_BYTES));
    const text = (at, letters) => {
      for (let i = 0; i < letters.length; i++) packet.setUint8(at + i, letters.charCodeAt(i));
    };
    text(0, "FLXD");
    packet.setUint16(4, 1, true);
    packet.setUint16(6, parts, true);
    text(8, this.session.sessionId);
    text(24, this.session.ownerToken);
    packet.setUint32(56, ++this.seq, true);
    packet.setUint16(60, PACKET_BYTES, true);
    packet.setBigUint64(64, nowNs(now), true);
    const floats = (at, values) => {
      for (const [i, value] of values.entries()) packet.setFloat32(at + 4 * i, value, true);
    };
    if (parts & PARTS.arkit) floats(WEIGHTS_AT, this.shown);
    if (parts & PARTS.head) floats(280, this.neckPose(seen));
    if (parts & PARTS.orbit) floats(316, [this.orbit.yaw, this.orbit.pitch]);
    return packet.buffer;
  }

  neckPose(seen) {
    if (!this.turnsHead) return seen?.neckPose ?? [0, 0, 0];
    const { yaw, pitch, roll } = this.head;
    return [pitch * RADIANS, yaw * RADIANS, roll * RADIANS];
  }
}

/** The page's clock as a signal's time. */
export function nowNs(nowMs = performance.now()) {
  return BigInt(Math.round(nowMs * 1e6));
}
