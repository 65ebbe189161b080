/** Builds the page and the widget's loader into `dist`, with the gzip and Brotli form of each text file. */

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { defineConfig, type Plugin, type Rolldown } from "vite";

/**
 * Modules that are loaded on first use, or when the page is idle; the login screen does not need the conversation. All
 * others are in one file, so that the first load takes one round trip.
 */
const LATER = new RegExp(
  "node_modules/(dompurify|highlight.js|temml)/|" +
    "page/(platform/clipboard|i18n/(de|ar)|markdown/(highlight|references|typesetter)|" +
    "views/(account|conversation|dialogs)/\\w+|views/shell/search_hits)\\.",
);
const MARKDOWN = /node_modules\/marked\/|page\/markdown\/(?!highlight|references|typesetter)/;

const isFirst = (id: string) => !LATER.test(id) && !MARKDOWN.test(id) && !id.includes("/widget/");

const TEXT = /\.(html|js|css|svg|webmanifest)$/;

/** Compresses the files once, instead of at each request. */
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

const HERE = import.meta.dirname;
const LOADER = resolve(HERE, "src/page/platform/part_files.ts");
const DYNAMIC_IMPORT = /\bimport\("(\.[^"]+)"\)/g;
const PLACEHOLDER = /["'`]files of ([^"'`]+)["'`]/g;

/**
 * Passes the list of its files to every `import()` of the page: the part's own and those it imports, except those that
 * are already loaded. The reason is in `src/page/platform/part_files.ts`.
 */
function partFiles(): Plugin {
  let base = "";
  return {
    name: "backchat-part-files",
    apply: "build",
    configResolved: (config) => {
      base = config.base;
    },
    transform: {
      filter: { id: /\/src\/page\/.*\.tsx?$/, code: DYNAMIC_IMPORT },
      handler: (code, id) =>
        `import { importPart } from ${JSON.stringify(LOADER)};\n` +
        code.replace(DYNAMIC_IMPORT, (imported, path: string) => {
          // relative, so that hashes do not depend on the checkout
          const part = relative(HERE, resolve(dirname(id), path));
          return `importPart(() => ${imported}, ${JSON.stringify(`files of ${part}`)})`;
        }),
    },
    generateBundle: (_, bundle) => {
      const chunks = Object.values(bundle).filter((file) => file.type === "chunk");
      const loaded = filesOf(
        chunks.filter((chunk) => chunk.isEntry),
        bundle,
      );
      for (const chunk of chunks) {
        chunk.code = chunk.code.replace(PLACEHOLDER, (_, part: string) => {
          const own = chunks.filter((each) => each.facadeModuleId === resolve(HERE, part));
          const files = [...filesOf(own, bundle)].filter((file) => !loaded.has(file));
          if (!files.length) throw new Error(`The build has no file of ${part}`);
          return JSON.stringify(files.map((file) => base + file));
        });
      }
    },
  };
}

/** The files of chunks and of everything that they import statically. */
function filesOf(chunks: readonly Rolldown.OutputChunk[], bundle: Rolldown.OutputBundle): Set<string> {
  const files = new Set<string>();
  const add = (chunk: Rolldown.OutputChunk) => {
    if (files.has(chunk.fileName)) return;
    files.add(chunk.fileName);
    for (const name of chunk.imports) {
      const imported = bundle[name];
      if (imported?.type === "chunk") add(imported);
    }
  };
  chunks.forEach(add);
  return files;
}

export default defineConfig({
  base: "/chat/",
  plugins: [partFiles(), compressed()],
  build: {
    target: "es2022",
    modulePreload: false, // the first load has a single file
    assetsInlineLimit: 0, // the content security policy forbids data: scripts and styles
    cssCodeSplit: false, // one style sheet, so that nothing is shown unstyled
    reportCompressedSize: false,
    rolldownOptions: {
      input: { page: "index.html", widget: "src/widget/loader.ts" },
      output: {
        codeSplitting: {
          groups: [
            { name: "base", test: isFirst, priority: 1 },
            { name: "markdown", test: MARKDOWN }, // apart from the conversation, so that both keep to their budget
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
