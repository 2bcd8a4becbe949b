// What outlives a reload: small things in localStorage, files and pictures in IndexedDB.

const PREFIX = "flexavatar.";

/** A small value by its name, or `usual`. */
export function recall(name, usual = null) {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + name)) ?? usual;
  } catch {
    return usual;
  }
}

/** Keep a small value; null forgets it. */
export function keep(name, value) {
  if (value === null) localStorage.removeItem(PREFIX + name);
  else localStorage.setItem(PREFIX + name, JSON.stringify(value));
}

function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

const database = (() => {
  const opening = indexedDB.open("flexavatar", 1);
  opening.onupgradeneeded = () => {
    for (const shelf of ["pictures", "photos"]) opening.result.createObjectStore(shelf);
  };
  return settled(opening);
})();

/** One place for larger values, by key. */
class Shelf {
  constructor(name) {
    this.name = name;
  }

  async in(mode, ask) {
    return settled(ask((await database).transaction(this.name, mode).objectStore(this.name)));
  }

  get(key) {
    return this.in("readonly", (store) => store.get(key));
  }

  put(key, value) {
    return this.in("readwrite", (store) => store.put(value, key));
  }

  delete(key) {
    return this.in("readwrite", (store) => store.delete(key));
  }
}

/** What avatars look like: {createdUnixMs, blob} by name. */
export const pictures = new Shelf("pictures");
/** A photo of whom an avatar is being made of, by its name. */
export const photos = new Shelf("photos");
