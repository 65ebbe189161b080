/** The pictures of chatbots, from the catalogue. */

import { signal } from "@preact/signals";

import type { Chatbot } from "../../client/index.ts";

const pictures = signal<ReadonlyMap<string, string>>(new Map());

export function setPictures(chatbots: readonly Chatbot[]): void {
  pictures.value = new Map(chatbots.flatMap(({ id, avatar }) => (isLoadable(avatar) ? [[id, avatar]] : [])));
}

/** The address of a chatbot's picture, if it has one. */
export function pictureOf(id: string): string | undefined {
  return pictures.value.get(id);
}

/** Whether the page's policy allows to load it: over TLS, or from our own server. */
function isLoadable(avatar: string | undefined): avatar is string {
  return !!avatar && /^(https:\/\/|\/(?!\/))/.test(avatar);
}
