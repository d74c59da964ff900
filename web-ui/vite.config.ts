import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// The server answers with `Content-Security-Policy: default-src 'self'`, so nothing may
// be inlined: no data: URIs, no inline scripts, no inline styles.
export default defineConfig({
  plugins: [react()],
  build: { assetsInlineLimit: 0, target: "es2022", sourcemap: false },
  server: {
    host: "127.0.0.1",
    proxy: { "/api": { target: "http://127.0.0.1:8787", changeOrigin: false } },
  },
  test: {
    environment: "jsdom",
    environmentOptions: { jsdom: { url: "http://desk.test/" } },
    setupFiles: ["src/test_setup.ts"],
    restoreMocks: true,
  },
});
