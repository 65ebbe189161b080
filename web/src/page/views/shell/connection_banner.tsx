/** Shown without a connection: a countdown to the next attempt, and a button that reconnects at once. */

import { useEffect, useState } from "preact/hooks";

import { useWorkspace } from "../../state/context.ts";
import { t } from "../../i18n/index.ts";
import { announce } from "../../state/notices.ts";

const PATIENCE = 1_200; // milliseconds; shorter interruptions are not shown

export function ConnectionBanner() {
  const { client, connection } = useWorkspace();
  const state = connection.value;
  const [isShown, setShown] = useState(false);
  const [now, setNow] = useState(Date.now());

  useEffect(() => {
    if (state === "online") {
      if (isShown) announce(t("connection.back"));
      setShown(false);
      return;
    }
    const patience = setTimeout(() => setShown(true), PATIENCE);
    return () => clearTimeout(patience);
  }, [state]);
  useEffect(() => {
    if (!isShown) return;
    const clock = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(clock);
  }, [isShown]);
  useEffect(() => {
    const online = () => client.connect();
    addEventListener("online", online);
    return () => removeEventListener("online", online);
  }, [client]);

  if (!isShown || state === "signed_out") return null;
  const seconds = Math.max(0, Math.ceil(((client.retryAt ?? now) - now) / 1000));
  return (
    <div class="banner">
      <span class="pulse" aria-hidden="true" />
      <p>
        <span class="banner-now" translate={false}>
          {seconds > 0 ? t("connection.lost", { n: seconds }) : t("connection.trying")}
        </span>
        <span class="unseen" role="status">
          {t("connection.offline")}
        </span>
      </p>
      <button type="button" class="quiet" onClick={() => client.connect()}>
        {t("connection.now")}
      </button>
    </div>
  );
}
