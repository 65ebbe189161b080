/** Builds the page and the widget's loader into `dist`, each text file beside its gzip and Brotli form. */

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

/**
 * What is loaded when it is first wanted, or when the page is idle: whoever logs in needs no conversation. All the
 * rest is one file, so that the first load is one round trip.
 */
const SCREENS = "account_screen|conversation_screen|guest_screen|join_screen|login_screen";
const DIALOGS = "dialog|help_dialog|palette|people_dialog|rename_dialog";
const CONVERSATION = "chat_head|copy_button|message_\\w+|pending_row|presence|scroll|target|thread|typing";
const LATER = new RegExp(
  "node_modules/highlight.js/|page/(clipboard|i18n/(de|ar)|markdown/highlight|" +
    `views/(${SCREENS}|${DIALOGS}|${CONVERSATION}|logins|search_hits|settings))\\.`,
);
const MARKDOWN = /node_modules\/(dompurify|marked)\/|page\/markdown\/(?!highlight)/;

const isFirst = (id: string) => !LATER.test(id) && !MARKDOWN.test(id) && !id.includes("/widget/");

const TEXT = /\.(html|js|css|svg|webmanifest)$/;

/** Compress once here rather than at each request. */
function compressed(): Plugin {
  let directory = "";
  return {
    name: "backchat-compressed",
    apply: "build",
    configResolved: ({ root, build }) => {
      directory = resolve(root, build.outDir);
    },
    closeBundle: () => {
      for (const name of readdirSync(directory, { recursive: true, encoding: "utf8" })) {
        if (!TEXT.test(name)) continue;
        const bytes = readFileSync(join(directory, name));
        writeFileSync(join(directory, `${name}.gz`), gzipSync(bytes, { level: 9 }));
        writeFileSync(join(directory, `${name}.br`), brotliCompressSync(bytes));
      }
    },
  };
}

export default defineConfig({
  base: "/chat/",
  plugins: [compressed()],
  build: {
    target: "es2022",
    modulePreload: false, // there is one file to load at first
    assetsInlineLimit: 0, // the policy allows no data: scripts or styles
    cssCodeSplit: false, // one style sheet: nothing is ever shown without it
    reportCompressedSize: false,
    rolldownOptions: {
      input: { page: "index.html", widget: "src/widget/loader.ts" },
      output: {
        codeSplitting: {
          groups: [
            { name: "base", test: isFirst, priority: 1 },
            { name: "markdown", test: MARKDOWN }, // beside the conversation, so that both keep to their budget
          ],
        },
        entryFileNames: ({ name }) => (name === "widget" ? "widget.js" : "assets/[name]-[hash].js"),
      },
    },
  },
  server: {
    proxy: {
      "/socket.io": { target: "http://127.0.0.1:8000", ws: true },
      "^/(register|login|logout|refresh|guest|me)(/.*)?$": "http://127.0.0.1:8000",
    },
  },
});
