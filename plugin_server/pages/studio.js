// The studio: which of its views is shown, by what stands behind # in the address.

import { AvatarsView } from "/pages/avatars.js";
import { DeveloperView } from "/pages/developer.js";
import { LiveView } from "/pages/live.js";
import { recall } from "/pages/keep.js";

const live = new LiveView(document.querySelector("#live"));
const views = {
  avatars: new AvatarsView(document.querySelector("#avatars")),
  live,
  developer: new DeveloperView(document.querySelector("#developer"), live),
};
const USUAL = "avatars";
let shown = null;

function route() {
  const [name, argument] = location.hash.slice(1).split("/");
  const chosen = name in views ? name : USUAL;
  if (name === "main") return; // the link that skips to the content
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== chosen;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${chosen}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (shown !== chosen) views[shown]?.hide();
  const changed = shown !== null && shown !== chosen;
  shown = chosen;
  views[chosen].show(argument ? decodeURIComponent(argument) : recall("session")?.avatar);
  if (changed) document.querySelector(`#${chosen} h1`)?.focus();
}

addEventListener("hashchange", route);
route();
