/** Parts of the page that are loaded when they are first shown, or when there is nothing else to do. */

import type { ComponentChildren, ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";

import { Problem } from "./controls.tsx";

export interface Lazy<Props extends object> {
  (props: Props): ComponentChildren;
  /** Have it loaded; once resolved, it is shown without delay. */
  load(): Promise<unknown>;
}

const parts: (() => Promise<unknown>)[] = [];

/** A component that loads itself; when that fails it says so and can be tried again. */
export function lazy<Props extends object>(fetch: () => Promise<ComponentType<Props>>): Lazy<Props> {
  let loaded: ComponentType<Props> | undefined;
  const load = async () => (loaded ??= await fetch());
  parts.push(load);
  function Part(props: Props) {
    const [Loaded, setLoaded] = useState(() => loaded);
    const [isFailed, setFailed] = useState(false);
    useEffect(() => {
      if (Loaded || isFailed) return;
      load().then(
        (component) => setLoaded(() => component),
        () => setFailed(true),
      );
    }, [Loaded, isFailed]);
    if (Loaded) return <Loaded {...props} />;
    return isFailed ? <Problem code="unavailable" retry={() => setFailed(false)} /> : null;
  }
  return Object.assign(Part, { load });
}

/** Load all that has not been shown yet: it is there at once then, and when the connection is lost. */
export async function loadAll(): Promise<void> {
  for (const load of parts) await load().catch(() => undefined); // those that bring more of them extend the list
}
