/** Sanitises HTML from Markdown: few tags, links only to the web, nothing that loads automatically. */

import createPurifier from "dompurify";

import { t } from "../i18n/index.ts";

const TAGS =
  "p br strong em del code pre blockquote ul ol li h1 h2 h3 h4 h5 h6 hr table thead tbody tr th td a span".split(
    " ",
  );

const ELSEWHERE = /^(?:https?:\/\/|mailto:)/i;

const purifier = createPurifier(window);
const OPTIONS = {
  ALLOWED_TAGS: TAGS,
  ALLOWED_ATTR: ["href", "title", "start", "align", "data-image", "class"],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  ALLOWED_URI_REGEXP: ELSEWHERE,
  RETURN_DOM_FRAGMENT: true as const,
};

/** The sanitised HTML as a fragment for the page. */
export function sanitised(html: string): DocumentFragment {
  const fragment = purifier.sanitize(html, OPTIONS);
  for (const link of fragment.querySelectorAll("a")) harmless(link);
  for (const place of fragment.querySelectorAll<HTMLElement>("[data-image]"))
    place.replaceWith(imageButton(place));
  for (const item of fragment.querySelectorAll("li"))
    if (/^\s*[☑☐]/.test(item.textContent)) item.className = "task";
  for (const table of fragment.querySelectorAll("table")) scrollable(table);
  return fragment;
}

/** A fragment of highlighted code: only `span`s with classes. */
export function sanitisedCode(html: string): DocumentFragment {
  return purifier.sanitize(html, { ...OPTIONS, ALLOWED_TAGS: ["span"], ALLOWED_ATTR: ["class"] });
}

function harmless(link: HTMLAnchorElement): void {
  if (!ELSEWHERE.test(link.getAttribute("href") ?? "")) return link.replaceWith(...link.childNodes);
  link.target = "_blank";
  link.rel = "noopener noreferrer nofollow ugc";
}

/** Loading an image reveals the reader to its host, so each image is a button until it is clicked. */
function imageButton(place: HTMLElement): Node {
  const url = URL.parse(place.dataset.image ?? "");
  const alt = place.textContent ?? "";
  if (url?.protocol !== "https:") return document.createTextNode(alt);
  const button = document.createElement("button");
  button.type = "button";
  button.className = "md-image";
  button.textContent = t("message.image", {
    alt: alt || url.pathname.split("/").pop() || "…",
    host: url.host,
  });
  button.addEventListener("click", () => {
    const image = new Image();
    image.referrerPolicy = "no-referrer";
    image.alt = alt;
    image.src = url.href;
    button.replaceWith(image);
  });
  return button;
}

function scrollable(table: HTMLTableElement): void {
  const frame = document.createElement("div");
  frame.className = "md-table";
  frame.tabIndex = 0;
  table.replaceWith(frame);
  frame.append(table);
}
