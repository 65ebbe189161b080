/** The page's icons, on a grid of 20. */

const PATHS = {
  plus: "M10 4v12M4 10h12",
  search: "M9 4a5 5 0 1 0 0 10A5 5 0 0 0 9 4zM13 13l4 4",
  send: "M10 16V4M5 9l5-5 5 5",
  stop: "M6 6h8v8H6z",
  copy: "M7 7V4h9v9h-3M4 7h9v9H4z",
  again: "M15.5 8A6 6 0 1 0 16 11M16 4v4h-4",
  edit: "M4 16l1-4 8-8 3 3-8 8z",
  up: "M7 9l3-6c2 0 2 2 1.5 5H16l-1.5 8H7zM7 9H4v7h3",
  down: "M13 11l-3 6c-2 0-2-2-1.5-5H4l1.5-8H13zM13 11h3V4h-3",
  more: "M5 9.5v1M10 9.5v1M15 9.5v1",
  back: "M12 4l-6 6 6 6",
  forward: "M8 4l6 6-6 6",
  latest: "M10 4v11M5 10l5 5 5-5",
  close: "M5 5l10 10M15 5L5 15",
  people:
    "M7 9a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM2.5 16c0-3 2-5 4.5-5s4.5 2 4.5 5M13 9a2 2 0 1 0 0-4M13.5 11c2.2 0 4 2 4 5",
  bot: "M5 8h10v8H5zM10 8V5M10 4.5h.01M8 12h.01M12 12h.01",
  trash: "M4 6h12M8 6V4h4v2M6 6l.7 10h6.6L14 6",
  leave: "M8 4H4v12h4M9 10h8M14 7l3 3-3 3",
  link: "M8.5 11.5l3-3M9 6l2-2a3.5 3.5 0 0 1 5 5l-2 2M11 14l-2 2a3.5 3.5 0 0 1-5-5l2-2",
  download: "M10 3v9M6 9l4 4 4-4M4 16h12",
  print: "M6 8V3h8v5M6 14H3V8h14v6h-3M6 12h8v5H6z",
  sun: "M10 7a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM10 2v2M10 16v2M2 10h2M16 10h2M4.3 4.3l1.4 1.4M14.3 14.3l1.4 1.4M15.7 4.3l-1.4 1.4M5.7 14.3l-1.4 1.4",
  moon: "M16 12a7 7 0 0 1-8-8 7 7 0 1 0 8 8z",
  screen: "M3 4h14v9H3zM7 16h6M10 13v3",
  check: "M4 10.5l4 4 8-9",
  clock: "M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM10 6.5V10l2.5 2",
  alert: "M10 3.5l7.5 13h-15zM10 8.5v3.5M10 14.3h.01",
  keys: "M2.5 5h15v10h-15zM5.5 8h.01M8.5 8h.01M11.5 8h.01M14.5 8h.01M6.5 12h7",
  eye: "M2.5 10s3-5 7.5-5 7.5 5 7.5 5-3 5-7.5 5-7.5-5-7.5-5zM10 8a2 2 0 1 0 0 4 2 2 0 0 0 0-4z",
  gear: "M3 6h6M13 6h4M3 14h2M9 14h8M11 6m-2 0a2 2 0 1 0 4 0 2 2 0 1 0-4 0M7 14m-2 0a2 2 0 1 0 4 0 2 2 0 1 0-4 0",
};

export type IconName = keyof typeof PATHS;

/** Hidden from screen readers: the element around it has a name. */
export function Icon({ name, mirrored = false }: { name: IconName; mirrored?: boolean }) {
  return (
    <svg class={mirrored ? "icon mirrored" : "icon"} viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      <path d={PATHS[name]} />
    </svg>
  );
}

export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 44 36" aria-hidden="true" focusable="false">
      <path class="mark-a" d="M20 2v26H10l-8 7V9a7 7 0 0 1 7-7z" />
      <path class="mark-b" d="M24 2h11a7 7 0 0 1 7 7v26l-8-7H24z" />
    </svg>
  );
}
