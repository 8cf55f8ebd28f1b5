// Points in the plane, and finding them: by a grid, so that a look costs the same with 200 points and 200,000.

export interface Field {
  n: number;
  ids: Int32Array;
  x: Float32Array;
  y: Float32Array;
  cluster: Uint16Array;
  folder: Uint16Array;
}

/** Read what /api/map/points answers: int32 ids, float32 x and y, uint16 cluster and folder, n of each. */
export function fieldOf(answer: ArrayBuffer): Field {
  const n = answer.byteLength / 16;
  return {
    n,
    ids: new Int32Array(answer, 0, n),
    x: new Float32Array(answer, 4 * n, n),
    y: new Float32Array(answer, 8 * n, n),
    cluster: new Uint16Array(answer, 12 * n, n),
    folder: new Uint16Array(answer, 14 * n, n),
  };
}

export interface Box {
  x0: number;
  y0: number;
  x1: number;
  y1: number;
}

export function boundsOf({ n, x, y }: Field): Box {
  const box = n ? { x0: Infinity, y0: Infinity, x1: -Infinity, y1: -Infinity } : { x0: 0, y0: 0, x1: 1, y1: 1 };
  for (let i = 0; i < n; i++) {
    const [px, py] = [x[i] as number, y[i] as number];
    box.x0 = Math.min(box.x0, px);
    box.x1 = Math.max(box.x1, px);
    box.y0 = Math.min(box.y0, py);
    box.y1 = Math.max(box.y1, py);
  }
  return box;
}

const SIDE = 256;

export class Grid {
  readonly bounds: Box;
  #field: Field;
  #starts = new Uint32Array(SIDE * SIDE + 1);
  #rows: Uint32Array;
  #scale: [number, number];

  constructor(field: Field) {
    this.#field = field;
    this.bounds = boundsOf(field);
    const { x0, y0, x1, y1 } = this.bounds;
    this.#scale = [SIDE / (x1 - x0 || 1), SIDE / (y1 - y0 || 1)];
    this.#rows = new Uint32Array(field.n);
    const cells = new Uint32Array(field.n);
    for (let i = 0; i < field.n; i++) {
      const cell = this.#column(field.x[i] as number) * SIDE + this.#line(field.y[i] as number);
      cells[i] = cell;
      this.#starts[cell + 1] = (this.#starts[cell + 1] as number) + 1;
    }
    for (let cell = 0; cell < SIDE * SIDE; cell++) this.#starts[cell + 1] = (this.#starts[cell + 1] as number) + (this.#starts[cell] as number);
    const next = this.#starts.slice();
    for (let i = 0; i < field.n; i++) {
      const cell = cells[i] as number;
      this.#rows[next[cell] as number] = i;
      next[cell] = (next[cell] as number) + 1;
    }
  }

  #column = (x: number) => Math.max(0, Math.min(SIDE - 1, Math.floor((x - this.bounds.x0) * this.#scale[0])));
  #line = (y: number) => Math.max(0, Math.min(SIDE - 1, Math.floor((y - this.bounds.y0) * this.#scale[1])));

  /** Rows of the points in a box. */
  *within({ x0, y0, x1, y1 }: Box): Generator<number> {
    const { x, y } = this.#field;
    for (let column = this.#column(x0); column <= this.#column(x1); column++)
      for (let line = this.#line(y0); line <= this.#line(y1); line++) {
        const cell = column * SIDE + line;
        for (let k = this.#starts[cell] as number; k < (this.#starts[cell + 1] as number); k++) {
          const i = this.#rows[k] as number;
          const [px, py] = [x[i] as number, y[i] as number];
          if (px >= x0 && px <= x1 && py >= y0 && py <= y1) yield i;
        }
      }
  }

  /** Row of the nearest point within reach, or -1. */
  nearest(px: number, py: number, reach: number): number {
    const { x, y } = this.#field;
    let [best, least] = [-1, reach * reach];
    for (const i of this.within({ x0: px - reach, y0: py - reach, x1: px + reach, y1: py + reach })) {
      const away = ((x[i] as number) - px) ** 2 + ((y[i] as number) - py) ** 2;
      if (away < least) [best, least] = [i, away];
    }
    return best;
  }

  /** Rows of the points inside a closed line. */
  inside(line: readonly (readonly [number, number])[]): number[] {
    const xs = line.map(([x]) => x);
    const ys = line.map(([, y]) => y);
    const box = { x0: Math.min(...xs), x1: Math.max(...xs), y0: Math.min(...ys), y1: Math.max(...ys) };
    const { x, y } = this.#field;
    return [...this.within(box)].filter((i) => isInside(line, x[i] as number, y[i] as number));
  }
}

/** Whether a point is inside a closed line: a ray from it crosses the line an odd number of times. */
export function isInside(line: readonly (readonly [number, number])[], px: number, py: number): boolean {
  let inside = false;
  for (let i = 0, j = line.length - 1; i < line.length; j = i++) {
    const [[ax, ay], [bx, by]] = [line[i] as readonly [number, number], line[j] as readonly [number, number]];
    if (ay > py !== by > py && px < ((bx - ax) * (py - ay)) / (by - ay) + ax) inside = !inside;
  }
  return inside;
}

const COARSE = 24; // cells a side

/** Where a group's name goes: the middle of its fullest corner of a coarse grid, of several the one nearest to its own middle; and how many it has. */
export function namePlaces(field: Field, groups: Uint16Array, nGroups: number, bounds: Box): { x: number; y: number; n: number }[] {
  const cells = Array.from({ length: nGroups }, () => new Map<number, number[]>());
  const counts = new Uint32Array(nGroups);
  const cell = (value: number, low: number, high: number) => Math.min(COARSE - 1, Math.floor(((value - low) / (high - low || 1)) * COARSE));
  for (let i = 0; i < field.n; i++) {
    const group = groups[i] as number;
    const key = cell(field.x[i] as number, bounds.x0, bounds.x1) * COARSE + cell(field.y[i] as number, bounds.y0, bounds.y1);
    const own = cells[group];
    if (!own) continue;
    counts[group] = (counts[group] as number) + 1;
    const there = own.get(key);
    if (there) there.push(i);
    else own.set(key, [i]);
  }
  return cells.map((own, group) => {
    const corners = [...own.values()];
    const most = Math.max(...corners.map((rows) => rows.length));
    const middle = (rows: number[]) => [field.x, field.y].map((values) => rows.reduce((sum, i) => sum + (values[i] as number), 0) / Math.max(rows.length, 1)) as [number, number];
    const [midX, midY] = middle(corners.flat());
    const away = ([x, y]: [number, number]) => Math.hypot(x - midX, y - midY);
    const full = corners.filter((rows) => rows.length === most).map(middle);
    const [x, y] = full.reduce((a, b) => (away(b) < away(a) ? b : a), full[0] ?? [0, 0]);
    return { x, y, n: counts[group] as number };
  });
}
