// Gaussians in 16 bytes each, as proto/wire.md has them.

const FARTHEST = 65504; // the largest number of float16
const one = new Float32Array(1), oneBits = new Uint32Array(one.buffer);

// The bits of a float32 as a float16's, rounded to even.
function toHalf(bits) {
    const sign = (bits >>> 16) & 0x8000, size = bits & 0x7fffffff;
    if (size < 0x38800000) {
        oneBits[0] = size;
        one[0] += 0.5; // denormal: adding 0.5 shifts the mantissa into place
        return sign | (oneBits[0] - 0x3f000000);
    }
    return sign | (((size + 0xc8000fff + ((size >>> 13) & 1)) >>> 13) & 0xffff);
}

// ln of a positive float32 of these bits, to 1e-5: exponent, and a series for the mantissa.
function logOf(bits) {
    const m = 1 + (bits & 0x7fffff) / 0x800000, t = (m - 1) / (m + 1), t2 = t * t;
    const series = 1 + t2 * (1 / 3 + t2 * (0.2 + t2 * (1 / 7 + t2 / 9)));
    return ((bits >>> 23) - 127) * Math.LN2 + 2 * t * series;
}

// atan2 for y, x >= 0, not both 0, to 1e-5 (Abramowitz and Stegun 4.4.49).
function angleOf(y, x) {
    const q = Math.min(x, y) / Math.max(x, y, 1e-30), q2 = q * q;
    const tail = 0.180141 + q2 * (-0.085133 + q2 * 0.0208351);
    const angle = q * (0.999866 + q2 * (-0.3302995 + q2 * tail));
    return y > x ? Math.PI / 2 - angle : angle;
}

const toByte = (unit) => (unit < 0 ? 0 : unit > 1 ? 255 : (unit * 255 + 0.5) | 0);

// wxyz at `at` -> octahedral axis u, v and the angle.
function packTurn(quats, at, out, to) {
    const w = quats[at], side = w < 0 ? -1 : 1;
    let x = quats[at + 1] * side, y = quats[at + 2] * side;
    const z = quats[at + 3] * side;
    const angle = angleOf(Math.sqrt(x * x + y * y + z * z), Math.abs(w));
    const size = Math.max(Math.abs(x) + Math.abs(y) + Math.abs(z), 1e-20);
    x /= size;
    y /= size;
    if (z < 0) {
        const foldedX = 1 - Math.abs(y), foldedY = 1 - Math.abs(x);
        x = x < 0 ? -foldedX : foldedX;
        y = y < 0 ? -foldedY : foldedY;
    }
    out[to + 10] = x * 127.5 + 128;
    out[to + 11] = y * 127.5 + 128;
    out[to + 15] = angle * (510 / Math.PI) + 0.5;
}

// {means, quats, scales, opacities, colors} -> `out`, Uint8Array [16 N]; `logs` is the scales'
// range. What is not finite, or too far, is sixteen zeros.
export function pack16(splats, logs, out) {
    const { means, quats, scales, opacities, colors } = splats;
    const count = opacities.length;
    const perStep = 254 / (logs[1] - logs[0]);
    const meanBits = new Uint32Array(means.buffer), scaleBits = new Uint32Array(scales.buffer);
    const halves = new Uint16Array(out.buffer);
    for (let i = 0; i < count; i++) {
        const to = 16 * i, from = 3 * i;
        const sum = opacities[i] + means[from] + means[from + 1] + means[from + 2] +
            scales[from] + scales[from + 1] + scales[from + 2] +
            colors[from] + colors[from + 1] + colors[from + 2] + quats[4 * i];
        if (!(Math.abs(sum) < FARTHEST)) {
            out.fill(0, to, to + 16);
            continue;
        }
        for (let k = 0; k < 3; k++) {
            out[to + k] = toByte(colors[from + k]);
            halves[8 * i + 2 + k] = toHalf(meanBits[from + k]);
            const step = (logOf(scaleBits[from + k]) - logs[0]) * perStep + 1.5;
            out[to + 12 + k] = scales[from + k] > 0 ? (step < 1 ? 1 : step > 255 ? 255 : step) : 0;
        }
        out[to + 3] = toByte(opacities[i]);
        packTurn(quats, 4 * i, out, to);
    }
    return out;
}
