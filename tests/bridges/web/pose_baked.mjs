// The golden set by the page's module: node pose_baked.mjs FILE POSES -> one line of JSON: largest
// differences, steps of packed16 among them. With `time` for POSES: milliseconds of a frame.
import { readFileSync } from "node:fs";
import { BakedAvatar } from "../../../integrations/web/baked_avatar.js";

const [file, poses] = process.argv.slice(2);
const avatar = new BakedAvatar(readFileSync(file));
const WIDTHS = { means: 3, quats: 4, scales: 3, opacities: 1, colors: 3 };

function compare() {
    const bytes = readFileSync(poses);
    const data = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
    const worst = Object.fromEntries(Object.keys(WIDTHS).map((name) => [name, 0]));
    let at = 0, steps = 0;
    const floats = (count) => new Float32Array(data, (at += 4 * count) - 4 * count, count);
    while (at < data.byteLength) {
        const shown = avatar.pose(floats(52), [...floats(3)]);
        for (const [name, width] of Object.entries(WIDTHS))
            floats(width * avatar.count).forEach((x, i) => {
                worst[name] = Math.max(worst[name], Math.abs(x - shown[name][i]));
            });
        const wanted = new Uint8Array(data, at, 16 * avatar.count);
        at += wanted.length;
        steps = Math.max(steps, largestStep(avatar.pack(), wanted));
    }
    return { ...worst, steps };
}

// Bytes 4 to 9 of sixteen are three float16, whose bits rise with them.
function largestStep(packed, wanted) {
    let most = 0;
    for (let i = 0; i < packed.length; i++) {
        const half = i % 16 >= 4 && i % 16 < 10;
        if (half && i % 2) continue;
        const value = (bytes) => (half ? bytes[i] + 256 * bytes[i + 1] : bytes[i]);
        most = Math.max(most, Math.abs(value(packed) - value(wanted)));
    }
    return most;
}

function time() {
    const weights = new Float32Array(52).fill(0.3), frames = [];
    for (let i = 0; i < 200; i++) {
        const start = performance.now();
        avatar.pose(weights, [0.1, 0.1, 0]);
        avatar.pack();
        frames.push(performance.now() - start);
    }
    frames.sort((a, b) => a - b);
    return { splats: avatar.count, p50: frames[100], p95: frames[190] };
}

console.log(JSON.stringify(poses === "time" ? time() : compare()));
