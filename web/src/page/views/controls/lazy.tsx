/** Parts of the page that are loaded when they are first shown, or when there is nothing else to do. */

import type { ComponentChildren, ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";

import { t } from "../../i18n/index.ts";
import { notify } from "../../state/notices.ts";
import { Dots, Problem } from "./controls.tsx";

/** Milliseconds until people are told that something takes long to come. */
export const PATIENCE = 8_000;
const UNSEEN = 300; // milliseconds: what comes sooner needs no sign that it is awaited

export interface Lazy<Props extends object> {
  (props: Props): ComponentChildren;
  /** Have it loaded; once resolved, it is shown without delay. */
  load(): Promise<unknown>;
}

type Waiting = "unseen" | "seen" | "late" | "failed";

const parts: (() => Promise<unknown>)[] = [];

/**
 * A component that loads itself. Until it is there its place says so; when it does not come, that is told, and it can
 * be tried again. What can be closed (a dialog has `onClose`) is closed then, so that the page stays usable.
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
      tellMissing();
      close();
    }, [isMissing]);
    if (Loaded) return <Loaded {...props} />;
    if (close || waiting === "unseen") return null;
    const retry = () => {
      setWaiting("seen");
      setTries(tries + 1);
    };
    return <Awaited waiting={waiting} retry={retry} />;
  }
  return Object.assign(Part, { load });
}

/** What stands where a part will be. */
function Awaited({ waiting, retry }: { waiting: Waiting; retry: () => void }) {
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

/** Say that something of the page did not come. */
export function tellMissing(): void {
  notify(t("part.missing"), {
    tone: "error",
    action: { label: t("app.reload"), run: () => location.reload() },
  });
}

/** Resolves to whether something came, within `PATIENCE`. */
export function came(promise: Promise<unknown>): Promise<boolean> {
  const late = new Promise<boolean>((resolve) => setTimeout(() => resolve(false), PATIENCE));
  const there = promise.then(
    () => true,
    () => false,
  );
  return Promise.race([there, late]);
}

/** Load all that has not been shown yet: it is there at once then, and when the connection is lost. */
export async function loadAll(): Promise<void> {
  for (const load of parts) await came(load()); // those that bring more of them extend the list
}
