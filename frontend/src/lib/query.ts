// A question: parts that are alike or not, filters, weights; and how it stands in the address.

export interface Part {
  kind: "text" | "id" | "upload";
  value: string;
  weight: number; // negative: not like this
  name?: string; // what a sound is called; not in the address
}

export interface Filters {
  min_duration?: number;
  max_duration?: number;
  folders: string[];
  formats: string[];
  tags: Record<string, string>;
  since?: string;
  label?: string;
  favorite: boolean;
}

export interface Query {
  text: string; // what is being typed
  parts: Part[];
  filters: Filters;
  weigh: Record<string, number>;
  segments: boolean; // every place in a file, not the best one alone
}

export const noFilters = (): Filters => ({ folders: [], formats: [], tags: {}, favorite: false });
export const emptyQuery = (): Query => ({ text: "", parts: [], filters: noFilters(), weigh: {}, segments: false });
export const like = (id: number, name: string): Query => ({ ...emptyQuery(), parts: [{ kind: "id", value: String(id), weight: 1, name }] });

const NAMES = { text: "text", id: "like", upload: "drop" } as const;
const KINDS = Object.fromEntries(Object.entries(NAMES).map(([kind, name]) => [name, kind])) as Record<string, Part["kind"]>;

/** Write a question as the search part of an address, "" for the empty one. */
export function toAddress(query: Query): string {
  const to = new URLSearchParams();
  if (query.text.trim()) to.set("q", query.text.trim());
  for (const part of query.parts) to.append(NAMES[part.kind], part.weight === 1 ? part.value : `${part.value}~${part.weight}`);
  const { min_duration, max_duration, folders, formats, tags, since, label, favorite } = query.filters;
  if (min_duration !== undefined) to.set("min", String(min_duration));
  if (max_duration !== undefined) to.set("max", String(max_duration));
  for (const folder of folders) to.append("folder", folder);
  for (const format of formats) to.append("format", format);
  for (const [name, value] of Object.entries(tags)) to.set(`tag.${name}`, value);
  if (since) to.set("since", since);
  if (label) to.set("label", label);
  if (favorite) to.set("favorite", "1");
  for (const [name, weight] of Object.entries(query.weigh)) to.set(`weigh.${name}`, String(weight));
  if (query.segments) to.set("places", "1");
  const written = to.toString();
  return written && `?${written}`;
}

/** Read it back; what has no meaning is passed over. */
export function fromAddress(search: string): Query {
  const query = emptyQuery();
  for (const [name, value] of new URLSearchParams(search)) read(query, name, value);
  return query;
}

function read(query: Query, name: string, value: string): void {
  const { filters } = query;
  const kind = KINDS[name];
  if (kind) query.parts.push(...partOf(kind, value));
  else if (name === "q") query.text = value;
  else if (name === "min") filters.min_duration = number(value);
  else if (name === "max") filters.max_duration = number(value);
  else if (name === "folder") filters.folders.push(value);
  else if (name === "format") filters.formats.push(value);
  else if (name === "since") filters.since = Number.isNaN(Date.parse(value)) ? undefined : value;
  else if (name === "label") filters.label = value;
  else if (name === "favorite") filters.favorite = true;
  else if (name === "places") query.segments = true;
  else if (name.startsWith("tag.")) filters.tags[name.slice(4)] = value;
  else if (name.startsWith("weigh.")) query.weigh[name.slice(6)] = number(value) ?? 1;
}

function partOf(kind: Part["kind"], written: string): Part[] {
  const [, value, weight] = /^(.*?)(?:~(-?\d+(?:\.\d+)?))?$/s.exec(written) ?? [];
  if (!value || (kind === "id" && !/^[1-9]\d*$/.test(value))) return [];
  return [{ kind, value, weight: weight === undefined ? 1 : Number(weight) }];
}

function number(value: string): number | undefined {
  const read = Number(value);
  return value !== "" && Number.isFinite(read) && read >= 0 ? read : undefined;
}

/** The body of a request. */
export function toBody(query: Query, n: number, offset: number): Record<string, unknown> {
  const parts = query.parts.map(({ kind, value, weight }) => ({ [kind]: kind === "id" ? Number(value) : value, weight }));
  if (query.text.trim()) parts.unshift({ text: query.text.trim(), weight: 1 });
  const { since, ...rest } = query.filters;
  const filters = since ? { ...rest, since: new Date(since).toISOString() } : rest;
  return { parts, weigh: canWeigh(query) ? query.weigh : {}, filters, n, offset, segments: query.segments };
}

/** Aspects are compared between sounds: words alone have none. */
export const canWeigh = (query: Query): boolean => query.parts.some((part) => part.kind !== "text" && part.weight > 0);

export const isAsked = (query: Query): boolean => query.text.trim() !== "" || query.parts.length > 0;

export function nFilters(filters: Filters): number {
  const { folders, formats, tags, favorite, ...single } = filters;
  return folders.length + formats.length + Object.keys(tags).length + Number(favorite) + Object.values(single).filter((value) => value !== undefined).length;
}
