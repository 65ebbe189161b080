/** Components that are loaded when they are first shown, or when the page is idle. */

import type { ComponentChildren, ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";

import { t } from "../../i18n/index.ts";
import { notify } from "../../state/notices.ts";
import { Dots, Problem } from "./controls.tsx";

/** Milliseconds after which a message says that loading takes long. */
export const PATIENCE = 8_000;
const UNSEEN = 300; // milliseconds before a placeholder appears

export interface Lazy<Props extends object> {
  (props: Props): ComponentChildren;
  /** Load the component; afterwards it is shown without delay. */
  load(): Promise<unknown>;
}

type Waiting = "unseen" | "seen" | "late" | "failed";

const parts: (() => Promise<unknown>)[] = [];

/**
 * A component that loads itself. A placeholder is shown in the meantime; if loading fails it shows an error and a retry
 * button. A component with `onClose` (a dialog) is closed instead, with a notice, so that the page stays usable.
 */
export function lazy<Props extends object>(fetch: () => Promise<ComponentType<Props>>): Lazy<Props> {
  let loaded: ComponentType<Props> | undefined;
  let loading: Promise<ComponentType<Props>> | undefined;
  const load = () => {
    loading ??= fetch()
      .then((component) => (loaded = component))
      .catch((error: unknown) => {
        loading = undefined; // the next call retries
        throw error;
      });
    return loading;
  };
  parts.push(load);
  function Part(props: Props) {
    const [Loaded, setLoaded] = useState(() => loaded);
    const [waiting, setWaiting] = useState<Waiting>("unseen");
    const [tries, setTries] = useState(0);
    const close = "onClose" in props ? (props.onClose as () => void) : undefined;
    useEffect(() => {
      if (Loaded) return;
      const timers = [
        setTimeout(() => setWaiting("seen"), UNSEEN),
        setTimeout(() => setWaiting("late"), PATIENCE),
      ];
      const stop = () => timers.forEach(clearTimeout);
      load()
        .then(
          (component) => setLoaded(() => component),
          () => setWaiting("failed"),
        )
        .finally(stop);
      return stop;
    }, [Loaded, tries]);
    const isMissing = !Loaded && (waiting === "late" || waiting === "failed");
    useEffect(() => {
      if (!isMissing || !close) return;
      notifyMissing();
      close();
    }, [isMissing]);
    if (Loaded) return <Loaded {...props} />;
    if (close || waiting === "unseen") return null;
    const retry = () => {
      setWaiting("seen");
      setTries(tries + 1);
    };
    return <Placeholder waiting={waiting} retry={retry} />;
  }
  return Object.assign(Part, { load });
}

/** The placeholder of a component that is not loaded. */
function Placeholder({ waiting, retry }: { waiting: Waiting; retry: () => void }) {
  return (
    <div class="splash awaited">
      <h1 class="unseen">{t("app.name")}</h1>
      {waiting === "failed" ? (
        <Problem code="unavailable" text={t("part.missing")} retry={retry} />
      ) : (
        <p class="soft" role="status">
          <Dots />
          {t(waiting === "late" ? "part.late" : "part.loading")}
        </p>
      )}
      {waiting !== "seen" && (
        <button type="button" class="quiet" onClick={() => location.reload()}>
          {t("app.reload")}
        </button>
      )}
    </div>
  );
}

/** Show a notice that a part of the page could not be loaded. */
export function notifyMissing(): void {
  notify(t("part.missing"), {
    tone: "error",
    action: { label: t("app.reload"), run: () => location.reload() },
  });
}

/** Resolves to whether the promise was fulfilled within `PATIENCE`. */
export function loadsInTime(promise: Promise<unknown>): Promise<boolean> {
  const late = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), PATIENCE));
  const there = promise.then(
    () => true,
    () => false,
  );
  return Promise.race([there, late]);
}

/** Load all components, so that they appear at once and without a connection. */
export async function loadAll(): Promise<void> {
  for (const load of parts) await loadsInTime(load()); // loading a part may append to the list
}
