/** Avatars: people are round, chatbots are square, with the catalogue's picture or in their own colour. */

import { useState } from "preact/hooks";

import { hueOf, initialsOf } from "../../format/names.ts";
import { pictureOf } from "../../state/pictures.ts";

interface AvatarProps {
  readonly id: string;
  readonly name?: string;
  readonly kind: "user" | "chatbot";
  /** Adds a mark: the user is present. */
  readonly isHere?: boolean;
}

export function Avatar({ id, name, kind, isHere = false }: AvatarProps) {
  const picture = kind === "chatbot" ? pictureOf(id) : undefined;
  const [broken, setBroken] = useState<string>(); // then the initials are shown
  return (
    <span
      class={`avatar ${kind}${isHere ? " here" : ""}`}
      style={{ "--hue": String(hueOf(id)) }}
      data-initials={initialsOf(name ?? id)}
      aria-hidden="true"
    >
      {picture && picture !== broken && (
        <img
          src={picture}
          alt=""
          loading="lazy"
          referrerpolicy="no-referrer"
          onError={() => setBroken(picture)}
        />
      )}
    </span>
  );
}
