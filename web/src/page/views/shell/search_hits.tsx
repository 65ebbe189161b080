/** The server's search results in messages. */

import type { SearchHit } from "../../../client/index.ts";
import { useWorkspace } from "../../state/context.ts";
import { t } from "../../i18n/index.ts";
import { plain } from "../../format/text.ts";
import { go } from "../../platform/route.ts";
import { brief } from "../../format/times.ts";

export function SearchHits({ query, hits }: { query: string; hits: readonly SearchHit[] }) {
  const { target } = useWorkspace();
  const show = ({ message }: SearchHit) => {
    target.value = { session_id: message.session_id, id: message.id, seq: message.seq };
    go({ name: "chat", id: message.session_id });
  };
  return (
    <section class="hits">
      <h2>{t("chats.hits")}</h2>
      <ul>
        {hits.map((hit) => (
          <li key={hit.message.id}>
            <button type="button" class="hit" translate={false} onClick={() => show(hit)}>
              <span class="hit-where">
                <span dir="auto">{hit.session_title ?? t("chats.untitled")}</span>
                <time class="soft">{brief(hit.message.created_at)}</time>
              </span>
              <span class="hit-text soft" dir="auto">
                <Marked text={plain(hit.snippet)} query={query} />
              </span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

/** The snippet with the words of the query highlighted. */
function Marked({ text, query }: { text: string; query: string }) {
  const words = query
    .split(/\s+/)
    .filter(Boolean)
    .map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  const parts = text.split(new RegExp(`(${words.join("|")})`, "iu"));
  return <>{parts.map((part, at) => (at % 2 ? <mark key={at}>{part}</mark> : part))}</>;
}
