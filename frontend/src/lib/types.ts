// What the server answers, as its description at /openapi.json has it.

export interface Sound {
  id: number;
  path: string;
  name: string;
  folder: string;
  duration_seconds: number;
  sample_rate: number;
  channels: number;
  container: string;
  codec: string;
  favorite: boolean;
  why: string[];
  tags?: Record<string, string>;
}

export interface Match extends Sound {
  rank: number;
  score?: number;
  probability?: number;
  start_s?: number;
  end_s?: number;
  aspects?: Record<string, number>;
}

export interface Matches {
  matches: Match[];
  n_passed: number;
  n_total: number;
  nothing_alike: boolean;
  took_ms: number;
}

export interface SoundFacts extends Sound {
  size: number;
  modified: string | null;
  is_there: boolean;
  n_segments: number;
  bits_per_sample: number | null;
  bit_rate: number | null;
}

export interface Model {
  name: string;
  summary: string;
  licence: string;
  dim: number;
  has_text: boolean;
  limits: string;
  trained_on: string;
}

export interface ListedModel extends Model {
  n_bytes: number;
  installed: boolean;
  in_use: boolean;
}

export interface Status {
  library: string;
  path: string;
  model: Model;
  n_sounds: number;
  n_failures: number;
  duration_seconds: number;
  folders: string[];
  n_bytes: number;
  rebuilding: string | null;
  aspects: string[];
  calibrated: boolean;
  version: string;
}

export interface Failure {
  path: string;
  name: string;
  code: string;
  reason: string;
}

export interface Facets {
  folders: { path: string; name: string; n: number }[];
  formats: { name: string; n: number }[];
  tags: Record<string, { value: string; n: number }[]>;
  durations: { min: number; max: number };
}

export interface Upload {
  id: string;
  name: string;
  duration_seconds: number;
}

export interface Folder {
  id: string;
  name: string;
  n_sounds?: number;
}

export interface Listing {
  at: Folder & { path: string };
  parent: string | null;
  folders: Folder[];
  places: Folder[];
}

export interface Job {
  id: string;
  kind: string;
  state: "queued" | "running" | "done" | "failed" | "cancelled";
  done: number;
  total: number;
  rate: number;
  eta_s: number | null;
  message: string;
  error: string | null;
  n_failed: number;
}

export interface MapFacts {
  n: number;
  names: string[];
  folders: string[];
  colors: { light: string[]; dark: string[] };
  updated: string;
}

export interface CopyPair {
  first: number;
  second: number;
  kinds: string[];
  sure: number;
  start_s: number;
  parameters: Record<string, number>;
  words: string;
}

export interface CopyGroup {
  group: string;
  sounds: Sound[];
  keeper: number;
  why: string;
  pairs: CopyPair[];
}

export interface Label {
  name: string;
  n_examples: number;
  examples: number[];
}

export interface Prediction {
  sound: Sound;
  label: string;
  probability: number;
}

export interface Suggestion {
  sound: Sound;
  doubt: number;
  guess: string | null;
}
