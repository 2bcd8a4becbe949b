// Reads a file of Gaussians with three.js's own loader for its kind and writes what it holds:
// node read_splats.mjs THREE FILE OUT -> OUT: float32, of each its place, covariance and colour.
import { readFileSync, writeFileSync } from "node:fs";
import { register } from "node:module";
import { pathToFileURL } from "node:url";

const [folder, file, out] = process.argv.slice(2);
const base = pathToFileURL(`${folder}/`).href;
const hooks = `
const places = {three: "build/three.module.js", "three/webgpu": "build/three.webgpu.js",
                "three/tsl": "build/three.tsl.js"};
export const resolve = (name, context, next) =>
    next(name in places ? "${base}" + places[name] : name, context);`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
globalThis.self = globalThis;

const loader = async (name) => (await import(`${base}examples/jsm/loaders/${name}.js`))[name];
const bytes = readFileSync(file);
const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);

async function geometryOf(kind) {
    if (kind === "ply") return new (await loader("GaussianSplatPLYLoader"))().parse(buffer);
    if (kind === "spz") return new (await loader("SPZLoader"))().parse(buffer);
    const Extension = await loader("GLTFGaussianSplatLoaderExtension");
    const gltf = new (await loader("GLTFLoader"))();
    gltf.register((parser) => new Extension(parser));
    let geometry = null;
    const { scene } = await gltf.parseAsync(buffer, "");
    scene.traverse((node) => (geometry = node.splatGeometry ?? geometry));
    return geometry;
}

const geometry = await geometryOf(file.split(".").pop());
const names = ["position", "covariance", "color"];
const fields = names.map((name) => geometry.getAttribute(name));
const floats = [];
for (let i = 0; i < fields[0].count; i++)
    for (const field of fields) {
        const { array, itemSize } = field;
        for (let k = 0; k < itemSize; k++) floats.push(array[i * itemSize + k]);
    }
writeFileSync(out, new Float32Array(floats));
