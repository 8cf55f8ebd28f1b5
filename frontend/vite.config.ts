import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

// In development, `soundalike serve --port 4747` answers what is under /api.
const server = "http://127.0.0.1:4747";

export default defineConfig({
  plugins: [svelte()],
  build: { outDir: "../src/soundalike/web/static", emptyOutDir: true, assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { proxy: { "/api": { target: server, changeOrigin: true, headers: { origin: server } } } },
});
