// Many points, drawn by WebGL2: places once, colors when they change, the view with each frame.

const VERTEX = `#version 300 es
in vec2 place;
in vec4 look;
uniform vec4 view; // center, then pixels of a unit over half the canvas, both ways
uniform float size;
out vec4 color;
void main() {
  gl_Position = vec4((place - view.xy) * view.zw, 0.0, 1.0);
  gl_PointSize = size;
  color = look;
}`;

const FRAGMENT = `#version 300 es
precision highp float;
in vec4 color;
uniform float size;
out vec4 pixel;
void main() {
  float away = length(gl_PointCoord - 0.5) * size;
  float alpha = clamp(size * 0.5 - away, 0.0, 1.0) * color.a;
  pixel = vec4(color.rgb * alpha, alpha);
}`;

export interface View {
  x: number;
  y: number;
  scale: number; // pixels of one unit
}

export class Points {
  #gl: WebGL2RenderingContext;
  #canvas: HTMLCanvasElement;
  #looks: WebGLBuffer;
  #view: WebGLUniformLocation | null;
  #size: WebGLUniformLocation | null;
  #n: number;

  /** @throws if the browser has no WebGL2 */
  constructor(canvas: HTMLCanvasElement, x: Float32Array, y: Float32Array) {
    const gl = canvas.getContext("webgl2", { antialias: false, premultipliedAlpha: true });
    if (!gl) throw new Error("no WebGL2");
    const program = link(gl);
    this.#gl = gl;
    this.#canvas = canvas;
    this.#n = x.length;
    this.#view = gl.getUniformLocation(program, "view");
    this.#size = gl.getUniformLocation(program, "size");
    const places = new Float32Array(2 * x.length);
    for (let i = 0; i < x.length; i++) places.set([x[i] as number, y[i] as number], 2 * i);
    feed(gl, program, "place", 2, gl.FLOAT, false, places);
    this.#looks = feed(gl, program, "look", 4, gl.UNSIGNED_BYTE, true, new Uint8Array(4 * x.length));
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  /** Give each point a color: red, green, blue, opacity. */
  paint(colors: Uint8Array): void {
    this.#gl.bindBuffer(this.#gl.ARRAY_BUFFER, this.#looks);
    this.#gl.bufferData(this.#gl.ARRAY_BUFFER, colors, this.#gl.DYNAMIC_DRAW);
  }

  draw(view: View, width: number, height: number, ratio: number, size: number): void {
    const gl = this.#gl;
    gl.viewport(0, 0, this.#canvas.width, this.#canvas.height);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform4f(this.#view, view.x, view.y, (2 * view.scale) / width, (2 * view.scale) / height);
    gl.uniform1f(this.#size, size * ratio);
    gl.drawArrays(gl.POINTS, 0, this.#n);
  }

  end(): void {
    this.#gl.getExtension("WEBGL_lose_context")?.loseContext();
  }
}

function link(gl: WebGL2RenderingContext): WebGLProgram {
  const program = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]] as const) {
    const shader = gl.createShader(kind) as WebGLShader;
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program) ?? "the shaders do not link");
  gl.useProgram(program);
  return program;
}

function feed(gl: WebGL2RenderingContext, program: WebGLProgram, name: string, width: number, type: number, normalized: boolean, values: AllowSharedBufferSource): WebGLBuffer {
  const buffer = gl.createBuffer();
  const where = gl.getAttribLocation(program, name);
  gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
  gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
  gl.enableVertexAttribArray(where);
  gl.vertexAttribPointer(where, width, type, normalized, 0, 0);
  return buffer;
}

/** How large a point is drawn, in pixels: smaller the more there are in sight. */
export const pointSize = (n: number, zoom: number): number => Math.max(2.2, Math.min(14, (n > 20_000 ? 3 : n > 2000 ? 5 : 8) * Math.sqrt(Math.max(1, zoom)) ** 0.8));
