/** Follows an invite link into its chat. */

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

import { asBackchatError } from "../../../client/errors.ts";
import { useWorkspace } from "../../state/context.ts";
import { t } from "../../i18n/index.ts";
import { go } from "../../platform/route.ts";
import { Dots, Problem } from "../controls/controls.tsx";

export function JoinScreen({ invite }: { invite: string }) {
  const { client, chats, connection } = useWorkspace();
  const problem = useSignal<string | undefined>(undefined);
  const isOnline = connection.value === "online";
  useEffect(() => {
    if (!isOnline || problem.value) return;
    client.call("accept_invite", { invite }).then(
      ({ session }) => {
        chats.put(session);
        go({ name: "chat", id: session.id }, { replace: true });
      },
      (thrown: unknown) => {
        const error = asBackchatError(thrown);
        if (client.state === "online") problem.value = error.code; // else the next connect retries
      },
    );
  }, [isOnline, invite, problem.value]);
  return (
    <div class="splash">
      {problem.value ? (
        <>
          <h1>{t("join.failed")}</h1>
          <p class="soft">{t("join.failed.hint")}</p>
          <Problem code={problem.value} retry={() => (problem.value = undefined)} />
          <button type="button" class="primary" onClick={() => go({ name: "home" }, { replace: true })}>
            {t("chat.back")}
          </button>
        </>
      ) : (
        <>
          <Dots />
          <p role="status">{t("join.title")}</p>
        </>
      )}
    </div>
  );
}
