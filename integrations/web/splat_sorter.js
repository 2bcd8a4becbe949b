// A worker that sorts Gaussians from back to front: {packed, row} -> their numbers, far ones first.
// `packed` are packed16 bytes, kept until others come; depth is row[0..2] . mean + row[3].

const BINS = 65536;
const halves = new Float32Array(65536);
for (let bits = 0; bits < 65536; bits++) {
    const exponent = (bits >> 10) & 31, mantissa = bits & 1023;
    const size = exponent ? 2 ** (exponent - 15) * (1 + mantissa / 1024) : (2 ** -14 * mantissa) / 1024;
    halves[bits] = bits & 0x8000 ? -size : size;
}
let kept = new Uint16Array(0);

export function sortSplats(words, row) {
    const count = words.length / 8, depths = new Float32Array(count);
    let near = Infinity, far = -Infinity;
    for (let i = 0; i < count; i++) {
        const x = halves[words[8 * i + 2]], y = halves[words[8 * i + 3]], z = halves[words[8 * i + 4]];
        const depth = row[0] * x + row[1] * y + row[2] * z + row[3];
        depths[i] = depth;
        if (depth < near) near = depth;
        if (depth > far) far = depth;
    }
    const perBin = (BINS - 1) / Math.max(far - near, 1e-9), starts = new Uint32Array(BINS + 1);
    const bins = new Uint16Array(count);
    for (let i = 0; i < count; i++) {
        bins[i] = (far - depths[i]) * perBin;
        starts[bins[i] + 1]++;
    }
    for (let bin = 0; bin < BINS; bin++) starts[bin + 1] += starts[bin];
    const order = new Uint32Array(count);
    for (let i = 0; i < count; i++) order[starts[bins[i]]++] = i;
    return order;
}

globalThis.onmessage = ({ data }) => {
    if (data.packed) kept = new Uint16Array(data.packed);
    const order = sortSplats(kept, data.row);
    globalThis.postMessage(order, [order.buffer]);
};
