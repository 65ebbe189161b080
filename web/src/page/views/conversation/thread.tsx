/** The messages of a chat. */

import { type Signal, useSignal } from "@preact/signals";
import type { VNode } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

import type { Message } from "../../../client/index.ts";
import { asBackchatError } from "../../../client/errors.ts";
import { useWorkspace } from "../../state/context.ts";
import type { Conversation, Row } from "../../state/conversation.ts";
import { t } from "../../i18n/index.ts";
import { day, startOfDay } from "../../format/times.ts";
import { Problem } from "../controls/controls.tsx";
import { Icon } from "../controls/icon.tsx";
import { MessageRow } from "./message_row.tsx";
import { PendingRow } from "./pending_row.tsx";
import { type Scrolling, useScrolling } from "./scroll.ts";
import { useTarget } from "./target.ts";
import { Typing } from "./typing.tsx";

const GROUPED_WITHIN = 5 * 60_000; // milliseconds in which messages of one sender are grouped

interface ThreadProps {
  readonly conversation: Conversation;
  /** The id of the message that is being edited. */
  readonly editing: Signal<string | undefined>;
  /** Number of messages sent from here; each one scrolls to the end. */
  readonly sent: number;
}

export function Thread({ conversation, editing, sent }: ThreadProps) {
  const { pending } = useWorkspace();
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const older = useSignal<"idle" | "loading" | "failed">("idle");
  const rows = conversation.rows.value;
  const own = pending.all.value.filter((each) => each.session_id === conversation.id);

  const loadOlder = () => {
    if (older.peek() !== "idle" || !conversation.hasOlder.peek()) return;
    older.value = "loading";
    conversation.older().then(
      () => (older.value = "idle"),
      (error: unknown) => (older.value = asBackchatError(error).code === "closed" ? "idle" : "failed"),
    );
  };
  const scrolling = useScrolling({
    scroller,
    content,
    first: rows[0]?.id,
    isLoading: () => older.peek() === "loading",
    loadOlder,
  });
  useLayoutEffect(() => {
    if (sent) scrolling.toEnd();
  }, [sent]);
  useTarget(conversation, scroller, scrolling);

  const isLoading = conversation.state.value === "loading";
  return (
    <div class="scroller-frame">
      <div class="scroller" ref={scroller} tabIndex={0} role="region" aria-label={t("chat.messages")}>
        <div class="thread" ref={content}>
          {older.value === "failed" && (
            <Problem
              code="unavailable"
              text={t("chat.older.failed")}
              retry={() => {
                older.value = "idle";
                loadOlder();
              }}
            />
          )}
          {older.value === "loading" && <p class="older soft">{t("chat.older")}</p>}
          {!isLoading && !conversation.hasOlder.value && (
            <p class="begin soft">{t(rows.length || own.length ? "chat.begin" : "chat.empty")}</p>
          )}
          {isLoading && <Skeleton />}
          <div role="log" aria-live="off" aria-label={t("chat.messages")} aria-busy={isLoading}>
            <Rows conversation={conversation} rows={rows} editing={editing} />
            {own.map((each) => (
              <PendingRow key={each.client_message_id} pending={each} session={conversation.session.value} />
            ))}
          </div>
          <Typing conversation={conversation} />
        </div>
      </div>
      <Latest conversation={conversation} scrolling={scrolling} />
    </div>
  );
}

type Made = { readonly by: readonly unknown[]; readonly node: VNode };

/** One element per row, rendered only when its row changes: a chat may have thousands. */
function Rows({
  conversation,
  rows,
  editing,
}: {
  conversation: Conversation;
  rows: readonly Row[];
  editing: Signal<string | undefined>;
}) {
  const made = useRef(new Map<string, Made>());
  const session = conversation.session.value;
  const marks = readMarks(conversation, rows);
  const kept = new Map<string, Made>();
  let previous: Message | undefined;
  const nodes = rows.map((row, at) => {
    const message = row.message;
    const opensDay =
      !!message && (!previous || startOfDay(previous.created_at) !== startOfDay(message.created_at));
    const isGrouped = !!previous && !!message && !opensDay && follows(previous, message);
    const isLast = at === rows.length - 1;
    const key =
      message?.client_message_id && message.sender_type === "user" ? message.client_message_id : row.id;
    const readers = marks.get(row.id)?.join();
    const by = [message, row.earlier.length, opensDay, isGrouped, isLast, session, readers];
    const before = made.current.get(key);
    const node =
      before && before.by.every((each, index) => each === by[index]) ? (
        before.node
      ) : (
        <MessageRow
          key={key}
          row={row}
          conversation={conversation}
          day={opensDay ? day(message.created_at) : undefined}
          isGrouped={isGrouped}
          isLast={isLast}
          readers={readers}
          editing={editing}
        />
      );
    kept.set(key, { by, node });
    previous = message ?? previous;
    return node;
  });
  made.current = kept;
  return <>{nodes}</>;
}

function follows(previous: Message, message: Message): boolean {
  return (
    previous.sender_id === message.sender_id &&
    previous.sender_type === message.sender_type &&
    Date.parse(message.created_at) - Date.parse(previous.created_at) < GROUPED_WITHIN
  );
}

/** The users who have read up to each row: user ids by row id. */
function readMarks(conversation: Conversation, rows: readonly Row[]): Map<string, string[]> {
  const marks = new Map<string, string[]>();
  for (const [user, seq] of Object.entries(conversation.readers.value)) {
    const row = rows.findLast(({ message }) => message && message.seq <= seq);
    if (row) marks.set(row.id, [...(marks.get(row.id) ?? []), user]);
  }
  return marks;
}

/** A button that scrolls to the end and shows the number of new messages. */
function Latest({ conversation, scrolling }: { conversation: Conversation; scrolling: Scrolling }) {
  const { me } = useWorkspace();
  const seen = useRef(0);
  const last = conversation.messages.value.at(-1)?.seq ?? 0;
  const isAtEnd = scrolling.isAtEnd.value;
  useEffect(() => {
    if (isAtEnd) seen.current = last;
  }, [isAtEnd, last]);
  if (isAtEnd) return null;
  const fresh = conversation.messages.value.filter(
    (each) => each.seq > seen.current && !each.superseded_by && each.sender_id !== me,
  ).length;
  return (
    <button
      type="button"
      translate={false}
      class={fresh ? "latest fresh-ones" : "latest"}
      onClick={scrolling.toEnd}
    >
      <Icon name="latest" />
      {fresh ? t("chat.latest.new", { n: fresh }) : t("chat.latest")}
    </button>
  );
}

function Skeleton() {
  return (
    <div class="skeleton" aria-label={t("chat.loading")} role="status">
      {[58, 86, 40, 74].map((width, at) => (
        <div key={width} class={at % 2 ? "row" : "row own"}>
          <span class="bone" style={{ width: `${width}%` }} />
        </div>
      ))}
    </div>
  );
}
