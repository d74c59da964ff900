import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useEffect, useMemo, useState } from "react";
import { ask } from "../api/client";
import { SettingsTable } from "../copying/settings";
import { useSpeech } from "../i18n";
import { useBoard, useLive, useReadOnly } from "../live/hooks";
import { Card } from "../ui/bits";
import { Field } from "../ui/field";
import { Failed, Skeleton } from "../ui/states";
import { type Column, Table } from "../ui/table";
import { useToast } from "../ui/toast";
import { brief, whole } from "../util/format";
import { useAct } from "./parts";

export function DeskSettings() {
  const { t } = useSpeech();
  const readOnly = useReadOnly("admin");
  const told = useBoard((board) => board.settings);
  const [form, setForm] = useState({ name: "", timeout_seconds: "", session_hours: "" });
  const { act, busy } = useAct();
  const revision = told?.revision;
  // biome-ignore lint/correctness/useExhaustiveDependencies: what is typed stays until the settings change
  useEffect(() => {
    if (!told) return;
    const { name, timeout_seconds, session_hours } = told.settings;
    setForm({
      name,
      timeout_seconds: String(timeout_seconds),
      session_hours: String(session_hours),
    });
  }, [revision]);
  if (!told) return <p className="nothing">{t("settings.not_then")}</p>;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    void act(
      () =>
        ask("PUT /api/settings", {
          body: {
            name: form.name.trim(),
            timeout_seconds: Number(form.timeout_seconds),
            session_hours: Number(form.session_hours),
          },
          seen: told.revision,
        }),
      t("setting.saved"),
    );
  };
  return (
    <Card title={t("settings.desk")}>
      <form className="stack narrow" onSubmit={submit}>
        <Field
          label={t("settings.name")}
          value={form.name}
          maxLength={80}
          onChange={(event) => setForm({ ...form, name: event.target.value })}
        />
        <Field
          label={t("settings.timeout")}
          hint={t("settings.timeout_hint")}
          inputMode="numeric"
          value={form.timeout_seconds}
          onChange={(event) => setForm({ ...form, timeout_seconds: event.target.value })}
        />
        <Field
          label={t("settings.session")}
          inputMode="numeric"
          value={form.session_hours}
          onChange={(event) => setForm({ ...form, session_hours: event.target.value })}
        />
        {readOnly && <p className="note">{t(`read_only.${readOnly}`)}</p>}
        <div>
          <button type="submit" className="button primary" disabled={busy || readOnly !== null}>
            {t("action.save")}
          </button>
        </div>
      </form>
    </Card>
  );
}

/** Settings of copying for the whole desk. */
export function Defaults() {
  const { t } = useSpeech();
  const readOnly = useReadOnly();
  const toast = useToast();
  const all = useQuery({
    queryKey: ["copy-settings"],
    queryFn: () => ask("GET /api/copy-settings"),
  });
  if (all.error) return <Failed error={all.error} retry={() => void all.refetch()} />;
  if (!all.data) return <Skeleton rows={8} />;
  const own = all.data.settings as Record<string, unknown>;
  const effective = Object.fromEntries(
    Object.entries(own).map(([name, value]) => [name, { from: "global" as const, value }]),
  );
  return (
    <Card
      title={t("settings.copying")}
      tools={<span className="hint">{t("settings.copying_hint")}</span>}
    >
      <SettingsTable
        fields={all.data.fields}
        effective={effective}
        own={own}
        layer="global"
        readOnly={readOnly !== null}
        onSave={async (settings) => {
          try {
            await ask("PUT /api/copy-settings", {
              body: { settings, version: all.data.version },
              seen: all.data.version,
            });
            toast.good(t("setting.saved"));
            await all.refetch();
          } catch (error) {
            toast.bad(error);
            throw error;
          }
        }}
      />
    </Card>
  );
}

interface ConfigRow {
  key: string;
  value: unknown;
  origin: string;
  default: unknown;
  help: string;
  env: string;
}

/** What the server was started with, retention and backups among it, and where each value came from. */
export function Configuration() {
  const { t } = useSpeech();
  const config = useQuery({
    queryKey: ["config"],
    queryFn: async () => (await ask("GET /api/config")) as unknown as ConfigRow[],
    staleTime: 60_000,
  });
  const columns = useMemo<readonly Column<ConfigRow>[]>(
    () => [
      {
        id: "key",
        title: t("settings.key"),
        value: (row) => row.key,
        cell: (row) => <code title={row.env}>{row.key}</code>,
      },
      {
        id: "value",
        title: t("settings.value"),
        value: (row) => brief(row.value),
        cell: (row) => <strong>{brief(row.value) || "–"}</strong>,
      },
      {
        id: "origin",
        title: t("settings.origin"),
        value: (row) => row.origin,
        cell: (row) => row.origin,
      },
      {
        id: "help",
        title: t("settings.help"),
        value: (row) => row.help,
        cell: (row) => <span lang="en">{row.help}</span>,
      },
    ],
    [t],
  );
  if (config.error) return <Failed error={config.error} retry={() => void config.refetch()} />;
  if (!config.data) return <Skeleton rows={10} />;
  return (
    <>
      <p className="lead">{t("settings.server_lead")}</p>
      <Table
        id="config"
        tall
        label={t("settings.server")}
        rows={config.data}
        rowKey={(row) => row.key}
        columns={columns}
        text={(row) => `${row.key} ${brief(row.value)} ${row.help}`}
        source="/api/config"
        rowHeight={40}
        empty={null}
      />
    </>
  );
}

export function About() {
  const { t } = useSpeech();
  const status = useLive((live) => live.status);
  const { act, busy } = useAct();
  const readOnly = useReadOnly("admin");
  const facts: [string, string][] = [
    [t("settings.version"), status?.version ?? "–"],
    [t("settings.desk_id"), status?.desk_id ?? "–"],
    [t("travel.position"), status ? whole(status.position) : "–"],
    [t("settings.health"), status ? `${status.health}${status.why ? `: ${status.why}` : ""}` : "–"],
    [t("settings.licence"), "MIT OR Apache-2.0"],
  ];
  return (
    <Card title="Tidehelm">
      <dl className="facts narrow">
        {facts.map(([label, value]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <p className="row about-links">
        <a href="/api/openapi.json">OpenAPI</a>
        <button
          type="button"
          className="button small"
          disabled={busy || readOnly !== null}
          onClick={() => void act(() => ask("POST /api/snapshot"), t("settings.snapshot_done"))}
        >
          {t("settings.snapshot")}
        </button>
      </p>
    </Card>
  );
}
