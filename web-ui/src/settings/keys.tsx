import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { ask } from "../api/client";
import type { PairingMade } from "../api/schema";
import { useSpeech } from "../i18n";
import { useLive, useReadOnly } from "../live/hooks";
import { Ago, Card } from "../ui/bits";
import { Field, Select } from "../ui/field";
import { Empty, Failed, Skeleton } from "../ui/states";
import { useNow } from "../util/clock";
import { dateTime } from "../util/format";
import { Once, Sure, useAct } from "./parts";
import { ROLES } from "./people";

/** Keys of terminals, and the codes that they are exchanged for. */
export function Terminals() {
  const { t } = useSpeech();
  const readOnly = useReadOnly();
  const { act, busy } = useAct("ea-keys");
  const keys = useQuery({
    queryKey: ["ea-keys"],
    queryFn: () => ask("GET /api/ea/keys"),
    refetchInterval: 3_000,
  });
  const [account, setAccount] = useState("");
  const [role, setRole] = useState("");
  const [made, setMade] = useState<PairingMade | null>(null);
  const disabled = busy || readOnly !== null;
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    await act(async () => {
      const body = { account: account.trim() || null, role: role || null };
      setMade(await ask("POST /api/ea/pairings", { body }));
    });
  };
  if (keys.error) return <Failed error={keys.error} retry={() => void keys.refetch()} />;
  if (!keys.data) return <Skeleton rows={5} />;
  return (
    <div className="columns">
      <Card title={t("pairing.title")}>
        <p className="lead">{t("pairing.lead")}</p>
        <form className="stack narrow" onSubmit={(event) => void submit(event)}>
          <Field
            label={t("accounts.account")}
            hint={t("pairing.any")}
            placeholder="IC_Markets_12345"
            value={account}
            onChange={(event) => setAccount(event.target.value)}
          />
          <Select
            label={t("accounts.role")}
            value={role}
            options={[
              ["", t("pairing.any_role")],
              ["master", t("role.master")],
              ["slave", t("role.slave")],
            ]}
            onChange={(event) => setRole(event.target.value)}
          />
          <div>
            <button type="submit" className="button primary" disabled={disabled}>
              {t("first.pair_go")}
            </button>
          </div>
        </form>
        {made && <Code made={made} />}
        <p className="hint">{t("pairing.allow")}</p>
      </Card>
      <Card title={t("pairing.keys")}>
        {keys.data.pairings.length > 0 && (
          <ul className="lines">
            {keys.data.pairings.map((pairing) => (
              <li key={pairing.id}>
                <span>
                  {t("pairing.open")} <strong>{pairing.account ?? "–"}</strong>
                </span>
                <span className="hint">{t("pairing.tries", { tries: pairing.tries_left })}</span>
                <button
                  type="button"
                  className="button small"
                  disabled={disabled}
                  onClick={() =>
                    void act(() =>
                      ask("DELETE /api/ea/pairings/{id}", { path: { id: pairing.id } }),
                    )
                  }
                >
                  {t("action.cancel")}
                </button>
              </li>
            ))}
          </ul>
        )}
        {keys.data.keys.length === 0 ? (
          <Empty icon="lock" title={t("pairing.none")} />
        ) : (
          <ul className="lines">
            {keys.data.keys.map((key) => (
              <li key={key.id}>
                <span>
                  <strong>{key.account}</strong> <span className="muted">{key.role}</span>
                </span>
                <span className="hint">{dateTime(key.issued_at)}</span>
                <Sure
                  label={t("key.revoke")}
                  title={t("key.revoke_title", { name: key.account })}
                  text={t("key.revoke_text")}
                  disabled={disabled}
                  onSure={() =>
                    void act(() => ask("DELETE /api/ea/keys/{id}", { path: { id: key.id } }))
                  }
                />
              </li>
            ))}
          </ul>
        )}
      </Card>
    </div>
  );
}

function Code({ made }: { made: PairingMade }) {
  const { t, ago } = useSpeech();
  const offset = useLive((live) => live.offset);
  const now = useNow();
  const left = made.expires_at / 1000 - (now + offset);
  return (
    <div className="pairing" role="status">
      <p className="pairing-code">{made.code}</p>
      <p className="hint">
        {left > 0 ? t("pairing.left", { left: ago(left) }) : t("pairing.over")}
      </p>
    </div>
  );
}

/** Tokens of programs, and keys of the proxy's clients. */
export function Keys() {
  const { t } = useSpeech();
  const readOnly = useReadOnly("admin");
  const { act, busy } = useAct("tokens", "api-keys");
  const tokens = useQuery({ queryKey: ["tokens-of"], queryFn: () => ask("GET /api/tokens") });
  const keys = useQuery({ queryKey: ["api-keys"], queryFn: () => ask("GET /api/proxy/keys") });
  const [secret, setSecret] = useState<string | null>(null);
  const [name, setName] = useState("");
  const [role, setRole] = useState<string>("operator");
  const [hours, setHours] = useState("720");
  const [client, setClient] = useState("");
  const [perMinute, setPerMinute] = useState("0");
  const disabled = busy || readOnly !== null;
  const again = async () => {
    await Promise.all([tokens.refetch(), keys.refetch()]);
  };
  if (tokens.error) return <Failed error={tokens.error} retry={() => void tokens.refetch()} />;
  return (
    <div className="columns">
      <Card title={t("key.tokens")}>
        <p className="lead">{t("key.tokens_lead")}</p>
        <ul className="lines">
          {(tokens.data?.tokens ?? []).map((token) => (
            <li key={token.id}>
              <span>
                <strong>{token.name}</strong> <span className="muted">{token.role}</span>
              </span>
              <span className="hint">
                {token.expires_at
                  ? t("key.until", { until: dateTime(token.expires_at) })
                  : t("key.for_ever")}
              </span>
              <Sure
                label={t("key.revoke")}
                title={t("key.revoke_title", { name: token.name })}
                text={t("key.revoke_text")}
                disabled={disabled}
                onSure={() =>
                  void act(() => ask("DELETE /api/tokens/{id}", { path: { id: token.id } })).then(
                    again,
                  )
                }
              />
            </li>
          ))}
        </ul>
        <form
          className="pair"
          onSubmit={(event) => {
            event.preventDefault();
            void act(async () => {
              const made = await ask("POST /api/tokens", {
                body: { name: name.trim(), role, hours: Number(hours) > 0 ? Number(hours) : null },
              });
              setSecret(made.token);
              setName("");
            }).then(again);
          }}
        >
          <Field
            label={t("settings.name")}
            required
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
          <Select
            label={t("accounts.role")}
            value={role}
            options={ROLES.map((one) => [one, t(`person.${one}`)])}
            onChange={(event) => setRole(event.target.value)}
          />
          <Field
            label={t("key.hours")}
            hint={t("key.hours_hint")}
            inputMode="numeric"
            value={hours}
            onChange={(event) => setHours(event.target.value)}
          />
          <div>
            <button type="submit" className="button primary" disabled={disabled}>
              {t("first.make")}
            </button>
          </div>
        </form>
      </Card>
      <Card title={t("key.clients")}>
        <p className="lead">{t("key.clients_lead")}</p>
        <ul className="lines">
          {(keys.data?.keys ?? []).map((key) => (
            <li key={key.id}>
              <span>
                <strong>{key.name}</strong>{" "}
                <span className="muted">
                  {key.requests_per_minute > 0
                    ? t("key.per_minute", { count: key.requests_per_minute })
                    : t("key.no_limit")}
                </span>
              </span>
              <span className="hint">
                <Ago at={key.created_at} />
              </span>
              <Sure
                label={t("key.revoke")}
                title={t("key.revoke_title", { name: key.name })}
                text={t("key.revoke_text")}
                disabled={disabled}
                onSure={() =>
                  void act(() => ask("DELETE /api/proxy/keys/{id}", { path: { id: key.id } })).then(
                    again,
                  )
                }
              />
            </li>
          ))}
        </ul>
        <form
          className="pair"
          onSubmit={(event) => {
            event.preventDefault();
            void act(async () => {
              const made = await ask("POST /api/proxy/keys", {
                body: { name: client.trim(), requests_per_minute: Number(perMinute) || 0 },
              });
              setSecret(made.key);
              setClient("");
            }).then(again);
          }}
        >
          <Field
            label={t("settings.name")}
            required
            value={client}
            onChange={(event) => setClient(event.target.value)}
          />
          <Field
            label={t("key.requests_per_minute")}
            hint={t("endpoint.zero")}
            inputMode="numeric"
            value={perMinute}
            onChange={(event) => setPerMinute(event.target.value)}
          />
          <div>
            <button type="submit" className="button primary" disabled={disabled}>
              {t("first.make")}
            </button>
          </div>
        </form>
      </Card>
      {secret && (
        <Once
          title={t("key.made")}
          hint={t("key.made_hint")}
          value={secret}
          onClose={() => setSecret(null)}
        />
      )}
    </div>
  );
}
