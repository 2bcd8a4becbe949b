// The avatar and nothing else, on transparent ground: /view/NAME, with #token=... where one is asked.

import { FramePainter, FrameStream } from "/pages/frames.js";

const token = /[#&]token=([^&]*)/.exec(location.hash)?.[1];
const name = location.pathname.slice("/view/".length);
const painter = new FramePainter(document.querySelector("canvas"));
new FrameStream(name, "rgba8", token ? decodeURIComponent(token) : "", {
  frame: (frame) => painter.show(frame),
  lost: () => painter.clear(),
});
