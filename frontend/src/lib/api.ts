// Asking the server. An error that it names is shown as it is; one that it does not, in plain words.

export class Failed extends Error {
  readonly status: number;

  constructor(status: number, words: string) {
    super(words);
    this.status = status;
  }
}

export async function ask<T>(method: string, address: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const response = await send(address, {
    method,
    signal,
    headers: body === undefined ? {} : { "content-type": "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  return (await response.json()) as T;
}

export const get = <T>(address: string, signal?: AbortSignal) => ask<T>("GET", address, undefined, signal);
export const post = <T>(address: string, body: unknown = {}, signal?: AbortSignal) => ask<T>("POST", address, body, signal);
export const put = (address: string) => ask<{ ok: boolean }>("PUT", address);
export const remove = (address: string) => ask<{ ok: boolean }>("DELETE", address);

export async function bytes(address: string, signal?: AbortSignal): Promise<ArrayBuffer> {
  return (await send(address, { signal })).arrayBuffer();
}

export async function upload<T>(sound: Blob, name: string): Promise<T> {
  const headers = { "content-type": "application/octet-stream", "x-name": encodeURIComponent(name) };
  return (await send("/uploads", { method: "POST", headers, body: sound })).json() as Promise<T>;
}

export async function download(address: string, body: unknown, name: string): Promise<void> {
  const headers = { "content-type": "application/json" };
  const response = await send(address, { method: "POST", headers, body: JSON.stringify(body) });
  save(URL.createObjectURL(await response.blob()), name);
}

export function save(address: string, name: string): void {
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  if (address.startsWith("blob:")) setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** Begin a session with the token of the printed address, if there is one in it. */
export async function enter(): Promise<void> {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  history.replaceState(history.state, "", location.pathname + location.search);
  await post("/session", { token });
}

async function send(address: string, init: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(`/api${address}`, init);
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Failed(0, "Soundalike does not answer. Is it still running? Start it again with: soundalike serve");
  }
  if (response.ok) return response;
  const said = (await response.json().catch(() => ({}))) as { error?: string };
  throw new Failed(response.status, said.error ?? `The server answered with ${response.status}.`);
}
