/**
 * Loads a part of the page in a way that can be retried.
 *
 * Chromium keeps the failure of an `import()`, also of a file that the part imports, until the page is closed (the HTML
 * standard's module map; Firefox and WebKit do not). So all files are fetched first, and imported from the browser's
 * cache only when all have arrived. A browser without a disk cache (a private window of WebKit) downloads them twice.
 * The build passes the list of files (`vite.config.ts`).
 */

/** Rejects, without an import, if one of the files cannot be loaded. */
export async function importPart<Part>(part: () => Promise<Part>, files: readonly string[]): Promise<Part> {
  await Promise.all(files.map(fetchFile));
  return part();
}

async function fetchFile(file: string): Promise<void> {
  const response = await fetch(file);
  if (!response.ok) throw new Error(`${file} was answered with HTTP status ${response.status}`);
  await response.arrayBuffer(); // the cache keeps only files that were read completely
}
