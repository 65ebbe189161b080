/** The workspace of the logged-in user, for all components below. */

import { createContext } from "preact";
import { useContext } from "preact/hooks";

import type { Workspace } from "./workspace.ts";

export const WorkspaceContext = createContext<Workspace | undefined>(undefined);

export function useWorkspace(): Workspace {
  const workspace = useContext(WorkspaceContext);
  if (!workspace) throw new Error("The component is outside of a workspace.");
  return workspace;
}
