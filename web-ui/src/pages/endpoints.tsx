import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useMemo } from "react";
import { ask } from "../api/client";
import type { EndpointRow, Minute } from "../api/shapes";
import { EndpointDialog } from "../endpoints/form";
import { Clients, Models, Playground, Requests, Tokens } from "../endpoints/tabs";
import { useSpeech } from "../i18n";
import { useAsOf, useBoard, useReadOnly } from "../live/hooks";
import { Link } from "../shell/link";
import { go, hrefOf, setQuery, useRoute } from "../shell/router";
import { Ago, Badge, Card, Head, Stat, type Tone } from "../ui/bits";
import { Icon } from "../ui/icons";
import { Empty, Skeleton } from "../ui/states";
import { type Column, compare, Table } from "../ui/table";
import { Tabs } from "../ui/tabs";
import { percent, short } from "../util/format";

const Chart = lazy(() => import("../ui/chart"));

const TONES: Record<EndpointRow["status"], Tone> = {
  online: "good",
  pending: "wait",
  half_open: "wait",
  error: "warn",
  offline: "bad",
};

export function EndpointStatus({ status }: { status: EndpointRow["status"] }) {
  const { code } = useSpeech();
  return <Badge tone={TONES[status] ?? "off"}>{code("endpoint", status)}</Badge>;
}

/** A part of requests that failed: from 5 % on yellow, from 20 % on red, always in figures. */
export function ErrorRate({ failed, total }: { failed: number; total: number }) {
  if (total === 0) return <span className="muted">–</span>;
  const part = (100 * failed) / total;
  const tone = part >= 20 ? "rate-bad" : part >= 5 ? "rate-warn" : "";
  return <span className={`figure ${tone}`}>{percent(failed, total)}</span>;
}

export default function EndpointsPage() {
  const { t } = useSpeech();
  const { query } = useRoute();
  const readOnly = useReadOnly();
  return (
    <div className="page">
      <Head title={t("nav.endpoints")}>
        <button
          type="button"
          className="button primary"
          disabled={readOnly !== null}
          onClick={() => setQuery({ new: "endpoint" }, "push")}
        >
          <Icon name="plus" /> {t("first.endpoint_go")}
        </button>
      </Head>
      <Cards />
      <Tabs
        label={t("nav.endpoints")}
        tabs={[
          { id: "overview", title: t("endpoints.overview"), content: () => <Overview /> },
          { id: "requests", title: t("endpoints.requests"), content: () => <Requests /> },
          { id: "clients", title: t("endpoints.clients"), content: () => <Clients /> },
          { id: "tokens", title: t("endpoints.tokens"), content: () => <Tokens /> },
          { id: "models", title: t("endpoints.models"), content: () => <Models /> },
          { id: "playground", title: t("endpoints.playground"), content: () => <Playground /> },
        ]}
      />
      {query.get("new") === "endpoint" && (
        <EndpointDialog onClose={() => setQuery({ new: null })} />
      )}
    </div>
  );
}

function useOverview() {
  const asOf = useAsOf();
  return useQuery({
    queryKey: ["overview", asOf.as_of ?? "now"],
    queryFn: () => ask("GET /api/dashboard/overview", { query: asOf }),
    refetchInterval: asOf.as_of ? false : 5_000,
    placeholderData: (before) => before,
  });
}

function Cards() {
  const { t, code } = useSpeech();
  const stats = useBoard((board) => board.stats);
  const overview = useOverview();
  const flying = ((overview.data?.endpoints ?? []) as EndpointRow[]).reduce(
    (sum, row) => sum + row.in_flight,
    0,
  );
  if (!stats) return <Skeleton rows={1} height={70} />;
  const all = Object.values(stats.endpoints).reduce((sum, count) => sum + count, 0);
  const lost = stats.endpoints.offline + stats.endpoints.error;
  return (
    <dl className="stats">
      <Stat label={t("endpoints.total")}>{all}</Stat>
      <Stat
        label={code("endpoint", "online")}
        {...(lost > 0 ? { tone: "warn" as const, hint: t("endpoints.lost", { lost }) } : {})}
      >
        {stats.endpoints.online}
      </Stat>
      <Stat label={t("endpoints.requests")}>{short(stats.total)}</Stat>
      <Stat label={t("endpoints.success")}>{percent(stats.success, stats.total, 2) ?? "–"}</Stat>
      <Stat
        label={t("endpoints.tokens")}
        hint={t("endpoints.in_out", {
          input: short(stats.input_tokens),
          output: short(stats.output_tokens),
        })}
      >
        {short(stats.input_tokens + stats.output_tokens)}
      </Stat>
      <Stat
        label={t("endpoints.average")}
        {...(stats.average_response_of && stats.average_response_of !== "last_hour"
          ? { hint: code("average", stats.average_response_of) }
          : {})}
      >
        {stats.average_response_ms === null ? "–" : `${Math.round(stats.average_response_ms)} ms`}
      </Stat>
      <Stat label={t("endpoints.in_flight")}>{flying}</Stat>
    </dl>
  );
}

/** The hour that the desk told at first, with the minutes that it told since. */
function useHour(): readonly Minute[] {
  const told = useBoard((board) => board.minutes);
  const overview = useOverview();
  return useMemo(() => {
    const history = (overview.data?.history ?? []) as Minute[];
    const first = told[0]?.at ?? Number.POSITIVE_INFINITY;
    return [...history.filter((minute) => minute.at < first), ...told].slice(-60);
  }, [overview.data, told]);
}

function Overview() {
  const { t } = useSpeech();
  const hour = useHour();
  const endpoints = useBoard((board) => board.endpoints);
  const rows = useMemo(
    () => [...endpoints.values()].sort((a, b) => compare(a.name, b.name)),
    [endpoints],
  );
  const times = useMemo(() => hour.map((minute) => minute.at / 1_000_000), [hour]);
  const series = useMemo(
    () => [
      {
        label: t("endpoints.all"),
        colour: "--tide",
        kind: "bars" as const,
        values: hour.map((minute) => minute.success + minute.failed),
      },
      {
        label: t("endpoints.failed"),
        colour: "--coral",
        kind: "bars" as const,
        values: hour.map((minute) => minute.failed),
      },
    ],
    [t, hour],
  );
  const columns = useMemo<readonly Column<EndpointRow>[]>(
    () => [
      {
        id: "name",
        title: t("endpoints.name"),
        value: (row) => row.name,
        cell: (row) => <Link to={`/endpoints/${row.id}`}>{row.name}</Link>,
      },
      {
        id: "status",
        title: t("accounts.status"),
        value: (row) => row.status,
        cell: (row) => <EndpointStatus status={row.status} />,
      },
      {
        id: "kind",
        title: t("endpoints.kind"),
        value: (row) => row.kind,
        cell: (row) => row.kind ?? "–",
      },
      {
        id: "url",
        title: t("endpoints.address"),
        hidden: true,
        value: (row) => row.base_url,
        cell: (row) => <code>{row.base_url}</code>,
      },
      {
        id: "latency",
        title: t("endpoints.latency"),
        kind: "number",
        value: (row) => row.latency_ms,
        cell: (row) =>
          row.latency_ms === null ? (
            "–"
          ) : (
            <span className={row.status === "offline" ? "muted" : undefined}>
              {row.latency_ms} ms
            </span>
          ),
      },
      {
        id: "inference",
        title: t("endpoints.inference"),
        kind: "number",
        value: (row) => row.inference_latency_ms,
        cell: (row) => (row.inference_latency_ms === null ? "–" : `${row.inference_latency_ms} ms`),
      },
      {
        id: "tps",
        title: "TPS",
        kind: "number",
        value: (row) => row.tps?.value ?? null,
        cell: (row) => (row.tps ? Number(row.tps.value).toFixed(1) : "–"),
      },
      {
        id: "total",
        title: t("endpoints.requests"),
        kind: "number",
        value: (row) => row.total,
        cell: (row) => row.total.toLocaleString("en-US"),
      },
      {
        id: "errors",
        title: t("endpoints.error_rate"),
        kind: "number",
        value: (row) => (row.total === 0 ? null : row.failed / row.total),
        cell: (row) => <ErrorRate failed={row.failed} total={row.total} />,
      },
      {
        id: "tokens",
        title: t("endpoints.tokens"),
        kind: "number",
        value: (row) => row.input_tokens + row.output_tokens,
        cell: (row) => short(row.input_tokens + row.output_tokens),
      },
      {
        id: "models",
        title: t("endpoints.models"),
        kind: "number",
        value: (row) => row.models,
        cell: (row) => row.models,
      },
      {
        id: "seen",
        title: t("endpoints.seen"),
        value: (row) => row.last_seen,
        cell: (row) => <Ago at={row.last_seen} late={60_000} />,
      },
    ],
    [t],
  );
  const failed = hour.reduce((sum, minute) => sum + minute.failed, 0);
  const all = hour.reduce((sum, minute) => sum + minute.success + minute.failed, 0);
  return (
    <div className="page">
      <Card title={t("endpoints.hour")}>
        <Suspense fallback={<Skeleton rows={1} height={190} />}>
          <Chart
            times={times}
            series={series}
            height={190}
            label={t("endpoints.hour_label", { all, failed })}
          />
        </Suspense>
      </Card>
      <Table
        id="endpoints"
        tall
        label={t("nav.endpoints")}
        rows={rows}
        rowKey={(row) => row.id}
        columns={columns}
        text={(row) =>
          `${row.name} ${row.base_url} ${row.kind ?? ""} ${row.status} ${row.tags.join(" ")}`
        }
        source="/api/dashboard/endpoints"
        onOpen={(row) => go(hrefOf(`/endpoints/${row.id}`))}
        empty={
          <Empty icon="endpoints" title={t("endpoints.none")}>
            {t("first.endpoint_text")}
          </Empty>
        }
      />
    </div>
  );
}
