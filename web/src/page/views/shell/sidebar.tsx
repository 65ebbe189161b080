/** The list of chats, with search and a button for a new chat. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import type { SearchHit, Session } from "../../../client/index.ts";
import { isUnread } from "../../state/chats.ts";
import { useWorkspace } from "../../state/context.ts";
import { t } from "../../i18n/index.ts";
import { titleOf } from "../../format/names.ts";
import { addressOf, go, route } from "../../platform/route.ts";
import { brief, exact } from "../../format/times.ts";
import { Avatar } from "../controls/avatar.tsx";
import { IconButton, Problem } from "../controls/controls.tsx";
import { Icon, Mark } from "../controls/icon.tsx";
import { lazy } from "../controls/lazy.tsx";

const SearchHits = lazy(() => import("./search_hits.tsx").then((module) => module.SearchHits));

const SEARCH_DELAY = 250; // milliseconds after the last key

export function Sidebar() {
  const { client, me } = useWorkspace();
  const query = useSignal("");
  const hits = useSignal<readonly SearchHit[] | undefined>(undefined);
  const wanted = query.value.trim();

  useEffect(() => {
    hits.value = undefined;
    if (wanted.length < 2) return;
    let isCurrent = true;
    const timer = setTimeout(() => {
      void client.call("search_messages", { query: wanted.slice(0, 200), limit: 20 }).then(
        (answer) => isCurrent && (hits.value = answer.hits),
        () => isCurrent && (hits.value = []),
      );
    }, SEARCH_DELAY);
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [wanted, client]);

  return (
    <nav class="sidebar" aria-label={t("chats.title")}>
      <header>
        <a class="brand" href={addressOf({ name: "home" })} data-route>
          <Mark />
          <span class="wordmark">{t("app.name")}</span>
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
        <ChatItems query={wanted} />
        {wanted && <SearchHits query={wanted} hits={hits.value} />}
      </div>
      <a
        class="me"
        href={addressOf({ name: "account" })}
        data-route
        aria-current={route.value.name === "account" ? "page" : undefined}
      >
        <Avatar id={me} kind="user" />
        <span>{me}</span>
        <Icon name="gear" />
      </a>
    </nav>
  );
}

function ChatItems({ query }: { query: string }) {
  const { chats } = useWorkspace();
  const found = query ? chats.sorted.value.filter((each) => isMatch(each, query)) : chats.sorted.value;
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
        {found.map((session) => (
          <Item key={session.id} session={session} />
        ))}
      </ul>
      {chats.hasMore.value && !query && (
        <button type="button" class="quiet more" onClick={() => void chats.more()}>
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
        <span class="chat-title" dir="auto">
          {titleOf(session)}
        </span>
        <span class="chat-with soft">
          {session.chatbots.map((each) => each.name).join(", ")}
          {others > 0 && ` +${others}`}
        </span>
        <time class="soft" dateTime={session.updated_at} title={exact(session.updated_at)}>
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

function isMatch(session: Session, query: string): boolean {
  const text = [titleOf(session), ...session.users, ...session.chatbots.map((each) => each.name)].join(" ");
  return text.toLowerCase().includes(query.toLowerCase());
}
