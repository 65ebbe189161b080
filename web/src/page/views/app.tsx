/** The whole page: the login decides between login screen and shell, the address selects the screen. */

import { useEffect, useErrorBoundary, useMemo } from "preact/hooks";

import { WorkspaceContext } from "../state/context.ts";
import { IS_FRAMED, connectHost, postToHost, unsent } from "../platform/host.ts";
import { t } from "../i18n/index.ts";
import { titleOf } from "../format/names.ts";
import { login } from "../state/login.ts";
import { announcement } from "../state/notices.ts";
import { COMPACT, route } from "../platform/route.ts";
import { Workspace } from "../state/workspace.ts";
import { ConnectionBanner } from "./shell/connection_banner.tsx";
import { IconButton } from "./controls/controls.tsx";
import { Mark } from "./controls/icon.tsx";
import { lazy, loadAll } from "./controls/lazy.tsx";
import { NewChatScreen } from "./composer/new_chat_screen.tsx";
import { Notices } from "./shell/notices.tsx";
import { Shortcuts } from "./shell/shortcuts.tsx";
import { Sidebar } from "./shell/sidebar.tsx";

const ConversationScreen = lazy(() =>
  import("./conversation/conversation_screen.tsx").then((module) => module.ConversationScreen),
);
const AccountScreen = lazy(() =>
  import("./account/account_screen.tsx").then((module) => module.AccountScreen),
);
const GuestScreen = lazy(() => import("./account/guest_screen.tsx").then((module) => module.GuestScreen));
const LoginScreen = lazy(() => import("./account/login_screen.tsx").then((module) => module.LoginScreen));
const JoinScreen = lazy(() => import("./account/join_screen.tsx").then((module) => module.JoinScreen));

const LOADS_AFTER = 500; // milliseconds after the login, so that the first screen loads first

export function App() {
  const [error] = useErrorBoundary((thrown) => console.error(thrown));
  useEffect(() => {
    if (route.value.name === "chat") ConversationScreen.load().catch(() => undefined); // in parallel with the login
  }, []);
  if (error) return <Failed />;
  const state = login.value;
  // One element from the first message until its chat is shown, so that a visitor continues in the same field.
  const isFirst =
    COMPACT && (state.name === "out" || (unsent.value.length > 0 && route.value.name !== "chat"));
  return (
    <>
      {state.name === "in" && <Shell key={state.login.sid} isHidden={isFirst} />}
      {isFirst && <GuestScreen />}
      {state.name === "out" && !COMPACT && <LoginScreen />}
      {state.name === "resuming" && !isFirst && <Splash isRetrying={state.isRetrying ?? false} />}
      {IS_FRAMED && (
        <header class="put-away">
          <IconButton icon="close" label={t("action.close")} onClick={() => postToHost({ type: "close" })} />
        </header>
      )}
      <Notices />
      <div class="unseen" role="status" aria-live="polite" translate={false}>
        {announcement.value}
      </div>
    </>
  );
}

function Shell({ isHidden }: { isHidden: boolean }) {
  const workspace = useMemo(() => {
    if (login.value.name !== "in") throw new Error("There is no login.");
    return new Workspace(login.value.login);
  }, []);
  useEffect(() => {
    const flush = () => workspace.flush();
    const served = connectHost(workspace);
    const loading = setTimeout(() => void loadAll(), LOADS_AFTER);
    addEventListener("pagehide", flush);
    return () => {
      clearTimeout(loading);
      served();
      removeEventListener("pagehide", flush);
      workspace.close();
    };
  }, [workspace]);
  const title = tabTitle(workspace);
  useEffect(() => {
    document.title = title;
    return () => {
      document.title = t("app.name");
    };
  }, [title]);
  return (
    <WorkspaceContext.Provider value={workspace}>
      <a class="skip" href="#stage">
        {t("app.skip")}
      </a>
      <div class="shell" data-route={route.value.name} hidden={isHidden}>
        {!COMPACT && <Sidebar />}
        <main class="stage" id="stage" tabIndex={-1}>
          <ConnectionBanner />
          <Stage />
        </main>
      </div>
      <Shortcuts />
    </WorkspaceContext.Provider>
  );
}

/** What is shown, and how many chats have news: tabs, bookmarks and the history need distinct titles. */
function tabTitle({ chats }: Workspace): string {
  const to = route.value;
  const chat = to.name === "chat" ? chats.find(to.id) : undefined;
  const shown = chat ? titleOf(chat) : to.name === "account" ? t("account.title") : undefined;
  const unread = chats.unread.value;
  return `${unread ? `(${unread}) ` : ""}${shown ? `${shown} - ` : ""}${t("app.name")}`;
}

function Stage() {
  const to = route.value;
  if (to.name === "chat") return <ConversationScreen key={to.id} id={to.id} />;
  if (to.name === "account") return <AccountScreen />;
  if (to.name === "join") return <JoinScreen key={to.invite} invite={to.invite} />;
  return <NewChatScreen />;
}

function Splash({ isRetrying }: { isRetrying: boolean }) {
  return (
    <div class="splash" role="status">
      <Mark />
      <p class="soft">{t(isRetrying ? "connection.trying" : "app.loading")}</p>
    </div>
  );
}

function Failed() {
  return (
    <div class="splash" role="alert">
      <Mark />
      <p>{t("app.failed")}</p>
      <button type="button" class="primary" onClick={() => location.reload()}>
        {t("app.reload")}
      </button>
    </div>
  );
}
