// Small matrices, by rows, and quaternions, wxyz, of a surface that moves.

const FOLDED = 0.05; // determinant below which a gradient has no turn
const POLAR_STEPS = 6;
export const IDENTITY = [1, 0, 0, 0, 1, 0, 0, 0, 1];

export const dot4 = (q, a, b) =>
    q[a] * q[b] + q[a + 1] * q[b + 1] + q[a + 2] * q[b + 2] + q[a + 3] * q[b + 3];
export const within = (x, low, high) => (x < low ? low : x > high ? high : x);

// Two edges and the unit normal of a face, as columns of a matrix by rows.
export function faceEdges(points, faces, face, out) {
    const a = 3 * faces[3 * face], b = 3 * faces[3 * face + 1], c = 3 * faces[3 * face + 2];
    const px = points[b] - points[a], qx = points[c] - points[a];
    const py = points[b + 1] - points[a + 1], qy = points[c + 1] - points[a + 1];
    const pz = points[b + 2] - points[a + 2], qz = points[c + 2] - points[a + 2];
    const nx = py * qz - pz * qy, ny = pz * qx - px * qz, nz = px * qy - py * qx;
    const length = Math.sqrt(nx * nx + ny * ny + nz * nz), inverse = 1 / Math.max(length, 1e-20);
    out[0] = px, out[1] = qx, out[2] = nx * inverse;
    out[3] = py, out[4] = qy, out[5] = ny * inverse;
    out[6] = pz, out[7] = qz, out[8] = nz * inverse;
    return length / 2;
}

export function invert(m, out, at) {
    const c0 = m[4] * m[8] - m[5] * m[7], c1 = m[5] * m[6] - m[3] * m[8];
    const c2 = m[3] * m[7] - m[4] * m[6], scale = 1 / (m[0] * c0 + m[1] * c1 + m[2] * c2);
    const cofactors = [
        c0, m[2] * m[7] - m[1] * m[8], m[1] * m[5] - m[2] * m[4],
        c1, m[0] * m[8] - m[2] * m[6], m[2] * m[3] - m[0] * m[5],
        c2, m[1] * m[6] - m[0] * m[7], m[0] * m[4] - m[1] * m[3],
    ];
    for (let i = 0; i < 9; i++) out[at + i] = cofactors[i] * scale;
}

// Rodrigues' formula: axis-angle -> a matrix by rows.
export function turnOf([x, y, z]) {
    const squared = x * x + y * y + z * z, angle = Math.sqrt(squared);
    const small = squared < 1e-8;
    const s = small ? 1 - squared / 6 : Math.sin(angle) / angle;
    const v = small ? 0.5 - squared / 24 : (1 - Math.cos(angle)) / squared;
    return [
        1 - v * (y * y + z * z), v * x * y - s * z, v * x * z + s * y,
        v * x * y + s * z, 1 - v * (x * x + z * z), v * y * z - s * x,
        v * x * z - s * y, v * y * z + s * x, 1 - v * (x * x + y * y),
    ];
}

// Nearest rotation to the matrix in `m`, there, by Higham's iteration; none where it is folded.
export function makeRotation(m) {
    for (let step = 0; step <= POLAR_STEPS; step++) {
        const c0 = m[4] * m[8] - m[5] * m[7], c1 = m[5] * m[6] - m[3] * m[8];
        const c2 = m[3] * m[7] - m[4] * m[6], det = m[0] * c0 + m[1] * c1 + m[2] * c2;
        if (step === 0 && det < FOLDED) {
            for (let i = 0; i < 9; i++) m[i] = IDENTITY[i];
            return;
        }
        if (step === POLAR_STEPS) return;
        const half = 0.5 / det;
        const c3 = m[7] * m[2] - m[8] * m[1], c4 = m[8] * m[0] - m[6] * m[2];
        const c5 = m[6] * m[1] - m[7] * m[0], c6 = m[1] * m[5] - m[2] * m[4];
        const c7 = m[2] * m[3] - m[0] * m[5], c8 = m[0] * m[4] - m[1] * m[3];
        m[0] = 0.5 * m[0] + half * c0, m[1] = 0.5 * m[1] + half * c1, m[2] = 0.5 * m[2] + half * c2;
        m[3] = 0.5 * m[3] + half * c3, m[4] = 0.5 * m[4] + half * c4, m[5] = 0.5 * m[5] + half * c5;
        m[6] = 0.5 * m[6] + half * c6, m[7] = 0.5 * m[7] + half * c7, m[8] = 0.5 * m[8] + half * c8;
    }
}

// A rotation's unit quaternion, wxyz with w >= 0, at `at`.
export function writeQuat(m, out, at) {
    const x = m[7] - m[5], y = m[2] - m[6], z = m[3] - m[1];
    const xy = m[1] + m[3], xz = m[2] + m[6], yz = m[5] + m[7];
    const w0 = 1 + m[0] + m[4] + m[8], x0 = 1 + m[0] - m[4] - m[8];
    const y0 = 1 - m[0] + m[4] - m[8], z0 = 1 - m[0] - m[4] + m[8];
    let a = w0, b = x, c = y, d = z, best = w0;
    if (x0 > best) (best = x0), (a = x), (b = x0), (c = xy), (d = xz);
    if (y0 > best) (best = y0), (a = y), (b = xy), (c = y0), (d = yz);
    if (z0 > best) (best = z0), (a = z), (b = xz), (c = yz), (d = z0);
    const scale = (a < 0 ? -1 : 1) / Math.sqrt(a * a + b * b + c * c + d * d);
    out[at] = a * scale, out[at + 1] = b * scale, out[at + 2] = c * scale, out[at + 3] = d * scale;
}
