// ARKit's 52 shapes: names by place in a drive packet, groups for people, ready-made expressions.

const SIDED = (name) => [`${name}Left`, `${name}Right`];
const EYE = ["Blink", "LookDown", "LookIn", "LookOut", "LookUp", "Squint", "Wide"];

/** By place, as proto/wire.md has them. */
export const SHAPES = [
  ...["Left", "Right"].flatMap((side) => EYE.map((what) => `eye${what}${side}`)),
  "jawForward", "jawLeft", "jawRight", "jawOpen",
  "mouthClose", "mouthFunnel", "mouthPucker", "mouthLeft", "mouthRight",
  ...["Smile", "Frown", "Dimple", "Stretch"].flatMap((what) => SIDED(`mouth${what}`)),
  "mouthRollLower", "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper",
  ...["Press", "LowerDown", "UpperUp"].flatMap((what) => SIDED(`mouth${what}`)),
  ...SIDED("browDown"), "browInnerUp", ...SIDED("browOuterUp"),
  "cheekPuff", ...SIDED("cheekSquint"), ...SIDED("noseSneer"), "tongueOut",
];

/** Place of a shape by its name. */
export const PLACE = Object.fromEntries(SHAPES.map((name, place) => [name, place]));

const starting = (...starts) => SHAPES.filter((name) => starts.some((s) => name.startsWith(s)));

/** Shapes in the order in which people look for them. */
export const GROUPS = {
  Jaw: starting("jaw"),
  Mouth: starting("mouth"),
  Eyes: starting("eye"),
  Brows: starting("brow"),
  "Cheeks, nose, tongue": starting("cheek", "nose", "tongue"),
};

/** The same shape on the other side, or null. */
export function otherSide(name) {
  const other = mirrored(name);
  const paired = !["jawLeft", "jawRight", "mouthLeft", "mouthRight"].includes(name);
  return paired && other !== name ? other : null;
}

/** The shape that a mirror shows. */
export function mirrored(name) {
  if (name.endsWith("Left")) return name.replace(/Left$/, "Right");
  return name.replace(/Right$/, "Left");
}

/** `mouthSmileLeft` as people read it within its group: Smile left. */
export function label(name) {
  const words = name.replace(/^(eye|jaw|mouth|brow)(?=[A-Z])/, "").replace(/([A-Z])/g, " $1").trim();
  return words[0].toUpperCase() + words.slice(1).toLowerCase();
}

const both = (name, weight) => Object.fromEntries(SIDED(name).map((side) => [side, weight]));

/** Ready-made, each on a key of its own. */
export const EXPRESSIONS = [
  { key: "1", name: "Smile", weights: { ...both("mouthSmile", 0.85), ...both("cheekSquint", 0.5), ...both("eyeSquint", 0.25) } },
  { key: "2", name: "Laugh", weights: { ...both("mouthSmile", 1), ...both("cheekSquint", 0.8), ...both("eyeSquint", 0.5), jawOpen: 0.45, ...both("mouthUpperUp", 0.3) } },
  { key: "3", name: "Surprise", weights: { browInnerUp: 0.9, ...both("browOuterUp", 0.8), ...both("eyeWide", 0.8), jawOpen: 0.4, mouthFunnel: 0.25 } },
  { key: "4", name: "Sad", weights: { browInnerUp: 0.8, ...both("mouthFrown", 0.7), mouthShrugLower: 0.4, ...both("eyeSquint", 0.2) } },
  { key: "5", name: "Angry", weights: { ...both("browDown", 0.9), ...both("noseSneer", 0.5), ...both("eyeSquint", 0.4), ...both("mouthPress", 0.5) } },
  { key: "6", name: "Wink", weights: { eyeBlinkLeft: 1, cheekSquintLeft: 0.6, ...both("mouthSmile", 0.5), mouthSmileLeft: 0.8 } },
  { key: "7", name: "Kiss", weights: { mouthPucker: 0.9, mouthFunnel: 0.3, ...both("eyeSquint", 0.2) } },
  { key: "8", name: "Eyes shut", weights: both("eyeBlink", 1) },
];
