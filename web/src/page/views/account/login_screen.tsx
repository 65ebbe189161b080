/** Log in, or create an account: the first screen of a new visitor. */

import { useEffect, useId, useState } from "preact/hooks";

import { t } from "../../i18n/index.ts";
import { useAttempt } from "../controls/attempt.ts";
import { leaveForProvider, login, logIn, provider, providerFailure, register } from "../../state/login.ts";
import { route } from "../../platform/route.ts";
import { Problem } from "../controls/controls.tsx";
import { Icon, Mark } from "../controls/icon.tsx";
import { LanguageChoice, ThemeChoice } from "./settings.tsx";

const FAILURES = {
  cancelled: "login.provider.cancelled",
  expired: "login.provider.expired",
  refused: "login.provider.refused",
  unavailable: "login.provider.unavailable",
} as const;

export function LoginScreen() {
  const state = login.value;
  const failure = providerFailure();
  const [isNew, setNew] = useState(state.name === "out" && !state.ended && !failure);
  const typed = useState({ id: "", passcode: "" }); // kept between the two forms
  const invited = route.value.name === "join";
  return (
    <div class="login">
      <main>
        <header class="brand">
          <Mark />
          <span class="wordmark" translate={false}>
            {t("app.name")}
          </span>
          <p>{t("app.tagline")}</p>
        </header>
        <section key={String(isNew)} class="card">
          <h1>{t(isNew ? "login.register.title" : "login.title")}</h1>
          <p class="soft">
            {invited ? t("login.invited") : t(isNew ? "login.register.intro" : "login.intro")}
          </p>
          {state.name === "out" && state.ended && !isNew && <p class="hint">{t("login.ended")}</p>}
          {failure && <Problem code={failure} text={t(FAILURES[failure])} />}
          <Form isNew={isNew} typed={typed} />
          <ProviderLogin />
          <button type="button" class="switch" onClick={() => setNew(!isNew)}>
            {t(isNew ? "login.to.login" : "login.to.register")}
          </button>
        </section>
        <footer>
          <LanguageChoice />
          <ThemeChoice />
        </footer>
      </main>
    </div>
  );
}

/** Login by a provider, if there is one. */
function ProviderLogin() {
  const [found, setFound] = useState<Awaited<ReturnType<typeof provider>>>();
  useEffect(() => {
    provider().then(setFound, () => undefined); // without a provider there is only the form
  }, []);
  if (!found) return null;
  return (
    <a class="provider quiet" href={found.address} onClick={leaveForProvider}>
      {t("login.provider", { name: found.name })}
    </a>
  );
}

interface Typed {
  readonly id: string;
  readonly passcode: string;
}

function Form({ isNew, typed }: { isNew: boolean; typed: [Typed, (next: (now: Typed) => Typed) => void] }) {
  const [{ id, passcode }, setTyped] = typed;
  const setId = (id: string) => setTyped((now) => ({ ...now, id }));
  const setPasscode = (passcode: string) => setTyped((now) => ({ ...now, passcode }));
  const [busy, setBusy] = useState(false);
  const { problem, attempt } = useAttempt();
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    if (!(await attempt(() => (isNew ? register : logIn)(id.trim(), passcode)))) setBusy(false);
  };
  return (
    <form onSubmit={(event) => void submit(event)}>
      <Field label={t("login.id")} hint={isNew ? t("login.id.hint") : undefined}>
        {(field) => (
          <input
            {...field}
            name="username"
            autocomplete="username"
            autocapitalize="none"
            spellcheck={false}
            required
            maxLength={64}
            pattern="\s*[A-Za-z0-9._\-]+\s*"
            dir="ltr"
            value={id}
            onInput={(event) => setId(event.currentTarget.value)}
          />
        )}
      </Field>
      <PasscodeField label={t("login.passcode")} isNew={isNew} value={passcode} onInput={setPasscode} />
      {problem.value && <Problem code={problem.value} />}
      <button class="primary" disabled={busy} aria-busy={busy}>
        {t(isNew ? "login.register.submit" : "login.submit")}
      </button>
    </form>
  );
}

interface FieldProps {
  readonly label: string;
  readonly hint?: string | undefined;
  readonly children: (field: { id: string; "aria-describedby"?: string }) => preact.ComponentChildren;
}

/** A label, an input, and a hint that screen readers read with it. */
export function Field({ label, hint, children }: FieldProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, ...(hint ? { "aria-describedby": `${id}-hint` } : {}) })}
      {hint && (
        <small id={`${id}-hint`} class="soft">
          {hint}
        </small>
      )}
    </div>
  );
}

interface PasscodeProps {
  readonly label: string;
  readonly isNew: boolean;
  readonly isOptional?: boolean;
  readonly value: string;
  readonly onInput: (value: string) => void;
}

/** A passcode field with a button that shows its text. */
export function PasscodeField({ label, isNew, isOptional = false, value, onInput }: PasscodeProps) {
  const [isShown, setShown] = useState(false);
  return (
    <Field label={label} hint={isNew ? t("login.passcode.hint") : undefined}>
      {(field) => (
        <div class="with-button">
          <input
            {...field}
            name={isNew ? "new-password" : "password"}
            {...(isShown ? { type: "text" as const } : { type: "password" as const })}
            autocomplete={isNew ? "new-password" : "current-password"}
            required={!isOptional}
            minLength={8}
            maxLength={128}
            dir="ltr"
            value={value}
            onInput={(event) => onInput(event.currentTarget.value)}
          />
          <button
            type="button"
            class="icon-button"
            aria-pressed={isShown}
            aria-label={t("login.passcode.show")}
            title={t("login.passcode.show")}
            onClick={() => setShown(!isShown)}
          >
            <Icon name="eye" />
          </button>
        </div>
      )}
    </Field>
  );
}
