// The server's calls, in JSON: proto/flexavatar/v1/flexavatar.proto has what they take and give.

const SERVICE = "/flexavatar.v1.FlexAvatar/";
const CHUNK_BYTES = 1 << 20;
const ENVELOPE_BYTES = 5;
const LAST = 2; // flag of the envelope that ends a stream
const TOKEN_KEY = "flexavatar.token";

/** The token is said once in the address, behind #, and stays in this tab. */
function takeToken() {
  const found = /[#&]token=([^&]*)/.exec(location.hash);
  if (found) {
    sessionStorage.setItem(TOKEN_KEY, decodeURIComponent(found[1]));
    history.replaceState(null, "", location.pathname + location.hash.replace(found[0], ""));
  }
  return sessionStorage.getItem(TOKEN_KEY) ?? "";
}

export const token = takeToken();

/** What the server refuses, with gRPC's code in lower case. */
export class CallError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

function headers(type) {
  const own = { "content-type": type, "connect-protocol-version": "1" };
  return token ? { ...own, authorization: `Bearer ${token}` } : own;
}

async function post(name, type, body, signal) {
  try {
    return await fetch(SERVICE + name, { method: "POST", headers: headers(type), body, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new CallError("unavailable", "The server does not answer. Is it still running?");
  }
}

/** One call: its answer, or a CallError. */
export async function call(name, fields = {}, signal = undefined) {
  const answer = await post(name, "application/json", JSON.stringify(fields), signal);
  if (!answer.ok) throw await refusal(answer);
  return answer.json();
}

/** All of an avatar in one file: StoredAvatar as protobuf has it. */
export async function fetchAvatar(name) {
  const letters = new TextEncoder().encode(name); // the request's field 1, a text below 128 bytes
  const answer = await post("FetchAvatar", "application/proto", new Blob([new Uint8Array([10, letters.length]), letters]));
  if (!answer.ok) throw await refusal(answer);
  return answer.blob();
}

/** The name that such a file says, or "". */
export async function storedName(file) {
  const start = new Uint8Array(await file.slice(0, 66).arrayBuffer());
  return start[0] === 10 ? new TextDecoder().decode(start.subarray(2, 2 + start[1])) : "";
}

/** Put an avatar of such a file in place. */
export async function storeAvatar(file) {
  const answer = await post("StoreAvatar", "application/proto", file);
  if (!answer.ok) throw await refusal(answer);
}

async function refusal(answer) {
  const { code = "unknown", message = answer.statusText } = await answer.json().catch(() => ({}));
  return new CallError(code, message);
}

/** Bytes of a Blob in base64. */
export async function base64(blob) {
  const reader = new FileReader();
  const loaded = new Promise((resolve, reject) => {
    reader.onload = resolve;
    reader.onerror = () => reject(reader.error);
  });
  reader.readAsDataURL(blob);
  await loaded;
  return reader.result.slice(reader.result.indexOf(",") + 1);
}

function envelope(fields) {
  const text = new TextEncoder().encode(JSON.stringify(fields));
  const start = new DataView(new ArrayBuffer(ENVELOPE_BYTES));
  start.setUint32(1, text.length);
  return [start.buffer, text];
}

/** Upload files and make an avatar of them: the avatar. `onProgress` gets {stage, fraction}. */
export async function createAvatar(header, files, onProgress) {
  const parts = envelope({ header });
  for (const [photo, file] of files.entries()) {
    for (let at = 0; at < file.size; at += CHUNK_BYTES) {
      const data = await base64(file.slice(at, at + CHUNK_BYTES));
      parts.push(...envelope({ chunk: { photo, data } }));
    }
  }
  const answer = await post("CreateAvatar", "application/connect+json", new Blob(parts));
  if (!answer.ok) throw await refusal(answer);
  for await (const { flag, content } of envelopes(answer.body.getReader())) {
    if (flag & LAST && content.error) throw new CallError(content.error.code, content.error.message);
    if (content.progress) onProgress(content.progress);
    if (content.avatar) return content.avatar;
  }
  throw new CallError("unavailable", "The connection broke off. The server goes on; reload to see.");
}

async function* envelopes(reader) {
  let bytes = new Uint8Array(0);
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const joined = new Uint8Array(bytes.length + value.length);
    joined.set(bytes);
    joined.set(value, bytes.length);
    bytes = joined;
    while (bytes.length >= ENVELOPE_BYTES) {
      const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
      if (bytes.length < ENVELOPE_BYTES + size) break;
      const text = new TextDecoder().decode(bytes.subarray(ENVELOPE_BYTES, ENVELOPE_BYTES + size));
      yield { flag: bytes[0], content: text ? JSON.parse(text) : {} };
      bytes = bytes.slice(ENVELOPE_BYTES + size);
    }
  }
}
