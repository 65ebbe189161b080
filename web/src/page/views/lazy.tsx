/** Parts of the page that are loaded when they are first shown. */

import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";

import { Problem } from "./controls.tsx";

/** A component that loads itself; when that fails it says so and can be tried again. */
export function lazy<Props extends object>(load: () => Promise<ComponentType<Props>>): ComponentType<Props> {
  let loaded: ComponentType<Props> | undefined;
  return function Lazy(props: Props) {
    const [Loaded, setLoaded] = useState(() => loaded);
    const [isFailed, setFailed] = useState(false);
    useEffect(() => {
      if (Loaded || isFailed) return;
      load().then(
        (component) => {
          loaded = component;
          setLoaded(() => component);
        },
        () => setFailed(true),
      );
    }, [Loaded, isFailed]);
    if (Loaded) return <Loaded {...props} />;
    return isFailed ? <Problem code="unavailable" retry={() => setFailed(false)} /> : null;
  };
}
