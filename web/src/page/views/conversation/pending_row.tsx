/** A message of the user that is not stored yet. */

import type { Session } from "../../../client/index.ts";
import { membersOf } from "../../format/names.ts";
import { useWorkspace } from "../../state/context.ts";
import { errorText, hasErrorText, t } from "../../i18n/index.ts";
import { PlainText } from "../../markdown/plain_text.tsx";
import type { Pending } from "../../state/pending.ts";
import { Icon } from "../controls/icon.tsx";

export function PendingRow({ pending, session }: { pending: Pending; session: Session | undefined }) {
  const workspace = useWorkspace();
  const { state, content, code = "internal" } = pending;
  const isOnline = workspace.connection.value === "online";
  return (
    <div class={`row own pending ${state}`} data-state={state}>
      <div class="message">
        <PlainText text={content} names={membersOf(session)} />
        {state === "failed" ? (
          <div class="problem" role="alert" data-code={code}>
            <Icon name="alert" />
            <span>
              <strong>{t("message.failed")}.</strong> {errorText(code)}{" "}
              {!hasErrorText(code) && <code translate={false}>{code}</code>}
            </span>
            <button type="button" class="quiet" onClick={() => workspace.pending.retry(pending)}>
              {t("message.retry")}
            </button>
            <button type="button" class="quiet" onClick={() => workspace.pending.discard(pending)}>
              {t("message.discard")}
            </button>
          </div>
        ) : (
          <p class="fate soft" translate={false}>
            <Icon name={state === "accepted" ? "check" : "clock"} />
            {t(state === "accepted" ? "message.accepted" : isOnline ? "message.pending" : "message.waiting")}
          </p>
        )}
      </div>
    </div>
  );
}
