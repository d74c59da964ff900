import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { ask } from "../api/client";
import type { ChannelView, RuleBody } from "../api/schema";
import { useSpeech } from "../i18n";
import { useReadOnly } from "../live/hooks";
import { useAlerts } from "../live/queries";
import { Ago, Badge, Card } from "../ui/bits";
import { Field, Select } from "../ui/field";
import { Empty, Failed, Skeleton } from "../ui/states";
import { Switch } from "../ui/switch";
import { brief, dateTime } from "../util/format";
import { Sure, useAct } from "./parts";

type Rule = RuleBody & { id: string; version: number };

export function Alerts() {
  const { t, code } = useSpeech();
  const readOnly = useReadOnly();
  const alerts = useAlerts();
  const rules = useQuery({
    queryKey: ["alert-rules"],
    queryFn: () => ask("GET /api/alerts/rules"),
  });
  const channels = useQuery({
    queryKey: ["channels"],
    queryFn: () => ask("GET /api/alerts/channels"),
  });
  const mutes = useQuery({ queryKey: ["mutes"], queryFn: () => ask("GET /api/alerts/mutes") });
  const dead = useQuery({
    queryKey: ["dead"],
    queryFn: () => ask("GET /api/alerts/deliveries/dead"),
  });
  const { act, busy } = useAct("alert-rules", "channels", "mutes", "dead", "alerts");
  const disabled = busy || readOnly !== null;
  const all = (rules.data?.rules ?? []) as unknown as Rule[];
  const switchRule = (rule: Rule, enabled: boolean) => {
    const { id, version, ...body } = rule;
    return act(() =>
      ask("PUT /api/alerts/rules/{id}", {
        path: { id },
        body: { ...body, enabled },
        seen: version,
      }),
    );
  };
  if (rules.error) return <Failed error={rules.error} retry={() => void rules.refetch()} />;
  if (!rules.data) return <Skeleton rows={8} />;
  return (
    <div className="columns">
      <Card title={t("alerts.raised")}>
        {(alerts.data ?? []).length === 0 ? (
          <Empty icon="check" title={t("alerts.none")} />
        ) : (
          <ul className="lines">
            {(alerts.data ?? []).map((alert) => (
              <li key={alert.id}>
                <span>
                  <Badge tone={alert.severity === "critical" ? "bad" : "warn"}>
                    {code("severity", alert.severity)}
                  </Badge>{" "}
                  {code("condition", alert.condition)}{" "}
                  <span className="muted">{alert.subject}</span>
                </span>
                <span className="hint">
                  <Ago at={alert.since} />
                </span>
                {alert.acknowledged_at ? (
                  <span className="hint">
                    {t("alerts.seen", { by: alert.acknowledged_by ?? "" })}
                  </span>
                ) : (
                  <button
                    type="button"
                    className="button small"
                    disabled={disabled}
                    onClick={() =>
                      void act(() =>
                        ask("POST /api/alerts/{id}/ack", { path: { id: alert.id }, body: {} }),
                      )
                    }
                  >
                    {t("now.acknowledge")}
                  </button>
                )}
              </li>
            ))}
          </ul>
        )}
      </Card>
      <Card title={t("alerts.channels")}>
        <ul className="lines">
          {(channels.data?.channels ?? []).map((channel) => (
            <ChannelLine key={channel.id} channel={channel} disabled={disabled} act={act} />
          ))}
        </ul>
        <NewChannel disabled={disabled} act={act} />
      </Card>
      <Card title={t("alerts.rules")}>
        <ul className="lines">
          {all.map((rule) => (
            <li key={rule.id}>
              <span>
                <strong>{code("condition", rule.when)}</strong>{" "}
                <span className="muted">
                  {code("severity", rule.severity ?? "warning")} ·{" "}
                  {t("alerts.hold", { seconds: rule.hold_seconds ?? 0 })}
                  {rule.threshold ? ` · ${rule.threshold}` : ""}
                </span>
              </span>
              <code className="hint">{rule.id}</code>
              <Switch
                label={t("alerts.switch", { rule: rule.title })}
                checked={rule.enabled !== false}
                disabled={disabled}
                onChange={(enabled) => void switchRule(rule, enabled)}
              />
            </li>
          ))}
        </ul>
      </Card>
      <Card title={t("alerts.mutes")}>
        <ul className="lines">
          {(mutes.data?.mutes ?? []).map((mute) => (
            <li key={mute.id}>
              <span>
                {mute.rule ?? mute.subject ?? t("copying.all")}{" "}
                <span className="muted">{mute.reason}</span>
              </span>
              <span className="hint">{t("key.until", { until: dateTime(mute.until) })}</span>
              <button
                type="button"
                className="button small"
                disabled={disabled}
                onClick={() =>
                  void act(() => ask("DELETE /api/alerts/mutes/{id}", { path: { id: mute.id } }))
                }
              >
                {t("alerts.unmute")}
              </button>
            </li>
          ))}
        </ul>
        <NewMute rules={all} disabled={disabled} act={act} />
      </Card>
      <Card
        title={t("alerts.dead")}
        tools={
          (dead.data?.deliveries ?? []).length > 0 && (
            <button
              type="button"
              className="button small"
              disabled={disabled}
              onClick={() => void act(() => ask("POST /api/alerts/deliveries/replay"))}
            >
              {t("alerts.replay_all")}
            </button>
          )
        }
      >
        {(dead.data?.deliveries ?? []).length === 0 ? (
          <p className="nothing">{t("alerts.no_dead")}</p>
        ) : (
          <ul className="lines">
            {(dead.data?.deliveries ?? []).map((delivery) => (
              <li key={delivery.id}>
                <span>
                  <strong>{delivery.channel}</strong>{" "}
                  <span className="muted">{delivery.last_error}</span>
                </span>
                <span className="hint">
                  <Ago at={delivery.at} />
                </span>
                <button
                  type="button"
                  className="button small"
                  disabled={disabled}
                  onClick={() =>
                    void act(() =>
                      ask("POST /api/alerts/deliveries/{id}/replay", { path: { id: delivery.id } }),
                    )
                  }
                >
                  {t("alerts.replay")}
                </button>
              </li>
            ))}
          </ul>
        )}
      </Card>
    </div>
  );
}

type Act = ReturnType<typeof useAct>["act"];

function ChannelLine({
  channel,
  disabled,
  act,
}: {
  channel: ChannelView;
  disabled: boolean;
  act: Act;
}) {
  const { t } = useSpeech();
  const path = { id: channel.id };
  return (
    <li>
      <span>
        <strong>{channel.id}</strong>{" "}
        <span className="muted">
          {channel.kind} · {channel.severity_min} · {brief(channel.way).slice(0, 80)}
        </span>
      </span>
      <button
        type="button"
        className="button small"
        disabled={disabled}
        onClick={() =>
          void act(async () => {
            const tested = await ask("POST /api/alerts/channels/{id}/test", { path });
            if (!tested.taken) throw new Error(tested.why ?? "");
          }, t("alerts.tested"))
        }
      >
        {t("endpoint.test")}
      </button>
      <Sure
        label={t("action.remove")}
        title={t("key.revoke_title", { name: channel.id })}
        text={t("alerts.remove_channel")}
        disabled={disabled}
        onSure={() =>
          void act(() => ask("DELETE /api/alerts/channels/{id}", { path, seen: channel.version }))
        }
      />
    </li>
  );
}

/** A webhook; bots and mail are set with the command line, which knows their secrets. */
function NewChannel({ disabled, act }: { disabled: boolean; act: Act }) {
  const { t } = useSpeech();
  const [id, setId] = useState("");
  const [url, setUrl] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void act(
      () =>
        ask("PUT /api/alerts/channels/{id}", {
          path: { id: id.trim() },
          body: { way: { webhook: { url: url.trim() } }, severity_min: "warning" },
          seen: 0,
        }),
      t("setting.saved"),
    );
  };
  return (
    <form className="pair" onSubmit={submit}>
      <Field
        label={t("settings.name")}
        required
        value={id}
        placeholder="ops"
        onChange={(event) => setId(event.target.value)}
      />
      <Field
        label={t("alerts.webhook")}
        required
        type="url"
        value={url}
        placeholder="https://hooks.example/desk"
        onChange={(event) => setUrl(event.target.value)}
      />
      <div>
        <button type="submit" className="button" disabled={disabled}>
          {t("alerts.add_webhook")}
        </button>
      </div>
    </form>
  );
}

function NewMute({
  rules,
  disabled,
  act,
}: {
  rules: readonly Rule[];
  disabled: boolean;
  act: Act;
}) {
  const { t, code } = useSpeech();
  const [rule, setRule] = useState("");
  const [reason, setReason] = useState("");
  const [hours, setHours] = useState("1");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void act(
      () =>
        ask("POST /api/alerts/mutes", {
          body: {
            reason: reason.trim(),
            seconds: Math.round(Number(hours) * 3600),
            rule: rule || null,
          },
        }),
      t("setting.saved"),
    );
  };
  return (
    <form className="pair" onSubmit={submit}>
      <Select
        label={t("alerts.rule")}
        value={rule}
        options={[
          ["", t("copying.all")],
          ...rules.map((one) => [one.id, code("condition", one.when)] as const),
        ]}
        onChange={(event) => setRule(event.target.value)}
      />
      <Field
        label={t("alerts.hours")}
        inputMode="decimal"
        required
        value={hours}
        onChange={(event) => setHours(event.target.value)}
      />
      <Field
        label={t("stop.reason")}
        required
        value={reason}
        onChange={(event) => setReason(event.target.value)}
      />
      <div>
        <button type="submit" className="button" disabled={disabled}>
          {t("alerts.mute")}
        </button>
      </div>
    </form>
  );
}
