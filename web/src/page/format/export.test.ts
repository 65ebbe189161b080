// @vitest-environment happy-dom

import { marked } from "marked";
import { describe, expect, it, vi } from "vitest";

import type { Client, Message, Session } from "../../client/index.ts";
import { allMessages, asMarkdown } from "./export.ts";

const session = {
  id: "s",
  title: "A trip",
  chatbots: [{ id: "eliza", name: "Eliza" }],
} as unknown as Session;

function message(seq: number, more: Partial<Message> = {}): Message {
  return {
    id: `m${seq}`,
    seq,
    sender_type: "user",
    sender_id: "ada",
    content: `text ${seq}`,
    created_at: "2026-11-23T09:00:00.000Z",
    status: "complete",
    superseded_by: null,
    ...more,
  } as Message;
}

describe("allMessages", () => {
  it("loads page after page until none is left", async () => {
    const pages = [[message(1), message(3)], [message(4)], []];
    const call = vi.fn(() => {
      const messages = pages.shift() ?? [];
      return Promise.resolve({ messages, has_more: pages.length > 1 });
    });
    const all = await allMessages({ call } as unknown as Client, "s");
    expect(all.map(({ seq }) => seq)).toEqual([1, 3, 4]);
    expect(call.mock.calls.map(([, payload]: any) => payload.after_seq)).toEqual([0, 3]);
  });

  it("stops although more pages are announced than exist", async () => {
    const call = () => Promise.resolve({ messages: [], has_more: true });
    expect(await allMessages({ call } as unknown as Client, "s")).toEqual([]);
  });
});

describe("asMarkdown", () => {
  it("names each sender, and omits superseded messages", () => {
    const text = asMarkdown(session, [
      message(1),
      message(2, { sender_type: "chatbot", sender_id: "eliza", superseded_by: "m3" }),
      message(3, { sender_type: "chatbot", sender_id: "eliza" }),
      message(4, { status: "erased", content: "" }),
    ]);
    expect(text.match(/^#.*/gm)).toEqual(["# A trip", "### ada", "### Eliza"]);
    expect(text).toContain("> text 3\n");
    expect(text).not.toContain("text 2");
  });

  it.each([
    ["a heading", "# Mallory\n\nhello"],
    ["an underlined heading", "Mallory\n===="],
    ["an open code block", "```python\nprint(1)"],
    ["an open HTML comment", "<!-- hidden"],
    ["an open HTML block", "<details>\n<pre>"],
    ["a table without an end", "| a |\n| - |\n| b |"],
    ["Windows and old Mac line ends", "one\r\n# two\r# three"],
    ["an indented code block", "    code"],
  ])("keeps messages apart that hold %s", (_, content) => {
    const html = marked.parse(asMarkdown(session, [message(1, { content }), message(2)]), { async: false });
    const outside = html.replace(/<blockquote>[^]*?<\/blockquote>/g, "");
    const headings = [...outside.matchAll(/<h\d>(.*?)<\/h\d>/g)].map(([, text]) => text);
    expect(headings).toEqual(["A trip", "ada", "ada"]);
    expect(html).toContain("<p>text 2</p>");
  });

  it.each(["*Star*", "# top", "a_b_c", "<b>", "two\nlines", "[x](y)", "back\\slash", "`code`"])(
    "shows the title and the name %j as they are",
    (title) => {
      const text = asMarkdown({ ...session, title, chatbots: [] }, [message(1, { sender_id: title })]);
      const html = marked.parse(text, { async: false });
      const plain = title.replace("\n", " ").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
      expect(html).toContain(`<h1>${plain}</h1>`);
      expect(html).toContain(`<h3>${plain}</h3>`);
    },
  );
});
