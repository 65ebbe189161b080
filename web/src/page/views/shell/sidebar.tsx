/** The list of chats, with search and a button for a new chat. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import type { SearchHit, Session } from "../../../client/index.ts";
import { isUnread } from "../../state/chats.ts";
import { useWorkspace } from "../../state/context.ts";
import { t } from "../../i18n/index.ts";
import { titleOf } from "../../format/names.ts";
import { folded } from "../../format/text.ts";
import { addressOf, go, route } from "../../platform/route.ts";
import { brief, exact } from "../../format/times.ts";
import { Avatar } from "../controls/avatar.tsx";
import { IconButton, Problem } from "../controls/controls.tsx";
import { Icon, Mark } from "../controls/icon.tsx";
import { lazy } from "../controls/lazy.tsx";

const SearchHits = lazy(() => import("./search_hits.tsx").then((module) => module.SearchHits));

const SEARCH_DELAY = 250; // milliseconds after the last key
const SHOWN = 50; // chats that are listed at first, and added by "Show more"

interface Found {
  readonly hits: readonly SearchHit[];
  readonly isFailed: boolean;
}

/** What the server found for a query; `undefined` while it searches. Then all chats are loaded too. */
function useSearch(query: string): { found: Found | undefined; retry: () => void } {
  const { client, chats } = useWorkspace();
  const found = useSignal<Found | undefined>(undefined);
  const tries = useSignal(0);
  useEffect(() => {
    found.value = undefined;
    if (!query) return;
    let isCurrent = true;
    const search = () => client.call("search_messages", { query: query.slice(0, 200), limit: 20 });
    const timer = setTimeout(() => {
      void Promise.all([search(), chats.all()]).then(
        ([{ hits }]) => isCurrent && (found.value = { hits, isFailed: false }),
        () => isCurrent && (found.value = { hits: [], isFailed: true }),
      );
    }, SEARCH_DELAY);
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [query, client, tries.value]);
  return { found: found.value, retry: () => (tries.value += 1) };
}

export function Sidebar() {
  const { me, chats } = useWorkspace();
  const query = useSignal("");
  const wanted = query.value.trim();
  const { found, retry } = useSearch(wanted);
  const titled = wanted ? chats.sorted.value.filter((each) => isMatch(each, wanted, me)) : chats.sorted.value;
  const isNothing = !!found && !found.isFailed && titled.length + found.hits.length === 0;

  return (
    <nav class="sidebar" aria-label={t("chats.title")}>
      <header>
        <a class="brand" href={addressOf({ name: "home" })} data-route>
          <Mark />
          <span class="wordmark" translate={false}>
            {t("app.name")}
          </span>
        </a>
        <IconButton icon="plus" label={t("chats.new")} class="new" onClick={() => go({ name: "new" })} />
      </header>
      <search class="search">
        <Icon name="search" />
        <input
          type="search"
          aria-label={t("chats.search")}
          placeholder={t("chats.search")}
          maxLength={200}
          value={query.value}
          onInput={(event) => (query.value = event.currentTarget.value)}
        />
      </search>
      <div class="chats">
        <ChatItems key={wanted} found={titled} isSearch={!!wanted} />
        {found?.isFailed && <Problem code="unavailable" text={t("chats.search.failed")} retry={retry} />}
        {isNothing && <p class="nothing soft">{t("chats.none", { query: wanted })}</p>}
        {!!found?.hits.length && <SearchHits query={wanted} hits={found.hits} />}
      </div>
      <a
        class="me"
        href={addressOf({ name: "account" })}
        data-route
        aria-current={route.value.name === "account" ? "page" : undefined}
      >
        <Avatar id={me} kind="user" />
        <span translate={false}>{me}</span>
        <Icon name="gear" />
      </a>
    </nav>
  );
}

function ChatItems({ found, isSearch }: { found: readonly Session[]; isSearch: boolean }) {
  const { chats } = useWorkspace();
  const shown = useSignal(SHOWN);
  const isMore = found.length > shown.value || (chats.hasMore.value && !isSearch);
  const more = () => {
    shown.value += SHOWN;
    if (!isSearch && chats.sorted.peek().length < shown.peek()) void chats.more().catch(() => undefined);
  };
  if (chats.state.value === "loading") return <Skeleton />;
  if (chats.state.value === "failed")
    return <Problem code="unavailable" text={t("chats.failed")} retry={() => void chats.load()} />;
  if (chats.sorted.value.length === 0) {
    return (
      <div class="nothing">
        <p>{t("chats.empty")}</p>
        <p class="soft">{t("chats.empty.hint")}</p>
        <button type="button" class="primary" onClick={() => go({ name: "new" })}>
          {t("chats.new")}
        </button>
      </div>
    );
  }
  return (
    <>
      <ul>
        {found.slice(0, shown.value).map((session) => (
          <Item key={session.id} session={session} />
        ))}
      </ul>
      {isMore && (
        <button type="button" class="quiet more" onClick={more}>
          {t("chats.more")}
        </button>
      )}
    </>
  );
}

function Item({ session }: { session: Session }) {
  const isCurrent = route.value.name === "chat" && route.value.id === session.id;
  const unread = isUnread(session) && !isCurrent;
  const others = session.users.length - 1;
  const bot = session.chatbots[0];
  return (
    <li>
      <a
        class={unread ? "chat-link unread" : "chat-link"}
        href={addressOf({ name: "chat", id: session.id })}
        data-route
        aria-current={isCurrent ? "page" : undefined}
      >
        {bot ? (
          <Avatar id={bot.id} name={bot.name} kind="chatbot" />
        ) : (
          <Avatar id={session.owner_id} kind="user" />
        )}
        <span class="chat-title" dir="auto" translate={false}>
          {titleOf(session)}
        </span>
        <span class="chat-with soft" translate={false}>
          {session.chatbots.map((each) => each.name).join(", ")}
          {others > 0 && ` +${others}`}
        </span>
        <time class="soft" translate={false} dateTime={session.updated_at} title={exact(session.updated_at)}>
          {brief(session.updated_at)}
        </time>
        {unread && (
          <span class="dot">
            <span class="unseen">{t("chats.unread")}</span>
          </span>
        )}
      </a>
    </li>
  );
}

function Skeleton() {
  return (
    <ul class="skeleton" aria-busy="true" aria-label={t("app.loading")}>
      {[70, 45, 60, 52, 38].map((width) => (
        <li key={width}>
          <span class="bone round" />
          <span class="bone" style={{ width: `${width}%` }} />
        </li>
      ))}
    </ul>
  );
}

/** Whether each word of the query is in the chat's title or in the name of a member. */
function isMatch(session: Session, query: string, me: string): boolean {
  const names = session.chatbots.map((each) => each.name);
  const others = session.users.filter((id) => id !== me); // every chat would match a part of one's own id
  const text = folded([titleOf(session), ...others, ...names].join(" "));
  return folded(query)
    .split(/\s+/)
    .every((word) => text.includes(word));
}
