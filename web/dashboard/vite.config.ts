// The built files have fixed names and are under version control: what is built twice is equal.
import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  build: {
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    emptyOutDir: true,
    license: { fileName: "licenses.txt" },
    modulePreload: { polyfill: false },
    outDir: "../../src/tachikoma_proto/dashboard/page",
    rollupOptions: {
      output: {
        assetFileNames: "dashboard[extname]",
        entryFileNames: "dashboard.js",
      },
    },
    target: "es2022",
  },
});
