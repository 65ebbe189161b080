/** The account screen: settings, logins, passcode, data, logout. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import type { Me } from "../../../client/index.ts";
import { useWorkspace } from "../../state/context.ts";
import { download } from "../../format/export.ts";
import { t } from "../../i18n/index.ts";
import { useAttempt } from "../controls/attempt.ts";
import { forgetDrafts } from "../../state/drafts.ts";
import { ended, logOut } from "../../state/login.ts";
import { notify } from "../../state/notices.ts";
import { COMPACT, go, goBack } from "../../platform/route.ts";
import { date } from "../../format/times.ts";
import { Avatar } from "../controls/avatar.tsx";
import { IconButton, Problem } from "../controls/controls.tsx";
import { Dialog } from "../dialogs/dialog.tsx";
import { PasscodeField } from "./login_screen.tsx";
import { Logins } from "./logins.tsx";
import { LanguageChoice, ThemeChoice } from "./settings.tsx";

export function AccountScreen() {
  const { login, me } = useWorkspace();
  const since = useSignal<string | undefined>(undefined);
  useEffect(() => {
    login.account.request("GET", "/me").then(
      (answer) => (since.value = (answer as Me).created_at),
      () => undefined,
    );
  }, [login]);
  return (
    <section class="account" aria-labelledby="account-title">
      <div class="account-body">
        <header>
          <IconButton
            icon="back"
            label={t("chat.back")}
            class="to-list"
            mirrored
            onClick={() => (COMPACT ? goBack() : go({ name: "home" }))}
          />
          <Avatar id={me} kind="user" />
          <div>
            <h1 id="account-title" translate={false}>
              {me}
            </h1>
            <p class="soft">{since.value ? t("account.since", { date: date(since.value) }) : "\u00a0"}</p>
          </div>
          <button type="button" class="quiet" onClick={() => void logOut()}>
            {t("account.logout")}
          </button>
        </header>
        <section class="card settings">
          <h2>{t("settings.title")}</h2>
          <div class="setting">
            <span>{t("settings.theme")}</span>
            <ThemeChoice />
          </div>
          <div class="setting">
            <span>{t("settings.language")}</span>
            <LanguageChoice />
          </div>
        </section>
        <Logins />
        {!login.isProvided && <Passcode />}
        <Data />
        <Deletion />
      </div>
    </section>
  );
}

/** For password managers, which associate a passcode with a user name. */
function NameForManagers({ id }: { id: string }) {
  return (
    <input class="unseen" autocomplete="username" value={id} readOnly tabIndex={-1} aria-hidden="true" />
  );
}

function Passcode() {
  const { login, me } = useWorkspace();
  const isGuest = useSignal(login.isGuest);
  const current = useSignal("");
  const wanted = useSignal("");
  const { problem, attempt } = useAttempt();
  const submit = (event: Event) => {
    event.preventDefault();
    void attempt(async () => {
      const known = isGuest.value ? {} : { current_passcode: current.value };
      const body = { ...known, new_passcode: wanted.value };
      await login.account.request("PUT", "/me/passcode", body);
      current.value = wanted.value = "";
      notify(isGuest.value ? t("guest.kept", { name: me }) : t("account.passcode.done"));
      isGuest.value = false;
    });
  };
  return (
    <section class="card">
      <h2>{t(isGuest.value ? "guest.keep" : "account.passcode")}</h2>
      {isGuest.value && <p class="soft">{t("guest.keep.hint")}</p>}
      <form onSubmit={submit}>
        <NameForManagers id={me} />
        {!isGuest.value && (
          <PasscodeField
            label={t("account.passcode.current")}
            isNew={false}
            value={current.value}
            onInput={(value) => (current.value = value)}
          />
        )}
        <PasscodeField
          label={t("account.passcode.new")}
          isNew
          value={wanted.value}
          onInput={(value) => (wanted.value = value)}
        />
        {problem.value && <Problem code={problem.value} />}
        <button class="primary">{t("account.passcode.submit")}</button>
      </form>
    </section>
  );
}

function Data() {
  const workspace = useWorkspace();
  const busy = useSignal(false);
  const save = async () => {
    busy.value = true;
    await workspace.attempt(async () => {
      const data = await workspace.login.account.request("GET", "/me/export");
      download(`backchat-${workspace.me}.json`, "application/json", JSON.stringify(data, null, 2));
    });
    busy.value = false;
  };
  return (
    <section class="card">
      <h2>{t("account.export")}</h2>
      <p class="soft">{t("account.export.hint")}</p>
      <button
        type="button"
        class="quiet"
        disabled={busy.value}
        aria-busy={busy.value}
        onClick={() => void save()}
      >
        {t("account.export.submit")}
      </button>
    </section>
  );
}

function Deletion() {
  const isAsked = useSignal(false);
  return (
    <section class="card">
      <h2>{t("account.delete")}</h2>
      <p class="soft">{t("account.delete.hint")}</p>
      <button type="button" class="danger" onClick={() => (isAsked.value = true)}>
        {t("account.delete")}
      </button>
      {isAsked.value && <DeletionDialog onClose={() => (isAsked.value = false)} />}
    </section>
  );
}

function DeletionDialog({ onClose }: { onClose: () => void }) {
  const { login, me } = useWorkspace();
  const passcode = useSignal("");
  const { problem, attempt } = useAttempt();
  const submit = (event: Event) => {
    event.preventDefault();
    void attempt(async () => {
      await login.account.request("DELETE", "/me", passcode.value ? { passcode: passcode.value } : {});
      forgetDrafts(me);
      ended(false);
    });
  };
  return (
    <Dialog title={t("account.delete")} onClose={onClose}>
      <form onSubmit={submit}>
        <NameForManagers id={me} />
        <p>{t("account.delete.hint")}</p>
        {!login.isGuest && !login.isProvided && (
          <PasscodeField
            label={t("account.passcode.current")}
            isNew={false}
            isOptional // the page may not know that the account has no passcode
            value={passcode.value}
            onInput={(value) => (passcode.value = value)}
          />
        )}
        {problem.value && <Problem code={problem.value} />}
        <div class="buttons">
          <button type="button" class="quiet" onClick={onClose}>
            {t("action.cancel")}
          </button>
          <button class="danger">{t("account.delete.submit")}</button>
        </div>
      </form>
    </Dialog>
  );
}
