import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { ask } from "../api/client";
import { useSpeech } from "../i18n";
import { useLive, useReadOnly } from "../live/hooks";
import { Ago, Card } from "../ui/bits";
import { Field, Select } from "../ui/field";
import { Failed, Skeleton } from "../ui/states";
import { dateTime } from "../util/format";
import { Once, Sure, useAct } from "./parts";

export const ROLES = ["viewer", "operator", "admin"] as const;

export function People() {
  const { t } = useSpeech();
  const readOnly = useReadOnly("admin");
  const me = useLive((live) => live.me?.name ?? "");
  const users = useQuery({ queryKey: ["users"], queryFn: () => ask("GET /api/users") });
  const sessions = useQuery({ queryKey: ["sessions"], queryFn: () => ask("GET /api/sessions") });
  const { act, busy } = useAct("users", "sessions");
  const [name, setName] = useState("");
  const [role, setRole] = useState<string>("operator");
  const [link, setLink] = useState<string | null>(null);
  const disabled = busy || readOnly !== null;
  const invite = async (event: FormEvent) => {
    event.preventDefault();
    await act(async () => {
      const made = await ask("POST /api/invites", { body: { name: name.trim(), role } });
      setLink(new URL(made.path, window.location.origin).href);
      setName("");
    });
  };
  if (users.error) return <Failed error={users.error} retry={() => void users.refetch()} />;
  if (!users.data) return <Skeleton rows={6} />;
  const roles = ROLES.map((one) => [one, t(`person.${one}`)] as const);
  return (
    <div className="page">
      <Card title={t("settings.people")}>
        <div className="scroll" tabIndex={0} role="region" aria-label={t("settings.people")}>
          <table className="plain rows">
            <thead>
              <tr>
                <th scope="col">{t("settings.name")}</th>
                <th scope="col">{t("accounts.role")}</th>
                <th scope="col">{t("settings.since")}</th>
                <th scope="col" className="number">
                  {t("settings.sessions")}
                </th>
                <th scope="col">{t("settings.act")}</th>
              </tr>
            </thead>
            <tbody>
              {users.data.users.map((user) => (
                <tr key={user.name}>
                  <th scope="row">{user.name}</th>
                  <td>
                    <select
                      aria-label={t("settings.role_of", { name: user.name })}
                      value={user.role}
                      disabled={disabled || user.name === me}
                      onChange={(event) =>
                        void act(() =>
                          ask("PUT /api/users/{name}/role", {
                            path: { name: user.name },
                            body: { role: event.target.value },
                          }),
                        )
                      }
                    >
                      {roles.map(([value, label]) => (
                        <option key={value} value={value}>
                          {label}
                        </option>
                      ))}
                    </select>
                  </td>
                  <td>{dateTime(user.since)}</td>
                  <td className="number">{user.sessions}</td>
                  <td>
                    <Sure
                      label={t("action.remove")}
                      title={t("settings.remove_user", { name: user.name })}
                      text={t("settings.remove_user_text")}
                      disabled={disabled || user.name === me}
                      onSure={() =>
                        void act(() =>
                          ask("DELETE /api/users/{name}", { path: { name: user.name } }),
                        )
                      }
                    />
                  </td>
                </tr>
              ))}
              {users.data.invited.map((user) => (
                <tr key={`invited/${user.name}`}>
                  <th scope="row">{user.name}</th>
                  <td>{roles.find(([value]) => value === user.role)?.[1] ?? user.role}</td>
                  <td colSpan={3} className="muted">
                    {t("settings.invited", { until: dateTime(user.expires_at) })}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </Card>
      <Card title={t("settings.invite")}>
        <form className="pair" onSubmit={(event) => void invite(event)}>
          <Field
            label={t("settings.name")}
            required
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
          <Select
            label={t("accounts.role")}
            value={role}
            options={roles}
            hint={t("settings.roles")}
            onChange={(event) => setRole(event.target.value)}
          />
          <div>
            <button type="submit" className="button primary" disabled={disabled}>
              {t("settings.invite_make")}
            </button>
          </div>
        </form>
      </Card>
      <Password me={me} />
      <Card title={t("settings.sessions")}>
        {sessions.error ? (
          <Failed error={sessions.error} />
        ) : (
          <ul className="lines">
            {(sessions.data?.sessions ?? []).map((session) => (
              <li key={session.id}>
                <span>
                  <strong>{session.name}</strong> <span className="muted">{session.peer}</span>{" "}
                  {session.own && <span className="chip">{t("settings.this")}</span>}
                </span>
                <span className="hint">
                  <Ago at={session.started_at} />
                </span>
                <button
                  type="button"
                  className="button small"
                  disabled={busy || readOnly === "past"}
                  onClick={() =>
                    void act(() => ask("DELETE /api/sessions/{id}", { path: { id: session.id } }))
                  }
                >
                  {t("settings.end")}
                </button>
              </li>
            ))}
          </ul>
        )}
      </Card>
      {link && (
        <Once
          title={t("settings.invite")}
          hint={t("settings.invite_hint")}
          value={link}
          onClose={() => setLink(null)}
        />
      )}
    </div>
  );
}

function Password({ me }: { me: string }) {
  const { t } = useSpeech();
  const { act, busy } = useAct();
  const [current, setCurrent] = useState("");
  const [password, setPassword] = useState("");
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const done = await act(
      () =>
        ask("PUT /api/users/{name}/password", { path: { name: me }, body: { current, password } }),
      t("setting.saved"),
    );
    if (done) {
      setCurrent("");
      setPassword("");
    }
  };
  return (
    <Card title={t("settings.password")}>
      <form className="pair" onSubmit={(event) => void submit(event)}>
        <input
          type="text"
          className="hidden"
          name="username"
          autoComplete="username"
          readOnly
          value={me}
          tabIndex={-1}
          aria-hidden="true"
        />
        <Field
          label={t("settings.password_now")}
          type="password"
          autoComplete="current-password"
          required
          value={current}
          onChange={(event) => setCurrent(event.target.value)}
        />
        <Field
          label={t("settings.password_new")}
          type="password"
          autoComplete="new-password"
          required
          value={password}
          onChange={(event) => setPassword(event.target.value)}
        />
        <div>
          <button type="submit" className="button" disabled={busy}>
            {t("settings.password_set")}
          </button>
        </div>
      </form>
    </Card>
  );
}
