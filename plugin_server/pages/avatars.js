// Avatars: making them of photos or a video, and those that there are.

import { call, createAvatar, fetchAvatar, storeAvatar, storedName } from "/pages/calls.js";
import { CameraShots } from "/pages/shots.js";
import { keep, photos, pictures, recall } from "/pages/keep.js";
import { attempt, download, element, pictureOf, say } from "/pages/page.js";
import { takePicture } from "/pages/thumbnails.js";

const POLL_MS = 1000;
const STORED = ".flexavatar"; // how the names of downloaded avatars end
const NAME = /^[a-z0-9][a-z0-9_-]{0,63}$/;

/** A file's name as an avatar's. */
export function nameOf(file) {
  const stem = file.name.replace(/\.[^.]*$/, "").toLowerCase();
  return stem.replace(/[^a-z0-9_-]+/g, "-").replace(/^[-_]+|[-_]+$/g, "").slice(0, 64) || "avatar";
}

function freeName(wanted, taken) {
  for (let number = 2, name = wanted; ; number++) {
    if (!taken.includes(name)) return name;
    name = `${wanted.slice(0, 60)}-${number}`;
  }
}

/** The first view: what is being made, what there is, and where new photos go. */
export class AvatarsView {
  constructor(section) {
    this.avatars = [];
    this.creations = new Map(); // by name: {stage, fraction, error}
    this.own = new Set(); // made by this page, which hears of their progress itself
    this.files = [];
    this.grid = element("ul", { class: "grid", "aria-label": "Your avatars" });
    this.title = element("h1", { id: "avatars-title", tabindex: "-1" }, "Your avatars");
    this.count = element("p", { class: "soft" });
    this.drop = element("div", { class: "card drop" });
    section.append(
      element("div", { class: "head" }, this.title, this.count),
      this.drop,
      this.grid,
    );
    this.listenToDrops();
    this.showDrop();
  }

  async show() {
    this.visible = true;
    await attempt(() => this.refresh());
    this.poll();
  }

  hide() {
    this.visible = false;
    clearTimeout(this.timer);
    this.shots?.close();
    this.shots = null;
    this.showDrop();
  }

  // ---- photos come in

  listenToDrops() {
    for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault());
    this.drop.addEventListener("dragover", () => this.drop.classList.add("over"));
    this.drop.addEventListener("dragleave", () => this.drop.classList.remove("over"));
    this.drop.addEventListener("drop", ({ dataTransfer }) => {
      this.drop.classList.remove("over");
      this.choose([...dataTransfer.files]);
    });
    addEventListener("paste", ({ clipboardData }) => {
      if (this.visible && clipboardData.files.length) this.choose([...clipboardData.files]);
    });
  }

  showDrop() {
    const input = element("input", {
      type: "file", multiple: true, hidden: true, accept: `image/*,video/*,.heic,.avif,${STORED}`,
      onchange: () => this.choose([...input.files]),
    });
    this.drop.replaceChildren(
      element("strong", {}, "Drop photos or a video of one person"),
      element("p", { class: "soft" }, "One good photo will do: a face that looks at you, in even light. More photos, or ten seconds of video, look better."),
      element("div", { class: "row" },
        element("button", { class: "main", type: "button", onclick: () => input.click() }, "Choose files"),
        element("button", { type: "button", onclick: () => this.useCamera() }, "Use the camera"),
        input,
      ),
    );
  }

  async useCamera() {
    await attempt(async () => {
      this.shots = await CameraShots.open((files) => {
        this.shots = null;
        if (files.length) this.choose(files);
        else this.showDrop();
      });
      this.drop.replaceChildren(...this.shots.elements);
    });
  }

  choose(files) {
    if (!files.length) return;
    const stored = files.filter((file) => file.name.endsWith(STORED));
    if (stored.length) return void this.takeBack(stored);
    this.files = files;
    const taken = [...this.avatars.map(({ name }) => name), ...this.creations.keys()];
    const name = element("input", { type: "text", value: freeName(nameOf(files[0]), taken), autocomplete: "off", spellcheck: "false", "aria-describedby": "name-hint" });
    const begin = (event) => {
      event.preventDefault();
      this.begin(name.value.trim().toLowerCase());
    };
    const shown = files.map((file) =>
      file.type.startsWith("image/") ? pictureOf(file, file.name) : element("span", {}, file.name));
    this.drop.replaceChildren(
      element("div", { class: "chosen" }, ...shown),
      element("form", { onsubmit: begin },
        element("label", { class: "name" }, "Name", name),
        element("button", { class: "main", type: "submit" }, "Create the avatar"),
        element("button", { class: "quiet", type: "button", onclick: () => this.showDrop() }, "Cancel"),
      ),
      element("p", { class: "soft small", id: "name-hint" }, "Letters a to z, digits, - and _. Make avatars of people who have agreed to it."),
    );
    name.select();
  }

  /** Avatars that were downloaded come back. */
  takeBack(files) {
    return attempt(async () => {
      for (const file of files) {
        const name = await storedName(file);
        if (this.avatars.some((avatar) => avatar.name === name)) {
          throw new Error(`There is an avatar “${name}” already: delete it first, then drop the file again.`);
        }
        await storeAvatar(file);
        say(`${name} is back.`);
      }
      await this.refresh();
    });
  }

  begin(name) {
    if (!NAME.test(name)) {
      return say(`The name “${name}” cannot be: use a to z, 0 to 9, - and _, and begin with a letter or digit.`, true);
    }
    if (this.avatars.some((avatar) => avatar.name === name)) {
      return say(`There is an avatar “${name}” already: choose another name, or delete it first.`, true);
    }
    const files = this.files;
    this.showDrop();
    this.make(name, files);
  }

  // ---- avatars are made: a preview in seconds, the avatar itself behind it

  async make(name, files) {
    this.own.add(name);
    this.tell(name, { stage: "sending the files" });
    const photo = files.find((file) => file.type.startsWith("image/"));
    if (photo) await photos.put(name, photo).catch(() => {}); // a private window keeps nothing
    try {
      await createAvatar({ name, keep: true }, files, (progress) => this.tell(name, progress));
      say(`${name} is at its best now.`);
    } catch (error) {
      await this.fail(name, error);
    } finally {
      this.own.delete(name);
      this.creations.delete(name);
      await photos.delete(name).catch(() => {});
    }
    await attempt(() => this.refresh());
  }

  tell(name, { stage = "starting", fraction = 0, preview = "" }) {
    const before = this.creations.get(name);
    this.creations.set(name, { stage, fraction, preview });
    if (!preview || before?.preview) return this.updateCard(name);
    say(`${name} can be brought to life already. It gets sharper meanwhile.`);
    return attempt(() => this.refresh());
  }

  async fail(name, error) {
    if (error.code === "canceled") return;
    say(`${name} was not made: ${error.message}`, true);
    if (error.code !== "unavailable") await call("CancelCreation", { name }).catch(() => {}); // it was told
  }

  // ---- what there is

  async refresh() {
    const [{ avatars = [] }, { creations = [] }] = await Promise.all([call("ListAvatars"), call("ListCreations")]);
    this.avatars = avatars.sort((a, b) => Number(b.createdUnixMs) - Number(a.createdUnixMs));
    for (const name of this.creations.keys()) if (!this.own.has(name)) this.creations.delete(name);
    for (const { name, progress = {}, error } of creations) {
      if (!this.own.has(name)) this.creations.set(name, { stage: "waiting", fraction: 0, ...progress, error });
    }
    this.render();
  }

  poll() {
    clearTimeout(this.timer);
    this.timer = setTimeout(async () => {
      const others = [...this.creations].some(([name, { error }]) => !this.own.has(name) && !error);
      if (others) await this.refresh().catch(() => {});
      if (this.visible) this.poll();
    }, POLL_MS);
  }

  render() {
    const making = [...this.creations.keys()].filter((name) => !this.avatars.some((a) => a.name === name));
    this.title.textContent = this.avatars.length || making.length ? "Your avatars" : "Make your first avatar";
    this.count.textContent = this.avatars.length ? "Choose one to bring it to life." : "A photo becomes a living head in seconds. Everything stays on your server.";
    this.grid.replaceChildren(
      ...making.map((name) => this.newCard(name)),
      ...this.avatars.map((avatar) => this.card(avatar)),
    );
  }

  updateCard(name) {
    const made = this.creations.get(name);
    const card = this.grid.querySelector(`[data-name="${name}"]`);
    const bar = card?.querySelector("progress");
    if (!bar) return this.render();
    bar.value = made.fraction;
    card.querySelector(".stage-words").textContent = words(made);
  }

  progressOf(name) {
    const made = this.creations.get(name);
    if (!made) return [];
    return [
      element("progress", { max: 1, value: made.fraction, "aria-label": `Progress of ${name}` }),
      element("p", { class: "soft small stage-words" }, words(made)),
    ];
  }

  newCard(name) {
    const { error } = this.creations.get(name);
    const picture = element("div", { class: "picture" });
    photos.get(name).then((photo) => photo && picture.append(pictureOf(photo, ""))).catch(() => {});
    return element("li", { class: "card avatar", "data-name": name }, picture,
      element("div", { class: "about" },
        element("h2", {}, name),
        ...(error ? [element("p", { class: "small", role: "alert" }, `It was not made: ${error}`)] : this.progressOf(name)),
        element("div", { class: "row" }, this.stopButton(name, error ? "Remove" : "Cancel")),
      ));
  }

  stopButton(name, text) {
    const stop = () => attempt(async () => {
      await call("CancelCreation", { name });
      this.creations.delete(name);
      await this.refresh();
    });
    return element("button", { class: "quiet", onclick: stop }, text);
  }

  card(avatar) {
    const { name, warnings = [] } = avatar;
    const link = element("a", { href: `#live/${name}`, "aria-label": `Bring ${name} to life` });
    takePicture(avatar).then((blob) => link.replaceChildren(pictureOf(blob, ""))).catch(() => {});
    const list = warnings.map((warning) => element("li", {}, warning));
    return element("li", { class: "card avatar", "data-name": name }, link,
      element("div", { class: "about" },
        element("h2", {}, name),
        ...this.progressOf(name),
        list.length ? element("ul", { class: "warnings", "aria-label": "What may look wrong" }, ...list) : null,
        element("div", { class: "row" },
          element("a", { class: "button main", href: `#live/${name}` }, "Go live"),
          this.creations.has(name)
            ? this.stopButton(name, "Cancel")
            : element("button", { class: "quiet", onclick: () => this.save(name) }, "Download"),
          this.creations.has(name) ? null : element("button", { class: "quiet", onclick: () => this.remove(name) }, "Delete"),
        ),
      ));
  }

  save(name) {
    return attempt(async () => download(await fetchAvatar(name), name + STORED));
  }

  remove(name) {
    const dialog = element("dialog", { "aria-label": `Delete ${name}` });
    const confirm = () => attempt(async () => {
      await call("DeleteAvatar", { name });
      await pictures.delete(name).catch(() => {});
      await photos.delete(name).catch(() => {});
      if (recall("session")?.avatar === name) keep("session", null);
      say(`${name} is deleted.`);
      await this.refresh();
    });
    dialog.append(element("form", { method: "dialog" },
      element("p", {}, `Delete ${name}? Photos are not kept on the server: unless you have downloaded it, it cannot be brought back.`),
      element("div", { class: "row" },
        element("button", { onclick: confirm }, "Delete"),
        element("button", { class: "main", autofocus: true }, "Keep it"),
      )));
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  }
}

function words({ stage, fraction, preview }) {
  const share = `${Math.round(100 * fraction)}\u00a0%`;
  return preview ? `Getting sharper: ${stage}, ${share}` : `${stage[0].toUpperCase()}${stage.slice(1)}, ${share}`;
}
