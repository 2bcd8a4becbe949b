// Damaged files: node refuse_baked.mjs WHOLE FOLDER -> how many of the folder's files, and of 300
// fuzzed ones, were refused in words; any other way to fail ends the program.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { BakedAvatar } from "../../../integrations/web/baked_avatar.js";

const [whole, folder] = process.argv.slice(2);

function isRefused(bytes) {
    try {
        new BakedAvatar(bytes).pose(new Float32Array(52).fill(0.4), [0.1, 0, 0]);
        return false;
    } catch (error) {
        if (!error.message.startsWith("baked avatar: ")) throw error;
        return true;
    }
}

let seed = 22;
const below = (count) => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) % count;
const data = readFileSync(whole);
const result = { refused: 0, fuzzed: 0, fuzzed_refused: 0 };
for (const name of readdirSync(folder)) result.refused += isRefused(readFileSync(join(folder, name)));
for (; result.fuzzed < 300; result.fuzzed++) {
    const spoilt = new Uint8Array(data);
    for (let i = below(8) + 1; i > 0; i--)
        spoilt[below([64, 5000, data.length][below(3)])] = below(256);
    const length = below(3) ? data.length : below(data.length);
    result.fuzzed_refused += isRefused(spoilt.subarray(0, length));
}
console.log(JSON.stringify(result));
