// Small helpers of the page: elements, and what it says.

/** An element with attributes, listeners (`onclick`) and children. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && typeof value !== "string") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** Tell in words, for eyes and screen readers; a problem stays until it is closed. */
export function say(text, isProblem = false) {
  const box = document.querySelector(isProblem ? "#problems" : "#news");
  const close = () => note.remove();
  const note = element("div", { class: isProblem ? "note problem" : "note" }, element("p", {}, text));
  if (isProblem) note.append(element("button", { class: "quiet", "aria-label": "Close", onclick: close }, "✕"));
  else setTimeout(close, 5000);
  box.replaceChildren(note);
}

/** Run what a person has asked for, and say what goes wrong. */
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    console.error(error);
    say(error.message, true);
    return undefined;
  }
}

/** Save a Blob under a name. */
export function download(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = element("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** A Blob's address for an <img>, let go of once it is loaded. */
export function pictureOf(blob, alt) {
  const image = element("img", { alt });
  image.src = URL.createObjectURL(blob);
  image.onload = image.onerror = () => URL.revokeObjectURL(image.src);
  return image;
}
