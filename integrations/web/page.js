// A baked head with a slider for each of ARKit's weights; no server moves it.

import { ARKIT_NAMES, BakedAvatar } from "./baked_avatar.js";
import { SplatRenderer } from "./splat_renderer.js";

const AXES = ["neckPitch", "neckYaw", "neckRoll"]; // radians about x, y, z
const weights = new Float32Array(52), neck = [0, 0, 0];
const element = (id) => document.getElementById(id);
let avatar = null, renderer = null, stale = false;

const complain = (error) => (element("problem").textContent = error.message);

// Poses, sorts and draws, one after the other; with weights by name, and none other.
async function show(named, turn = neck) {
    if (named) {
        weights.fill(0);
        for (const [name, weight] of Object.entries(named)) weights[ARKIT_NAMES.indexOf(name)] = weight;
    }
    avatar.pose(weights, turn);
    renderer.setSplats(avatar.pack(), avatar.scaleLogs);
    await renderer.sort(avatar.camera);
    renderer.draw(avatar.camera);
}

// A mouth that opens and closes as in speech, and a blink every four seconds.
function talk(seconds) {
    const set = (name, weight) => (weights[ARKIT_NAMES.indexOf(name)] = Math.max(0, weight));
    const syllable = Math.sin(seconds * 17) * Math.sin(seconds * 3.1);
    const blink = 1 - Math.abs((seconds % 4) - 0.12) / 0.12;
    set("jawOpen", 0.3 * syllable);
    set("mouthFunnel", 0.5 * Math.sin(seconds * 5.3));
    set("mouthSmileLeft", 0.2 * Math.sin(seconds * 0.9));
    set("mouthSmileRight", 0.2 * Math.sin(seconds * 0.9));
    set("eyeBlinkLeft", blink);
    set("eyeBlinkRight", blink);
    neck[1] = 0.1 * Math.sin(seconds * 0.7);
}

async function play() {
    while (avatar) {
        const seconds = await new Promise((done) => requestAnimationFrame((ms) => done(ms / 1000)));
        const talks = element("talk").checked;
        if (talks) talk(seconds);
        if (talks || stale) {
            stale = false;
            await show();
        }
    }
}

function addSlider(name, low, high, move) {
    const label = document.createElement("label"), slider = document.createElement("input");
    Object.assign(slider, { type: "range", min: low, max: high, step: 0.01, value: 0 });
    slider.addEventListener("input", () => {
        move(Number(slider.value));
        stale = true;
    });
    label.append(name, slider);
    element("sliders").append(label);
}

// Shows the baked avatar in these bytes.
async function open(bytes) {
    const first = avatar === null;
    avatar = new BakedAvatar(bytes);
    renderer ??= new SplatRenderer(element("head"));
    element("problem").textContent = "";
    await show();
    if (first) play().catch(complain);
}

async function fetchAvatar(url) {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
    await open(await answer.arrayBuffer());
}

AXES.forEach((name, axis) => addSlider(name, -0.6, 0.6, (value) => (neck[axis] = value)));
ARKIT_NAMES.forEach((name, i) => addSlider(name, 0, 1, (value) => (weights[i] = value)));
element("file").addEventListener("change", ({ target }) =>
    target.files[0].arrayBuffer().then(open).catch(complain));
const url = new URLSearchParams(location.search).get("avatar");
export const ready = url ? fetchAvatar(url) : Promise.resolve();
ready.catch(complain);
export { show };
