// Reads a baked avatar: binary glTF with the extension FLEXAVATAR_rig. See docs/baked.md.

const MAGIC = 0x46546c67, JSON_CHUNK = 0x4e4f534a, BINARY_CHUNK = 0x004e4942;
const EXTENSION = "FLEXAVATAR_rig";
const FARTHEST = 100; // metres
const TYPES = {
    5120: Int8Array, 5121: Uint8Array, 5122: Int16Array, 5123: Uint16Array, 5125: Uint32Array,
    5126: Float32Array,
};
// Of each array its component type and its shape: numbers, and names of counts in the extension.
const LAYOUTS = {
    template: [5126, "vertices", 3],
    faces: [5123, "faces", 3],
    lbs_weights: [5123, "vertices", 5],
    products: [5121, "products", 2],
    start: [5125, "field_ends"],
    field_vertices: [5123, "entries"],
    deltas: [5122, "entries", 3],
    jaw_pose: [5126, 52, 3],
    leye_pose: [5126, 52, 3],
    reye_pose: [5126, 52, 3],
    eyelids: [5126, 52, 2],
    upper_left_ring: [5123, "upper_left"],
    lower_left_ring: [5123, "lower_left"],
    upper_right_ring: [5123, "upper_right"],
    lower_right_ring: [5123, "lower_right"],
    vertex_ids: [5123, "splats", 3],
    bary: [5122, "splats", 2],
    offsets: [5122, "splats", 3],
    quats: [5122, "splats", 4],
    scales: [5123, "splats", 3],
    opacities: [5123, "splats"],
    colors: [5122, "splats", 3],
    lids: [5121, "splats", 2],
    bases: [5120, "bases", "changing", 3],
    base_steps: [5126, "bases"],
    shares: [5126, "fields", "bases"],
};
const RINGS = ["upper_left_ring", "lower_left_ring", "upper_right_ring", "lower_right_ring"];
const STEPPED = ["lbs_weights", "deltas", "bary", "offsets", "quats", "opacities", "colors", "lids"];

function demand(holds, what) {
    if (!holds) throw new Error(`baked avatar: ${what}`);
}

function parse(bytes) {
    try {
        return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    } catch (error) {
        throw new Error(`baked avatar: its document cannot be read (${error.message})`);
    }
}

// The document and its buffer.
function chunksOf(bytes) {
    demand(bytes.byteLength >= 28, "expected a whole binary glTF 2.0");
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const [magic, version, length, textBytes, kind] =
        [0, 4, 8, 12, 16].map((at) => view.getUint32(at, true));
    const whole = magic === MAGIC && version === 2 && kind === JSON_CHUNK;
    demand(whole && length === bytes.byteLength, "expected a whole binary glTF 2.0");
    demand(28 + textBytes <= length, "expected a binary chunk");
    const binaryBytes = view.getUint32(20 + textBytes, true);
    const isBinary = view.getUint32(24 + textBytes, true) === BINARY_CHUNK;
    demand(isBinary && 28 + textBytes + binaryBytes <= length, "expected a binary chunk");
    const document = parse(bytes.subarray(20, 20 + textBytes));
    return [document, bytes.subarray(28 + textBytes, 28 + textBytes + binaryBytes)];
}

// One array, times its step where it has one.
function arrayOf(document, binary, own, name) {
    const [type, ...shape] = LAYOUTS[name];
    const sizes = shape.map((size) => (typeof size === "string" ? own[size] : size));
    const count = sizes.reduce((product, size) => product * size, 1);
    const fine = sizes.every((size) => Number.isInteger(size) && size >= 0);
    demand(fine && Number.isSafeInteger(count), `${name} has no size`);
    const about = own.arrays?.[name];
    const accessor = document.accessors?.[about?.accessor];
    const view = document.bufferViews?.[accessor?.bufferView];
    demand(view && accessor.componentType === type, `${name} is not as it should be`);
    const start = view.byteOffset, bytes = count * TYPES[type].BYTES_PER_ELEMENT;
    const fits = Number.isInteger(start) && start >= 0 && start + bytes <= binary.length;
    demand(fits && view.byteLength === bytes, `${name} lies outside the buffer`);
    const values = new TYPES[type](binary.slice(start, start + bytes).buffer);
    if (!STEPPED.includes(name)) return values;
    demand(Number.isFinite(about.step), `${name} has no step`);
    return Float32Array.from(values, (value) => value * about.step);
}

function checkNumbers(own, name, count) {
    const values = [own[name]].flat(2);
    const fine = values.length === count && values.every((x) => Math.abs(x) < FARTHEST);
    demand(fine && values.every((x) => typeof x === "number"), `${name} is not ${count} numbers`);
}

function checkIds(name, ids, count) {
    for (const id of ids) demand(id < count, `${name} of nothing`);
}

function check(own, arrays) {
    for (const name of ["faces", "field_vertices", "vertex_ids", ...RINGS])
        checkIds(name, arrays[name], own.vertices);
    checkIds("products", arrays.products, 53);
    for (const name of RINGS) demand(arrays[name].length, "no lids");
    for (const [name, values] of Object.entries(arrays))
        if (values instanceof Float32Array)
            demand(values.every((x) => Math.abs(x) < FARTHEST), `${name} is not of a head`);
    const { start } = arrays;
    const fields = 56 + own.products;
    demand(own.fields === fields && own.field_ends === fields + 1, `expected ${fields} fields`);
    demand(start[0] === 0 && start[fields] === own.entries, "fields without entries");
    demand(start.every((at, i) => i === 0 || at >= start[i - 1]), "fields that fall");
    demand(own.changing <= own.splats, "more splats change than there are");
}

// Bytes of the file -> {arrays, counts, joints, ...}: the extension with arrays in numbers.
// Throws Error for anything that is no baked avatar, or a damaged one.
export function readBaked(data) {
    const bytes = ArrayBuffer.isView(data)
        ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
        : new Uint8Array(data);
    const [document, binary] = chunksOf(bytes);
    const own = document?.extensions?.[EXTENSION];
    demand(own, `expected the extension ${EXTENSION}`);
    demand(own.version === 1, `expected format 1, got ${own.version}`);
    const arrays = {};
    for (const name of Object.keys(LAYOUTS)) arrays[name] = arrayOf(document, binary, own, name);
    checkNumbers(own, "joints", 15);
    checkNumbers(own, "usual_openings", 2);
    checkNumbers(own, "scale_logs", 2);
    checkNumbers(own, "packed_scale_logs", 2);
    check(own, arrays);
    return { ...own, arrays, joints: own.joints.flat() };
}
