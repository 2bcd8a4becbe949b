// Draws packed16 Gaussians with WebGL2 as the server's rasteriser does: EWA splatting, blended in
// display space, premultiplied. What it draws may come from a baked avatar or from a stream.

const TEXTURE_WIDTH = 1024;
const CORNERS = 6;
const UNIFORMS = ["splats", "viewmat", "focal", "centre", "size", "logs"];
const NEAR = 0.01, EPS2D = 0.3, ALPHA_MIN = 1 / 255, ALPHA_MAX = 0.999;

const VERTEX = `#version 300 es
precision highp float;
precision highp usampler2D;
uniform usampler2D splats;
uniform mat4 viewmat; // head to camera: x right, y down, z forward
uniform vec2 focal, centre, size; // pixels
uniform vec2 logs; // of the smallest and the largest scale
layout(location = 0) in uint number;
out vec2 offset; // pixels from the middle
flat out vec3 conic;
flat out vec4 color;

vec3 axisOf(uint z) {
    vec2 p = vec2((z >> 16) & 255u, z >> 24) / 127.5 - 1.0;
    float up = 1.0 - abs(p.x) - abs(p.y), fold = max(-up, 0.0);
    return normalize(vec3(p - fold * vec2(p.x >= 0.0 ? 1.0 : -1.0, p.y >= 0.0 ? 1.0 : -1.0), up));
}

float scaleOf(uint step) {
    return step == 0u ? 0.0 : exp(logs.x + (float(step) - 1.0) * (logs.y - logs.x) / 254.0);
}

mat3 halfAxes(uvec4 p) {
    float halfAngle = float(p.w >> 24) * (3.14159265 / 510.0);
    vec4 q = vec4(axisOf(p.z) * sin(halfAngle), cos(halfAngle));
    vec3 d = q.xyz * q.xyz;
    mat3 turn = mat3(
        1.0 - 2.0 * (d.y + d.z), 2.0 * (q.x * q.y + q.w * q.z), 2.0 * (q.x * q.z - q.w * q.y),
        2.0 * (q.x * q.y - q.w * q.z), 1.0 - 2.0 * (d.x + d.z), 2.0 * (q.y * q.z + q.w * q.x),
        2.0 * (q.x * q.z + q.w * q.y), 2.0 * (q.y * q.z - q.w * q.x), 1.0 - 2.0 * (d.x + d.y));
    return mat3(turn[0] * scaleOf(p.w & 255u), turn[1] * scaleOf((p.w >> 8) & 255u),
                turn[2] * scaleOf((p.w >> 16) & 255u));
}

void main() {
    int row = int(number) / ${TEXTURE_WIDTH}, column = int(number) % ${TEXTURE_WIDTH};
    uvec4 p = texelFetch(splats, ivec2(column, row), 0);
    vec3 place = vec3(unpackHalf2x16(p.y), unpackHalf2x16(p.z).x);
    vec3 seen = (viewmat * vec4(place, 1.0)).xyz;
    color = vec4(p.x & 255u, (p.x >> 8) & 255u, (p.x >> 16) & 255u, p.x >> 24) / 255.0;
    gl_Position = vec4(2.0, 2.0, 2.0, 1.0); // beyond the canvas: not drawn
    if (seen.z < ${NEAR} || color.a < ${ALPHA_MIN}) return;
    vec2 margin = 0.15 * size / focal;
    vec2 slope = clamp(seen.xy / seen.z, -centre / focal - margin, (size - centre) / focal + margin);
    mat3 axes = mat3(viewmat) * halfAxes(p);
    vec3 a = vec3(focal.x, 0.0, -focal.x * slope.x) / seen.z * axes;
    vec3 b = vec3(0.0, focal.y, -focal.y * slope.y) / seen.z * axes;
    float xx = dot(a, a) + ${EPS2D}, xy = dot(a, b), yy = dot(b, b) + ${EPS2D};
    conic = vec3(yy, -xy, xx) / (xx * yy - xy * xy);
    vec2 reach = sqrt(2.0 * log(color.a / ${ALPHA_MIN})) * sqrt(vec2(xx, yy));
    int corner = gl_VertexID;
    offset = reach * vec2(corner == 1 || corner == 2 || corner == 4 ? 1.0 : -1.0,
                          corner == 2 || corner == 4 || corner == 5 ? 1.0 : -1.0);
    vec2 pixel = focal * seen.xy / seen.z + centre + offset;
    gl_Position = vec4((pixel / size * 2.0 - 1.0) * vec2(1.0, -1.0), 0.0, 1.0);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
in vec2 offset;
flat in vec3 conic;
flat in vec4 color;
out vec4 shown;
void main() {
    vec2 d = offset;
    float sigma = 0.5 * (conic.x * d.x * d.x + conic.z * d.y * d.y) + conic.y * d.x * d.y;
    float alpha = min(color.a * exp(-sigma), ${ALPHA_MAX});
    if (alpha < ${ALPHA_MIN}) discard;
    shown = vec4(color.rgb * alpha, alpha);
}`;

function makeProgram(gl) {
    const program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
        const shader = gl.createShader(kind);
        gl.shaderSource(shader, text);
        gl.compileShader(shader);
        gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost())
        throw new Error(`splats: ${gl.getProgramInfoLog(program)}`);
    return program;
}

export class SplatRenderer {
    // Throws Error where there is no WebGL2.
    constructor(canvas) {
        const gl = canvas.getContext("webgl2", { antialias: false, depth: false });
        if (!gl) throw new Error("splats: this browser has no WebGL2");
        Object.assign(this, { gl, canvas, count: 0, ordered: 0, logs: [0, 1] });
        Object.assign(this, { fresh: null, waiting: null });
        this.program = makeProgram(gl);
        this.at = Object.fromEntries(
            UNIFORMS.map((name) => [name, gl.getUniformLocation(this.program, name)]));
        this.texture = gl.createTexture();
        this.order = gl.createBuffer();
        this.sorter = new Worker(new URL("./splat_sorter.js", import.meta.url), { type: "module" });
        gl.bindTexture(gl.TEXTURE_2D, this.texture);
        gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
        gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
        gl.bindBuffer(gl.ARRAY_BUFFER, this.order);
        gl.enableVertexAttribArray(0);
        gl.vertexAttribIPointer(0, 1, gl.UNSIGNED_INT, 0, 0);
        gl.vertexAttribDivisor(0, 1);
        gl.enable(gl.BLEND);
        gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    }

    // packed16 bytes, Uint8Array [16 N], and the range of their scales' logarithms.
    setSplats(packed, logs) {
        const { gl } = this, count = packed.length / 16;
        const rows = Math.max(1, Math.ceil(count / TEXTURE_WIDTH));
        const words = new Uint32Array(4 * rows * TEXTURE_WIDTH);
        new Uint8Array(words.buffer).set(packed);
        const form = [gl.RGBA_INTEGER, gl.UNSIGNED_INT, words];
        if (count === this.count)
            gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, TEXTURE_WIDTH, rows, ...form);
        else gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA32UI, TEXTURE_WIDTH, rows, 0, ...form);
        if (count !== this.count) this.ordered = 0;
        Object.assign(this, { count, logs, fresh: packed.slice().buffer });
    }

    // Sorts from back to front for a camera; the promise is kept when `draw` has the new order. One
    // sort runs at a time: until it ends, the same promise is given.
    sort(camera) {
        if (this.waiting) return this.waiting;
        const row = camera.viewmat.slice(8, 12), packed = this.fresh;
        this.fresh = null;
        this.waiting = new Promise((done) => {
            this.sorter.onmessage = ({ data }) => {
                this.waiting = null;
                this.gl.bufferData(this.gl.ARRAY_BUFFER, data, this.gl.STREAM_DRAW);
                this.ordered = data.length;
                done();
            };
        });
        this.sorter.postMessage({ packed, row }, packed ? [packed] : []);
        return this.waiting;
    }

    // On transparent ground. `camera`: {viewmat: 16 by rows, K: 9, width, height}, OpenCV's, as a
    // baked avatar has it; it fills the canvas as far as both sides fit.
    draw(camera) {
        const { gl, canvas, at } = this;
        gl.viewport(0, 0, canvas.width, canvas.height);
        gl.clearColor(0, 0, 0, 0);
        gl.clear(gl.COLOR_BUFFER_BIT);
        if (this.ordered !== this.count) return;
        const ratio = Math.min(canvas.width / camera.width, canvas.height / camera.height);
        const middle = (centre, side, whole) => centre * ratio + (whole - ratio * side) / 2;
        gl.useProgram(this.program);
        gl.uniformMatrix4fv(at.viewmat, true, camera.viewmat);
        gl.uniform2f(at.focal, camera.K[0] * ratio, camera.K[4] * ratio);
        gl.uniform2f(at.centre, middle(camera.K[2], camera.width, canvas.width),
            middle(camera.K[5], camera.height, canvas.height));
        gl.uniform2f(at.size, canvas.width, canvas.height);
        gl.uniform2f(at.logs, ...this.logs);
        gl.drawArraysInstanced(gl.TRIANGLES, 0, CORNERS, this.count);
    }
}
