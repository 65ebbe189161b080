/** Who is who at a glance: people are round, chatbots are square, each with a colour of their own. */

import { hueOf, initialsOf } from "../names.ts";

export function Avatar({ id, name, kind }: { id: string; name?: string; kind: "user" | "chatbot" }) {
  return (
    <span
      class={`avatar ${kind}`}
      style={{ "--hue": String(hueOf(id)) }}
      data-initials={initialsOf(name ?? id)}
      aria-hidden="true"
    />
  );
}
