/** The list of the user's logins, each with a button that ends it. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import type { OwnLogin } from "../../../client/index.ts";
import { useWorkspace } from "../../state/context.ts";
import { t } from "../../i18n/index.ts";
import { logOut } from "../../state/login.ts";
import { exact } from "../../format/times.ts";
import { Problem } from "../controls/controls.tsx";

export function Logins() {
  const workspace = useWorkspace();
  const { account, sid } = workspace.login;
  const logins = useSignal<readonly OwnLogin[] | undefined>(undefined);
  const isFailed = useSignal(false);
  const load = () => {
    isFailed.value = false;
    account.request("GET", "/me/logins").then(
      (answer) => (logins.value = (answer as { logins: OwnLogin[] }).logins),
      () => (isFailed.value = true),
    );
  };
  useEffect(load, [account]);
  const end = async (id: string) => {
    if (await workspace.attempt(() => account.request("DELETE", `/me/logins/${id}`))) load();
  };
  return (
    <section class="card">
      <h2>{t("account.logins")}</h2>
      {isFailed.value && <Problem code="unavailable" text={t("account.logins.failed")} retry={load} />}
      <ul class="members">
        {logins.value?.map((each) => (
          <li key={each.sid}>
            <span>
              {each.sid === sid
                ? t("account.logins.this")
                : t("account.logins.used", { time: exact(each.last_used_at) })}
              <small class="soft">{t("account.logins.started", { time: exact(each.created_at) })}</small>
            </span>
            {each.sid !== sid && (
              <button type="button" class="quiet" onClick={() => void end(each.sid)}>
                {t("account.logins.end")}
              </button>
            )}
          </li>
        ))}
      </ul>
      <button type="button" class="quiet" onClick={() => void logOut(true)}>
        {t("account.logins.others")}
      </button>
    </section>
  );
}
