import { useQuery, useQueryClient } from "@tanstack/react-query";
import { lazy, Suspense, useMemo, useState } from "react";
import { ask } from "../api/client";
import { EndpointDialog } from "../endpoints/form";
import { Days } from "../endpoints/tabs";
import { useSpeech } from "../i18n";
import { useAsOf, useBoard, useReadOnly } from "../live/hooks";
import { Link } from "../shell/link";
import { go, hrefOf, useRoute } from "../shell/router";
import { Ago, Card, Head, Stat } from "../ui/bits";
import { Dialog } from "../ui/dialog";
import { Icon } from "../ui/icons";
import { Empty, Failed, Skeleton } from "../ui/states";
import { useToast } from "../ui/toast";
import { brief, clock, short } from "../util/format";
import { EndpointStatus, ErrorRate } from "./endpoints";

const Chart = lazy(() => import("../ui/chart"));

interface Day {
  date: string;
  total: number;
  success: number;
  failed: number;
  average_response_ms: number | null;
}

export default function EndpointPage({ params }: { params: Record<string, string> }) {
  const { id = "" } = params;
  const { t } = useSpeech();
  const { query } = useRoute();
  const asOf = useAsOf();
  const client = useQueryClient();
  const toast = useToast();
  const readOnly = useReadOnly();
  const row = useBoard((board) => board.endpoints.get(id));
  const speeds = useBoard((board) => board.speeds.get(id));
  const days = Number(query.get("days") ?? 30);
  const [editing, setEditing] = useState(false);
  const [removing, setRemoving] = useState(false);
  const one = useQuery({
    queryKey: ["endpoint", id, asOf.as_of ?? "now"],
    queryFn: () => ask("GET /api/endpoints/{id}", { path: { id }, query: asOf }),
  });
  const daily = useQuery({
    queryKey: ["endpoint-days", id, days],
    queryFn: async () =>
      (await ask("GET /api/endpoints/{id}/daily-stats", { path: { id }, query: { days } }))
        .days as unknown as Day[],
  });
  const checks = useQuery({
    queryKey: ["checks", id],
    queryFn: () => ask("GET /api/endpoints/{id}/health-checks", { path: { id } }),
    refetchInterval: 5_000,
  });
  const models = useQuery({
    queryKey: ["endpoint-models", id],
    queryFn: async () =>
      (await ask("GET /api/endpoints/{id}/models", { path: { id } })).models as unknown as {
        id: string;
        context: number | null;
      }[],
  });
  const times = useMemo(
    () => (daily.data ?? []).map((day) => Date.parse(`${day.date}T00:00:00Z`) / 1000),
    [daily.data],
  );
  const series = useMemo(
    () => [
      {
        label: t("endpoints.all"),
        colour: "--tide",
        kind: "bars" as const,
        values: (daily.data ?? []).map((day) => day.total),
      },
      {
        label: t("endpoints.failed"),
        colour: "--coral",
        kind: "bars" as const,
        values: (daily.data ?? []).map((day) => day.failed),
      },
    ],
    [t, daily.data],
  );
  const act = async (what: () => Promise<unknown>) => {
    try {
      const answer = await what();
      toast.good(answer ? brief(answer).slice(0, 200) : t("endpoint.done"));
      await client.invalidateQueries({ queryKey: ["checks", id] });
      await client.invalidateQueries({ queryKey: ["endpoint-models", id] });
    } catch (error) {
      toast.bad(error);
    }
  };
  if (one.error) return <Failed error={one.error} retry={() => void one.refetch()} />;
  if (!one.data || !row)
    return one.data ? <Empty title={t("endpoints.none")} /> : <Skeleton rows={8} />;
  const path = { id };
  const disabled = readOnly !== null;
  return (
    <div className="page">
      <Head
        title={row.name}
        lead={[row.base_url, row.kind, one.data.server_version].filter(Boolean).join(" · ")}
      >
        <EndpointStatus status={row.status} />
        <button
          type="button"
          className="button"
          disabled={disabled}
          onClick={() => void act(() => ask("POST /api/endpoints/{id}/test", { path }))}
        >
          {t("endpoint.test")}
        </button>
        <button
          type="button"
          className="button"
          disabled={disabled}
          onClick={() =>
            void act(async () => {
              await ask("POST /api/endpoints/{id}/sync", { path });
            })
          }
        >
          {t("endpoint.sync")}
        </button>
        <button
          type="button"
          className="button"
          disabled={disabled}
          onClick={() => setEditing(true)}
        >
          {t("action.edit")}
        </button>
        <button
          type="button"
          className="button danger"
          disabled={disabled}
          onClick={() => setRemoving(true)}
        >
          <Icon name="trash" /> {t("action.remove")}
        </button>
      </Head>
      {row.last_error && row.status !== "online" && (
        <p className="form-error">
          {row.last_error.detail} · <Ago at={row.last_error.at} />
        </p>
      )}
      <dl className="stats">
        <Stat
          label={t("endpoints.latency")}
          {...(row.status === "offline" ? { hint: t("endpoint.kept") } : {})}
        >
          {row.latency_ms === null ? "–" : `${row.latency_ms} ms`}
        </Stat>
        <Stat label={t("endpoints.inference")}>
          {row.inference_latency_ms === null ? "–" : `${row.inference_latency_ms} ms`}
        </Stat>
        <Stat label={t("endpoints.requests")}>{short(row.total)}</Stat>
        <Stat label={t("endpoints.error_rate")}>
          <ErrorRate failed={row.failed} total={row.total} />
        </Stat>
        <Stat label={t("endpoints.tokens")}>{short(row.input_tokens + row.output_tokens)}</Stat>
        <Stat label="TPS">{row.tps ? Number(row.tps.value).toFixed(1) : "–"}</Stat>
        <Stat label={t("endpoints.seen")}>
          <Ago at={row.last_seen} />
        </Stat>
      </dl>
      <Card title={t("endpoint.days")} tools={<Days days={days} />}>
        {daily.error ? (
          <Failed error={daily.error} retry={() => void daily.refetch()} />
        ) : (
          <Suspense fallback={<Skeleton rows={1} height={220} />}>
            <Chart
              times={times}
              series={series}
              height={220}
              label={t("endpoint.days_label", { name: row.name, days })}
            />
          </Suspense>
        )}
      </Card>
      <div className="columns">
        <Card title={t("endpoints.models")}>
          <table className="plain">
            <thead>
              <tr>
                <th scope="col">{t("request.model")}</th>
                <th scope="col" className="number">
                  {t("endpoint.context")}
                </th>
                <th scope="col" className="number">
                  TPS
                </th>
              </tr>
            </thead>
            <tbody>
              {(models.data ?? []).map((model) => {
                const speed = speeds?.models.find((other) => other.model === model.id);
                return (
                  <tr key={model.id}>
                    <th scope="row">{model.id}</th>
                    <td className="number">{model.context ?? "–"}</td>
                    <td className="number">{speed ? Number(speed.tps).toFixed(1) : "–"}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
          <p className="hint">
            <Link to="/endpoints" query={{ tab: "requests", endpoint: id }}>
              {t("endpoint.requests")}
            </Link>
          </p>
        </Card>
        <Card title={t("endpoint.health")}>
          {checks.error ? (
            <Failed error={checks.error} retry={() => void checks.refetch()} />
          ) : (
            <ol className="told scroll tall" tabIndex={0} aria-label={t("endpoint.health")}>
              {[...(checks.data?.checks ?? [])]
                .reverse()
                .slice(0, 100)
                .map((check) => (
                  <li key={check.at} className={check.ok ? "told-good" : "told-bad"}>
                    <span className="told-when">{clock(check.at)}</span>
                    <span>
                      {check.ok
                        ? t("endpoint.answered", { ms: check.latency_ms ?? "–" })
                        : t("endpoint.did_not", {
                            why: check.failure ?? String(check.http_status ?? ""),
                          })}
                    </span>
                  </li>
                ))}
            </ol>
          )}
        </Card>
      </div>
      {editing && <EndpointDialog of={one.data} onClose={() => setEditing(false)} />}
      {removing && (
        <Dialog
          open
          tone="danger"
          onClose={() => setRemoving(false)}
          title={t("endpoint.remove", { name: row.name })}
          lead={t("endpoint.remove_lead")}
        >
          <div className="stop-acts">
            <button type="button" className="button" onClick={() => setRemoving(false)}>
              {t("action.cancel")}
            </button>
            <button
              type="button"
              className="button danger solid"
              onClick={() =>
                void act(async () => {
                  await ask("DELETE /api/endpoints/{id}", { path, seen: one.data.version });
                  go(hrefOf("/endpoints"));
                })
              }
            >
              {t("action.remove")}
            </button>
          </div>
        </Dialog>
      )}
    </div>
  );
}
