import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const desk = process.env.TIDEHELM_DESK ?? "http://127.0.0.1:8787";

// The server answers with `Content-Security-Policy: default-src 'self'`, so nothing may
// be inlined: no data: URIs, no inline scripts, no inline styles.
export default defineConfig({
  plugins: [react()],
  build: { assetsInlineLimit: 0, target: "es2022", sourcemap: false, manifest: true },
  server: {
    host: "127.0.0.1",
    proxy: {
      "/api": { target: desk, changeOrigin: true },
      "/v1": { target: desk, changeOrigin: true },
      "/ws": { target: desk, ws: true, changeOrigin: true },
    },
  },
  test: {
    environment: "jsdom",
    environmentOptions: { jsdom: { url: "http://desk.test/" } },
    include: ["src/**/*.test.{ts,tsx}"],
    setupFiles: ["src/test_setup.ts"],
    restoreMocks: true,
  },
});
