// Draws a session's Gaussians with Spark as they come, from the session's own camera, and hands a
// picture of the last ones back.

import * as THREE from "three";
import { PackedSplats, SparkRenderer, SplatMesh } from "@sparkjsdev/spark";
import { readHeader, SplatDecoder } from "/wire.js";

const SETTLED_MS = 1500; // sorting happens in a worker

const report = (text) => fetch("/problem", { method: "POST", body: String(text) });
window.addEventListener("error", (event) => report(event.message));
window.addEventListener("unhandledrejection", ({ reason }) => report(reason?.stack ?? reason));

// Our camera is OpenCV's, three's looks along -z; the head frame, with y up, is three's own.
function cameraOf({ viewmat, K, width, height }) {
  const camera = new THREE.PerspectiveCamera();
  const [near, far] = [0.01, 10];
  camera.projectionMatrix.set(
    (2 * K[0]) / width, 0, 1 - (2 * K[2]) / width, 0,
    0, (2 * K[4]) / height, (2 * K[5]) / height - 1, 0,
    0, 0, (far + near) / (near - far), (2 * far * near) / (near - far),
    0, 0, -1, 0,
  );
  camera.projectionMatrixInverse.copy(camera.projectionMatrix).invert();
  const view = new THREE.Matrix4().set(...viewmat);
  view.premultiply(new THREE.Matrix4().makeScale(1, -1, -1));
  view.invert().decompose(camera.position, camera.quaternion, camera.scale);
  camera.updateMatrixWorld();
  return camera;
}

function messagesOf(answer) {
  const messages = [];
  const view = new DataView(answer);
  for (let at = 0; at < answer.byteLength; ) {
    const size = view.getUint32(at, true);
    messages.push(answer.slice(at + 4, at + 4 + size));
    at += 4 + size;
  }
  return messages;
}

async function main() {
  const session = await (await fetch("/session")).json();
  const renderer = new THREE.WebGLRenderer({ preserveDrawingBuffer: true });
  renderer.setPixelRatio(1);
  renderer.setSize(session.width, session.height);
  document.body.append(renderer.domElement);
  const scene = new THREE.Scene();
  const camera = cameraOf(session);
  const spark = new SparkRenderer({
    renderer,
    // as the server's rasteriser: 0.3 pixels^2 on every covariance, cut at 1/255, sorted by z
    preBlurAmount: 0.3,
    blurAmount: 0,
    minAlpha: 1 / 255,
    maxStdDev: Math.sqrt(2 * Math.log(255)),
    sortRadial: false,
    accumExtSplats: true,
  });
  scene.add(spark);
  const splats = new PackedSplats({ maxSplats: session.gaussians });
  const words = splats.ensureSplats(session.gaussians);
  splats.numSplats = session.gaussians;
  const mesh = new SplatMesh({ packedSplats: splats });
  scene.add(mesh);

  const decoder = new SplatDecoder();
  let [keySeq, seq, drawn, changedAt, done] = [-1, -1, 0, 0, false];
  const show = (message) => {
    const header = readHeader(message);
    if (!decoder.feed(header, message, words)) return;
    const { lnScaleMin, lnScaleMax } = header;
    splats.splatEncoding = { rgbMin: 0, rgbMax: 1, lnScaleMin, lnScaleMax };
    splats.dynoRgbMinMaxLnScaleMinMax.value.set(0, 1, lnScaleMin, lnScaleMax);
    splats.needsUpdate = true;
    mesh.updateVersion();
    [keySeq, seq, changedAt] = [decoder.keySeq, header.seq, performance.now()];
  };
  while (!done) {
    const answer = await fetch(`/messages?key=${keySeq}&seq=${seq}`);
    const messages = messagesOf(await answer.arrayBuffer());
    messages.forEach(show);
    await new Promise(requestAnimationFrame);
    renderer.render(scene, camera);
    drawn += messages.length > 0;
    const last = answer.headers.get("last") === "1" && seq >= 0;
    done = last && messages.length === 0 && performance.now() - changedAt > SETTLED_MS;
  }
  const picture = await new Promise((resolve) => renderer.domElement.toBlob(resolve, "image/png"));
  await fetch(`/picture?drawn=${drawn}`, { method: "POST", body: picture });
}

main();
