import { type FormEvent, type ReactNode, useState } from "react";
import { ask, asProblem, type Problem } from "../api/client";
import { useSpeech } from "../i18n";
import { Field } from "../ui/field";
import { Logo } from "../ui/logo";
import { Tide } from "../ui/tide";

function Languages() {
  const { t, language, setLanguage } = useSpeech();
  return (
    <fieldset className="languages">
      <legend className="hidden">{t("look.language")}</legend>
      {(["en", "ja"] as const).map((one) => (
        <button
          key={one}
          type="button"
          lang={one}
          aria-pressed={one === language}
          onClick={() => setLanguage(one)}
        >
          {one === "en" ? "English" : "日本語"}
        </button>
      ))}
    </fieldset>
  );
}

function Gate({ title, children }: { title: string; children: ReactNode }) {
  const { t } = useSpeech();
  return (
    <div className="gate">
      <main className="gate-card">
        <div className="gate-brand">
          <Logo size={56} />
          <div>
            <p className="gate-name">Tidehelm</p>
            <p className="gate-tagline">{t("app.tagline")}</p>
          </div>
        </div>
        <h1>{title}</h1>
        {children}
        <Languages />
      </main>
      <Tide state="live" />
    </div>
  );
}

/** The problem's text where `field` is the one it names; `null` elsewhere. */
function useFieldProblem(known: readonly string[]) {
  const { problem: say } = useSpeech();
  const [problem, setProblem] = useState<Problem | null>(null);
  const at = (field: string) => (problem?.field === field ? say(problem) : null);
  const general = problem && !known.includes(problem.field ?? "") ? say(problem) : null;
  return { at, general, setProblem };
}

export function Login({ ended, onIn }: { ended: boolean; onIn: () => void }) {
  const { t } = useSpeech();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const problem = useFieldProblem(["name", "password"]);

  async function submit(event: FormEvent) {
    event.preventDefault();
    setBusy(true);
    problem.setProblem(null);
    try {
      await ask("POST /api/login", { body: { name, password } });
      onIn();
    } catch (error) {
      problem.setProblem(asProblem(error));
      setBusy(false);
    }
  }

  return (
    <Gate title={t("login.title")}>
      {ended && !problem.general && <p className="note">{t("login.ended")}</p>}
      <form onSubmit={submit}>
        {problem.general && (
          <p className="form-error" role="alert">
            {problem.general}
          </p>
        )}
        <Field
          label={t("login.name")}
          name="name"
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          required
          value={name}
          onChange={(event) => setName(event.target.value)}
          error={problem.at("name")}
        />
        <Field
          label={t("login.password")}
          name="password"
          type="password"
          autoComplete="current-password"
          required
          value={password}
          onChange={(event) => setPassword(event.target.value)}
          error={problem.at("password")}
        />
        <button className="button primary wide" type="submit" disabled={busy}>
          {busy ? t("login.busy") : t("login.submit")}
        </button>
      </form>
      <p className="hint">{t("login.first")}</p>
    </Gate>
  );
}

export function Welcome({ code, onIn }: { code: string | null; onIn: () => void }) {
  const { t } = useSpeech();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [repeat, setRepeat] = useState("");
  const [differ, setDiffer] = useState(false);
  const [busy, setBusy] = useState(false);
  const problem = useFieldProblem(["name", "password"]);

  async function submit(event: FormEvent) {
    event.preventDefault();
    problem.setProblem(null);
    setDiffer(password !== repeat);
    if (password !== repeat) return;
    setBusy(true);
    try {
      await ask("POST /api/welcome", { body: { code: code ?? "", name, password } });
      onIn();
    } catch (error) {
      problem.setProblem(asProblem(error));
      setBusy(false);
    }
  }

  return (
    <Gate title={t("welcome.title")}>
      {code ? (
        <>
          <p className="lead">{t("welcome.lead")}</p>
          <form onSubmit={submit}>
            {problem.general && (
              <p className="form-error" role="alert">
                {problem.general}
              </p>
            )}
            <Field
              label={t("login.name")}
              name="name"
              autoComplete="username"
              autoCapitalize="none"
              spellCheck={false}
              required
              value={name}
              onChange={(event) => setName(event.target.value)}
              error={problem.at("name")}
            />
            <Field
              label={t("login.password")}
              name="password"
              type="password"
              autoComplete="new-password"
              required
              value={password}
              onChange={(event) => setPassword(event.target.value)}
              error={problem.at("password")}
            />
            <Field
              label={t("welcome.repeat")}
              name="repeat"
              type="password"
              autoComplete="new-password"
              required
              value={repeat}
              onChange={(event) => setRepeat(event.target.value)}
              error={differ && password !== repeat ? t("welcome.mismatch") : null}
            />
            <button className="button primary wide" type="submit" disabled={busy}>
              {busy ? t("welcome.busy") : t("welcome.submit")}
            </button>
          </form>
        </>
      ) : (
        <p className="form-error" role="alert">
          {t("welcome.no_code")}
        </p>
      )}
      <p className="hint">
        <a href="#/">{t("welcome.to_login")}</a>
      </p>
    </Gate>
  );
}
