/** The members of a chat: people, chatbots, the reply policy, and invites. */

import { useSignal } from "@preact/signals";

import type { ReplyPolicy, Session } from "../../../client/index.ts";
import { useWorkspace } from "../../state/context.ts";
import { type Key, t } from "../../i18n/index.ts";
import { useAttempt } from "../controls/attempt.ts";
import { addressOf } from "../../platform/route.ts";
import { exact } from "../../format/times.ts";
import { Avatar } from "../controls/avatar.tsx";
import { IconButton, Problem } from "../controls/controls.tsx";
import { CopyButton } from "../conversation/copy_button.tsx";
import { Dialog } from "./dialog.tsx";
import { Icon } from "../controls/icon.tsx";
import { Field } from "../account/login_screen.tsx";

const POLICIES: readonly ReplyPolicy[] = ["mentioned", "all", "round_robin", "silent"];

interface PeopleProps {
  readonly session: Session;
  /** Ids of the users who are present. */
  readonly present: readonly string[];
  readonly onClose: () => void;
}

export function PeopleDialog({ session, present, onClose }: PeopleProps) {
  const workspace = useWorkspace();
  const { client, chats, me } = workspace;
  const isOwner = session.owner_id === me;
  const { problem, attempt } = useAttempt();
  const change = (act: () => Promise<{ session: Session }>) =>
    attempt(() => act().then((answer) => chats.put(answer.session)));
  const session_id = session.id;
  const addable = workspace.chatbots.value.filter(
    (each) => !session.chatbots.some(({ id }) => id === each.id),
  );
  return (
    <Dialog title={t("people.title")} onClose={onClose} class="people">
      {problem.value && <Problem code={problem.value} />}
      <h3>{t("people.bots")}</h3>
      <ul class="members">
        {session.chatbots.map(({ id, name }) => (
          <li key={id}>
            <Avatar id={id} name={name} kind="chatbot" />
            <span translate={false}>{name}</span>
            {isOwner && (
              <IconButton
                icon="close"
                label={t("people.remove", { name })}
                onClick={() => change(() => client.call("remove_chatbot", { session_id, chatbot_id: id }))}
              />
            )}
          </li>
        ))}
        {isOwner &&
          addable.map(({ id, name }) => (
            <li key={id} class="absent">
              <Avatar id={id} name={name} kind="chatbot" />
              <span translate={false}>{name}</span>
              <IconButton
                icon="plus"
                label={t("people.add", { name })}
                onClick={() => change(() => client.call("add_chatbot", { session_id, chatbot_id: id }))}
              />
            </li>
          ))}
      </ul>
      {isOwner && (
        <Field label={t("people.policy")}>
          {(field) => (
            <select
              {...field}
              value={session.reply_policy}
              onChange={(event) => {
                const reply_policy = event.currentTarget.value as ReplyPolicy;
                change(() => client.call("update_chat", { session_id, reply_policy }));
              }}
            >
              {POLICIES.map((policy) => (
                <option key={policy} value={policy}>
                  {t(`people.policy.${policy}` as Key)}
                </option>
              ))}
            </select>
          )}
        </Field>
      )}
      <h3>{t("people.users")}</h3>
      <ul class="members">
        {session.users.map((id) => (
          <li key={id}>
            <Avatar id={id} kind="user" isHere={id !== me && present.includes(id)} />
            <span translate={false}>{id === me ? `${id} (${t("chat.you")})` : id}</span>
            {id !== me && present.includes(id) && <span class="soft">{t("people.here")}</span>}
            {id === session.owner_id && <span class="tag">{t("people.owner")}</span>}
            {isOwner && id !== me && (
              <IconButton
                icon="close"
                label={t("people.remove", { name: id })}
                onClick={() => change(() => client.call("remove_user", { session_id, user_id: id }))}
              />
            )}
          </li>
        ))}
      </ul>
      {isOwner && <Invite session_id={session_id} attempt={attempt} />}
    </Dialog>
  );
}

interface InviteProps {
  readonly session_id: string;
  readonly attempt: (act: () => Promise<unknown>) => void;
}

function Invite({ session_id, attempt }: InviteProps) {
  const { client } = useWorkspace();
  const made = useSignal<{ link: string; until: string } | undefined>(undefined);
  const make = () =>
    attempt(async () => {
      const { invite, expires_at } = await client.call("create_invite", { session_id });
      const link = new URL(addressOf({ name: "join", invite }), location.origin).href;
      made.value = { link, until: expires_at };
    });
  if (!made.value) {
    return (
      <button type="button" class="quiet wide" onClick={make}>
        <Icon name="link" />
        {t("people.invite")}
      </button>
    );
  }
  const { link, until } = made.value;
  return (
    <div class="invite">
      <div class="with-button">
        <input
          readonly
          aria-label={t("people.invite")}
          dir="ltr"
          value={link}
          onFocus={(event) => event.currentTarget.select()}
        />
        <CopyButton text={link} label={t("people.invite.copy")} />
      </div>
      <p class="soft">{t("people.invite.hint", { time: exact(until) })}</p>
    </div>
  );
}
