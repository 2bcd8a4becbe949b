// Poses a baked avatar from ARKit's 52 weights: a page needs no server. See docs/baked.md.

import { readBaked } from "./baked_file.js";
import { pack16 } from "./packed16.js";
import {
    IDENTITY, dot4, faceEdges, invert, makeRotation, turnOf, within, writeQuat,
} from "./surface_maths.js";

export const ARKIT_NAMES = [
    ...["Left", "Right"].flatMap((side) =>
        ["Blink", "LookDown", "LookIn", "LookOut", "LookUp", "Squint", "Wide"].map(
            (shape) => `eye${shape}${side}`)),
    ...["Forward", "Left", "Right", "Open"].map((shape) => `jaw${shape}`),
    ...["Close", "Funnel", "Pucker", "Left", "Right"].map((shape) => `mouth${shape}`),
    ...["Smile", "Frown", "Dimple", "Stretch"].flatMap((shape) =>
        ["Left", "Right"].map((side) => `mouth${shape}${side}`)),
    ...["RollLower", "RollUpper", "ShrugLower", "ShrugUpper"].map((shape) => `mouth${shape}`),
    ...["Press", "LowerDown", "UpperUp"].flatMap((shape) =>
        ["Left", "Right"].map((side) => `mouth${shape}${side}`)),
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "noseSneerLeft", "noseSneerRight",
    "tongueOut",
];
const JAW_OPEN = ARKIT_NAMES.indexOf("jawOpen"), MOUTH_CLOSE = ARKIT_NAMES.indexOf("mouthClose");
const SLIVER = 1e-12; // m^2: a face below it has no say
const STRETCH = [0.4, 3];
const FOLD_RANGE = [0.5, 0.9];

export class BakedAvatar {
    // `data`: the file's bytes. Throws Error where it is none.
    constructor(data) {
        const baked = readBaked(data);
        const { arrays, vertices, faces, splats } = baked;
        Object.assign(this, arrays);
        this.baked = baked;
        this.count = splats;
        this.camera = baked.camera;
        this.scaleLogs = baked.packed_scale_logs;
        const [low, high] = baked.scale_logs;
        this.sizes = Float32Array.from(this.scales, (x) => Math.exp(low + (x * (high - low)) / 65535));
        for (let v = 0; v < vertices; v++) {
            const row = this.lbs_weights.subarray(5 * v, 5 * v + 5);
            const sum = Math.max(row.reduce((a, b) => a + b, 0), 1e-9);
            for (let j = 0; j < 5; j++) row[j] /= sum;
        }
        this._measureFaces(vertices, faces);
        this._measureSplats(splats);
        this.moved = new Float32Array(3 * vertices); // before skinning
        this.posed = new Float32Array(3 * vertices);
        this.gradients = new Float32Array(9 * vertices);
        this.turns = new Float32Array(4 * vertices);
        this.shown = Object.fromEntries(
            [["means", 3], ["quats", 4], ["scales", 3], ["opacities", 1], ["colors", 3]].map(
                ([name, width]) => [name, new Float32Array(width * splats)]));
        this.packed = new Uint8Array(16 * splats);
        this._writeStill();
    }

    // Inverses of the faces' edges at rest, and each face's share of its corners.
    _measureFaces(vertices, faces) {
        const totals = new Float64Array(vertices), areas = new Float64Array(faces), edges = [];
        this.inverses = new Float32Array(9 * faces);
        for (let f = 0; f < faces; f++) {
            areas[f] = faceEdges(this.template, this.faces, f, edges);
            if (areas[f] <= SLIVER) continue;
            invert(edges, this.inverses, 9 * f);
            for (let k = 0; k < 3; k++) totals[this.faces[3 * f + k]] += areas[f];
        }
        this.faceShares = new Float32Array(3 * faces);
        for (let i = 0; i < 3 * faces; i++) {
            const area = areas[(i / 3) | 0];
            this.faceShares[i] = area > SLIVER ? area / totals[this.faces[i]] : 0;
        }
        this.loose = [...totals.keys()].filter((v) => totals[v] === 0);
    }

    // Unit turns, and the axes that they turn the splats to.
    _measureSplats(count) {
        this.axes = new Float32Array(9 * count);
        for (let i = 0; i < count; i++) {
            const q = this.quats.subarray(4 * i, 4 * i + 4), length = Math.hypot(...q) || 1;
            const [w, x, y, z] = q.map((part) => part / length);
            q.set([w, x, y, z]);
            this.axes.set([
                1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y),
                2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x),
                2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y),
            ], 9 * i);
        }
    }

    _writeStill() {
        this.shown.colors.set(this.colors);
        this.shown.opacities.set(this.opacities);
        this.foldingIds = [];
        for (let i = 0; i < this.count; i++)
            if (this.lids[2 * i] || this.lids[2 * i + 1]) this.foldingIds.push(i);
    }

    // ARKit's weights in Apple's order, the neck's axis-angle in radians ->
    // {means, quats, scales, opacities, colors}: Float32Arrays that the next call writes again.
    pose(weights, neck = [0, 0, 0]) {
        const shares = this.fieldWeights(weights);
        this._moveVertices(shares, neck);
        this._moveSurface();
        this._moveSplats();
        this._foldLids();
        this._changeColors(shares);
        return this.shown;
    }

    // What was posed last, in 16 bytes a splat.
    pack() {
        return pack16(this.shown, this.scaleLogs, this.packed);
    }

    // How far each field moves the mesh.
    fieldWeights(weights) {
        const { products, fields } = this.baked;
        const shares = new Float32Array(fields);
        for (let i = 0; i < 52; i++) shares[i] = within(weights[i] || 0, 0, 1);
        shares[MOUTH_CLOSE] = Math.min(shares[MOUTH_CLOSE], shares[JAW_OPEN]);
        const factor = (i) => (i === 52 ? 1 : shares[i]);
        for (let p = 0; p < products; p++)
            shares[52 + p] = factor(this.products[2 * p]) * factor(this.products[2 * p + 1]);
        for (let side = 0; side < 2; side++) {
            let lid = 0;
            for (let i = 0; i < 52; i++) lid += shares[i] * this.eyelids[2 * i + side];
            lid = within(lid, -0.3, 1);
            shares[52 + products + side] = lid;
            shares[54 + products + side] = 4 * Math.max(lid, 0) * (1 - lid);
        }
        return shares;
    }

    _turn(map, shares) {
        const pose = [0, 0, 0];
        for (let i = 0; i < 52; i++)
            for (let k = 0; k < 3; k++) pose[k] += shares[i] * map[3 * i + k];
        return turnOf(pose);
    }

    // Of each joint a rotation by rows and a shift, from rest: jaw and eyes hang on the neck.
    _joints(shares, neck) {
        const { joints } = this.baked;
        const about = (turn, j) => {
            const [x, y, z] = joints.slice(3 * j, 3 * j + 3);
            const shift = [0, 1, 2].map((r) =>
                joints[3 * j + r] - turn[3 * r] * x - turn[3 * r + 1] * y - turn[3 * r + 2] * z);
            return [...turn, ...shift];
        };
        const after = (a, b) => {
            const rows = [0, 1, 2].map((r) => a.slice(3 * r, 3 * r + 3));
            const dot = (row, x, y, z) => row[0] * x + row[1] * y + row[2] * z;
            const turn = rows.flatMap((row) =>
                [0, 1, 2].map((c) => dot(row, b[c], b[3 + c], b[6 + c])));
            return [...turn, ...rows.map((row, r) => dot(row, b[9], b[10], b[11]) + a[9 + r])];
        };
        const held = about(turnOf(neck), 1);
        const hanging = [this.jaw_pose, this.leye_pose, this.reye_pose].map((map, k) =>
            after(held, about(this._turn(map, shares), 2 + k)));
        return [[...IDENTITY, 0, 0, 0], held, ...hanging];
    }

    _moveVertices(shares, neck) {
        const { moved, posed, deltas, start } = this;
        moved.set(this.template);
        for (let f = 0; f < shares.length; f++) {
            const share = shares[f];
            if (share === 0) continue;
            for (let e = start[f]; e < start[f + 1]; e++) {
                const to = 3 * this.field_vertices[e];
                moved[to] += share * deltas[3 * e];
                moved[to + 1] += share * deltas[3 * e + 1];
                moved[to + 2] += share * deltas[3 * e + 2];
            }
        }
        const joints = this._joints(shares, neck), m = new Float64Array(12);
        for (let v = 0; v < moved.length / 3; v++) {
            m.fill(0);
            for (let j = 0; j < 5; j++) {
                const weight = this.lbs_weights[5 * v + j];
                if (weight > 0) for (let i = 0; i < 12; i++) m[i] += weight * joints[j][i];
            }
            const x = moved[3 * v], y = moved[3 * v + 1], z = moved[3 * v + 2];
            posed[3 * v] = m[0] * x + m[1] * y + m[2] * z + m[9];
            posed[3 * v + 1] = m[3] * x + m[4] * y + m[5] * z + m[10];
            posed[3 * v + 2] = m[6] * x + m[7] * y + m[8] * z + m[11];
        }
    }

    // Gradients and turns at the vertices.
    _moveSurface() {
        const { gradients, inverses, faceShares, faces } = this;
        const edges = new Float64Array(9), own = new Float64Array(9);
        gradients.fill(0);
        for (let f = 0; f < inverses.length / 9; f++) {
            if (faceShares[3 * f] === 0) continue;
            faceEdges(this.posed, faces, f, edges);
            for (let r = 0; r < 9; r += 3)
                for (let c = 0; c < 3; c++)
                    own[r + c] = edges[r] * inverses[9 * f + c] +
                        edges[r + 1] * inverses[9 * f + 3 + c] + edges[r + 2] * inverses[9 * f + 6 + c];
            for (let k = 0; k < 3; k++) {
                const to = 9 * faces[3 * f + k], share = faceShares[3 * f + k];
                for (let i = 0; i < 9; i++) gradients[to + i] += share * own[i];
            }
        }
        for (const v of this.loose) gradients.set(IDENTITY, 9 * v);
        for (let v = 0; v < gradients.length / 9; v++) {
            for (let i = 0; i < 9; i++) own[i] = gradients[9 * v + i];
            makeRotation(own);
            writeQuat(own, this.turns, 4 * v);
        }
    }

    _moveSplats() {
        const { vertex_ids, bary, turns, posed: p, gradients: g } = this;
        const own = new Float64Array(12); // place and gradient
        for (let i = 0; i < this.count; i++) {
            const u = vertex_ids[3 * i], v = vertex_ids[3 * i + 1], w = vertex_ids[3 * i + 2];
            const a = bary[2 * i], b = bary[2 * i + 1], c = 1 - a - b;
            const x = 9 * u, y = 9 * v, z = 9 * w;
            own[0] = a * p[3 * u] + b * p[3 * v] + c * p[3 * w];
            own[1] = a * p[3 * u + 1] + b * p[3 * v + 1] + c * p[3 * w + 1];
            own[2] = a * p[3 * u + 2] + b * p[3 * v + 2] + c * p[3 * w + 2];
            own[3] = a * g[x] + b * g[y] + c * g[z];
            own[4] = a * g[x + 1] + b * g[y + 1] + c * g[z + 1];
            own[5] = a * g[x + 2] + b * g[y + 2] + c * g[z + 2];
            own[6] = a * g[x + 3] + b * g[y + 3] + c * g[z + 3];
            own[7] = a * g[x + 4] + b * g[y + 4] + c * g[z + 4];
            own[8] = a * g[x + 5] + b * g[y + 5] + c * g[z + 5];
            own[9] = a * g[x + 6] + b * g[y + 6] + c * g[z + 6];
            own[10] = a * g[x + 7] + b * g[y + 7] + c * g[z + 7];
            own[11] = a * g[x + 8] + b * g[y + 8] + c * g[z + 8];
            this._place(own, i);
            const sameV = dot4(turns, 4 * u, 4 * v) >= 0, sameW = dot4(turns, 4 * u, 4 * w) >= 0;
            this._turnSplat(4 * u, 4 * v, 4 * w, a, sameV ? b : -b, sameW ? c : -c, 4 * i);
        }
    }

    // A splat's mean, and its sizes along its own axes, which the gradient stretches.
    _place(own, i) {
        const { offsets, axes, sizes } = this, { means, scales } = this.shown;
        const at = 3 * i, f0 = own[3], f1 = own[4], f2 = own[5], f3 = own[6], f4 = own[7];
        const f5 = own[8], f6 = own[9], f7 = own[10], f8 = own[11];
        const x = offsets[at], y = offsets[at + 1], z = offsets[at + 2];
        means[at] = own[0] + f0 * x + f1 * y + f2 * z;
        means[at + 1] = own[1] + f3 * x + f4 * y + f5 * z;
        means[at + 2] = own[2] + f6 * x + f7 * y + f8 * z;
        for (let k = 0, from = 9 * i; k < 3; k++, from += 3) {
            const ax = axes[from], ay = axes[from + 1], az = axes[from + 2];
            const px = f0 * ax + f1 * ay + f2 * az, py = f3 * ax + f4 * ay + f5 * az;
            const pz = f6 * ax + f7 * ay + f8 * az;
            const by = Math.sqrt(px * px + py * py + pz * pz);
            scales[at + k] = sizes[at + k] * within(by, STRETCH[0], STRETCH[1]);
        }
    }

    // A splat's turn after the weighted mean of its vertices' turns, all on one side.
    _turnSplat(u, v, w, a, b, c, at) {
        const t = this.turns, q = this.quats, out = this.shown.quats;
        let s0 = a * t[u] + b * t[v] + c * t[w], s1 = a * t[u + 1] + b * t[v + 1] + c * t[w + 1];
        let s2 = a * t[u + 2] + b * t[v + 2] + c * t[w + 2];
        let s3 = a * t[u + 3] + b * t[v + 3] + c * t[w + 3];
        const scale = 1 / Math.max(Math.sqrt(s0 * s0 + s1 * s1 + s2 * s2 + s3 * s3), 1e-12);
        s0 *= scale, s1 *= scale, s2 *= scale, s3 *= scale;
        const o0 = q[at], o1 = q[at + 1], o2 = q[at + 2], o3 = q[at + 3];
        out[at] = s0 * o0 - s1 * o1 - s2 * o2 - s3 * o3;
        out[at + 1] = s0 * o1 + s1 * o0 + s2 * o3 - s3 * o2;
        out[at + 2] = s0 * o2 - s1 * o3 + s2 * o0 + s3 * o1;
        out[at + 3] = s0 * o3 + s1 * o2 - s2 * o1 + s3 * o0;
    }

    _ringMean(ring, k) {
        let sum = 0;
        for (const v of ring) sum += this.posed[3 * v + k];
        return sum / ring.length;
    }

    _foldLids() {
        const rings = [[this.upper_left_ring, this.lower_left_ring],
                       [this.upper_right_ring, this.lower_right_ring]];
        const hidden = rings.map(([upper, lower], side) => {
            const gap = Math.hypot(
                ...[0, 1, 2].map((k) => this._ringMean(upper, k) - this._ringMean(lower, k)));
            const open = gap / Math.max(this.baked.usual_openings[side], 1e-4);
            const t = within((open - FOLD_RANGE[0]) / (FOLD_RANGE[1] - FOLD_RANGE[0]), 0, 1);
            return 1 - t * t * (3 - 2 * t);
        });
        for (const i of this.foldingIds)
            this.shown.opacities[i] = this.opacities[i] *
                (1 - this.lids[2 * i] * hidden[0] - this.lids[2 * i + 1] * hidden[1]);
    }

    _changeColors(shares) {
        const { bases: count, changing } = this.baked;
        const { colors } = this.shown;
        colors.set(this.colors.subarray(0, 3 * changing));
        const amounts = new Float64Array(count + 3); // four at a time
        for (let k = 0; k < count; k++) {
            for (let f = 0; f < shares.length; f++)
                amounts[k] += shares[f] * this.shares[f * count + k];
            amounts[k] *= this.base_steps[k];
        }
        const size = 3 * changing, bases = this.bases;
        for (let k = 0; k < count; k += 4) {
            const [a, b, c, d] = amounts.subarray(k, k + 4);
            const [p, q, r, s] = [0, 1, 2, 3].map((n) => Math.min(k + n, count - 1) * size);
            for (let i = 0; i < size; i++)
                colors[i] += a * bases[p + i] + b * bases[q + i] + c * bases[r + i] + d * bases[s + i];
        }
    }
}
