// Numbers as people read them.

export function clock(seconds: number): string {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 10) return `${seconds.toFixed(seconds < 1 ? 2 : 1)} s`;
  const whole = Math.round(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number) => String(value).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

export function span(seconds: number): string {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(seconds < 36_000 ? 1 : 0)} h`;
}

export const count = (n: number): string => n.toLocaleString("en");

export const many = (n: number, one: string, more = `${one}s`): string => `${count(n)} ${n === 1 ? one : more}`;

export function size(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let step = 0;
  while (bytes >= 1000 && step < units.length - 1) {
    bytes /= 1000;
    step += 1;
  }
  return `${bytes < 10 && step ? bytes.toFixed(1) : Math.round(bytes)} ${units[step]}`;
}

export const percent = (part: number): string => `${Math.round(part * 100)} %`;

/** The end of a path, which is what tells folders apart. */
export function tail(path: string, parts = 2): string {
  const all = path.split(/[\\/]/).filter(Boolean);
  return all.length > parts ? `…/${all.slice(-parts).join("/")}` : path;
}

export const JOBS: Record<string, string> = {
  add: "Adding a folder",
  sync: "Looking for changes",
  retry: "Trying failed sounds again",
  map: "Laying out the map",
  duplicates: "Looking for duplicates",
  rebuild: "Switching the model",
  pull: "Getting a model",
  push: "Pushing to a vector database",
};
