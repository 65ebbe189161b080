/** Avatars: people are round, chatbots are square, each in its own colour. */

import { hueOf, initialsOf } from "../../format/names.ts";

interface AvatarProps {
  readonly id: string;
  readonly name?: string;
  readonly kind: "user" | "chatbot";
  /** Adds a mark: the user is present. */
  readonly isHere?: boolean;
}

export function Avatar({ id, name, kind, isHere = false }: AvatarProps) {
  return (
    <span
      class={`avatar ${kind}${isHere ? " here" : ""}`}
      style={{ "--hue": String(hueOf(id)) }}
      data-initials={initialsOf(name ?? id)}
      aria-hidden="true"
    />
  );
}
