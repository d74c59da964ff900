import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { type FormEvent, lazy, Suspense, useEffect, useMemo, useRef, useState } from "react";
import { addressOf, ask } from "../api/client";
import type * as schema from "../api/schema";
import { useSpeech } from "../i18n";
import { useAsOf, useBoard } from "../live/hooks";
import { ErrorRate } from "../pages/endpoints";
import { Link } from "../shell/link";
import { setQuery, useRoute } from "../shell/router";
import { Ago, Badge, Card, Stat } from "../ui/bits";
import { Field, Select } from "../ui/field";
import { Empty, Failed, Skeleton } from "../ui/states";
import { type Column, Table } from "../ui/table";
import { clock, dateTime, short } from "../util/format";

const Chart = lazy(() => import("../ui/chart"));
const OUTCOMES = [
  "",
  "success",
  "failed",
  "upstream_error",
  "timeout",
  "client_gone",
  "refused",
] as const;

/** Single requests, newest first; the filter stands in the address and goes into the export. */
export function Requests() {
  const { t, code } = useSpeech();
  const { query } = useRoute();
  const endpoints = useBoard((board) => board.endpoints);
  const filter = {
    ...(query.get("endpoint") ? { endpoint: query.get("endpoint") } : {}),
    ...(query.get("outcome") ? { outcome: query.get("outcome") } : {}),
    ...(query.get("model") ? { model: query.get("model") } : {}),
    ...(query.get("client") ? { client: query.get("client") } : {}),
  };
  const requests = useInfiniteQuery({
    queryKey: ["requests", filter],
    queryFn: ({ pageParam }) =>
      ask("GET /api/dashboard/requests", {
        query: { ...filter, limit: 200, ...(pageParam ? { cursor: pageParam } : {}) } as never,
      }),
    initialPageParam: 0,
    getNextPageParam: (last) => last.next ?? undefined,
  });
  const rows = useMemo(
    () => requests.data?.pages.flatMap((page) => page.requests) ?? [],
    [requests.data],
  );
  const columns = useMemo<readonly Column<schema.RequestView>[]>(
    () => [
      {
        id: "at",
        title: t("request.at"),
        value: (row) => row.at,
        cell: (row) => <span title={dateTime(row.at)}>{clock(row.at)}</span>,
      },
      {
        id: "outcome",
        title: t("request.outcome"),
        value: (row) => row.outcome,
        cell: (row) => (
          <Badge
            tone={
              row.outcome === "success" ? "good" : row.outcome === "client_gone" ? "wait" : "bad"
            }
          >
            {code("outcome", row.outcome)}
          </Badge>
        ),
      },
      {
        id: "endpoint",
        title: t("request.endpoint"),
        value: (row) => row.endpoint_name ?? null,
        cell: (row) =>
          row.endpoint ? (
            <Link to={`/endpoints/${row.endpoint}`}>{row.endpoint_name ?? row.endpoint}</Link>
          ) : (
            "–"
          ),
      },
      {
        id: "model",
        title: t("request.model"),
        value: (row) => row.model,
        cell: (row) => row.model,
      },
      { id: "api", title: "API", value: (row) => row.api, cell: (row) => row.api, hidden: true },
      {
        id: "client",
        title: t("request.client"),
        value: (row) => row.client ?? null,
        cell: (row) => row.client ?? "–",
      },
      {
        id: "duration",
        title: t("request.duration"),
        kind: "number",
        value: (row) => row.duration_ms,
        cell: (row) => `${Math.round(row.duration_ms)} ms`,
      },
      {
        id: "first",
        title: t("request.first"),
        kind: "number",
        value: (row) => row.first_byte_ms ?? null,
        cell: (row) => (row.first_byte_ms == null ? "–" : `${Math.round(row.first_byte_ms)} ms`),
      },
      {
        id: "in",
        title: t("request.input"),
        kind: "number",
        value: (row) => row.input_tokens,
        cell: (row) => row.input_tokens,
      },
      {
        id: "out",
        title: t("request.output"),
        kind: "number",
        value: (row) => row.output_tokens,
        cell: (row) => row.output_tokens,
      },
      {
        id: "status",
        title: "HTTP",
        kind: "number",
        value: (row) => row.http_status ?? null,
        cell: (row) => row.http_status ?? "–",
      },
    ],
    [t, code],
  );
  if (requests.error)
    return <Failed error={requests.error} retry={() => void requests.refetch()} />;
  if (requests.isPending) return <Skeleton rows={8} />;
  return (
    <>
      <Table
        id="requests"
        tall
        label={t("endpoints.requests")}
        rows={rows}
        rowKey={(row) => row.request}
        columns={columns}
        rowHeight={36}
        text={(row) =>
          `${row.model} ${row.endpoint_name ?? ""} ${row.client ?? ""} ${row.outcome} ${row.request}`
        }
        source={addressOf("GET /api/dashboard/requests", {}, filter)}
        tools={
          <>
            <select
              aria-label={t("request.endpoint")}
              value={query.get("endpoint") ?? ""}
              onChange={(event) => setQuery({ endpoint: event.target.value || null })}
            >
              <option value="">{t("request.all_endpoints")}</option>
              {[...endpoints.values()].map((row) => (
                <option key={row.id} value={row.id}>
                  {row.name}
                </option>
              ))}
            </select>
            <select
              aria-label={t("request.outcome")}
              value={query.get("outcome") ?? ""}
              onChange={(event) => setQuery({ outcome: event.target.value || null })}
            >
              {OUTCOMES.map((one) => (
                <option key={one} value={one}>
                  {one === "" ? t("request.all_outcomes") : code("outcome", one)}
                </option>
              ))}
            </select>
            <button type="button" className="button small" onClick={() => void requests.refetch()}>
              {t("request.refresh")}
            </button>
            <a
              className="button small"
              href={addressOf(
                "GET /api/dashboard/requests/export",
                {},
                { ...filter, format: "csv" },
              )}
              download
            >
              {t("request.export")}
            </a>
          </>
        }
        empty={<Empty icon="endpoints" title={t("request.none")} />}
      />
      {requests.hasNextPage && (
        <button
          type="button"
          className="button"
          disabled={requests.isFetchingNextPage}
          onClick={() => void requests.fetchNextPage()}
        >
          {t("request.more")}
        </button>
      )}
    </>
  );
}

export function Clients() {
  const { t } = useSpeech();
  const clients = useQuery({
    queryKey: ["clients"],
    queryFn: () => ask("GET /api/dashboard/clients", { query: { limit: "1000" } }),
    refetchInterval: 10_000,
  });
  const heat = useQuery({
    queryKey: ["heat"],
    queryFn: () => ask("GET /api/dashboard/clients/heatmap"),
  });
  const columns = useMemo<readonly Column<schema.ClientView>[]>(
    () => [
      {
        id: "client",
        title: t("request.client"),
        value: (row) => row.client,
        cell: (row) => (
          <Link to="/endpoints" query={{ tab: "requests", client: row.client }}>
            {row.client}
          </Link>
        ),
      },
      {
        id: "total",
        title: t("endpoints.requests"),
        kind: "number",
        value: (row) => row.counts.total,
        cell: (row) => short(row.counts.total),
      },
      {
        id: "errors",
        title: t("endpoints.error_rate"),
        kind: "number",
        value: (row) => row.counts.failed / Math.max(1, row.counts.total),
        cell: (row) => <ErrorRate failed={row.counts.failed} total={row.counts.total} />,
      },
      {
        id: "in",
        title: t("request.input"),
        kind: "number",
        value: (row) => row.counts.input_tokens,
        cell: (row) => short(row.counts.input_tokens),
      },
      {
        id: "out",
        title: t("request.output"),
        kind: "number",
        value: (row) => row.counts.output_tokens,
        cell: (row) => short(row.counts.output_tokens),
      },
      {
        id: "seen",
        title: t("endpoints.seen"),
        value: (row) => row.last_seen,
        cell: (row) => <Ago at={row.last_seen} />,
      },
    ],
    [t],
  );
  if (clients.error) return <Failed error={clients.error} retry={() => void clients.refetch()} />;
  if (!clients.data) return <Skeleton rows={6} />;
  return (
    <div className="page">
      <Table
        id="clients"
        label={t("endpoints.clients")}
        rows={clients.data.clients}
        rowKey={(row) => row.client}
        columns={columns}
        text={(row) => row.client}
        source="/api/dashboard/clients"
        empty={<Empty title={t("request.none")} />}
      />
      {heat.data && <Heat week={heat.data.week} />}
    </div>
  );
}

/** Requests by the hour of the week, in UTC. */
function Heat({ week }: { week: number[][] }) {
  const { t, language } = useSpeech();
  const most = Math.max(1, ...week.flat());
  const day = (index: number) =>
    new Intl.DateTimeFormat(language, { weekday: "short", timeZone: "UTC" }).format(
      new Date(Date.UTC(2024, 0, 1 + index)),
    );
  return (
    <Card title={t("endpoints.heat")}>
      <div className="scroll" tabIndex={0} role="region" aria-label={t("endpoints.heat")}>
        <table className="heat">
          <thead>
            <tr>
              <th scope="col">
                <span className="hidden">{t("endpoints.day")}</span>
              </th>
              {Array.from({ length: 24 }, (_, hour) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: an hour is its number
                <th key={hour} scope="col">
                  {hour}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {week.map((hours, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: a day is its number
              <tr key={index}>
                <th scope="row">{day(index)}</th>
                {hours.map((count, hour) => (
                  <td
                    // biome-ignore lint/suspicious/noArrayIndexKey: an hour is its number
                    key={hour}
                    title={`${day(index)} ${hour}:00 · ${count}`}
                    style={
                      { "--heat": `${Math.round((100 * count) / most)}%` } as React.CSSProperties
                    }
                  >
                    {count > 0 ? short(count) : ""}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}

export function Tokens() {
  const { t } = useSpeech();
  const asOf = useAsOf();
  const { query } = useRoute();
  const days = Number(query.get("days") ?? 30);
  const daily = useQuery({
    queryKey: ["daily", days, asOf.as_of ?? "now"],
    queryFn: () =>
      ask("GET /api/dashboard/stats/tokens/daily", { query: { days: String(days), ...asOf } }),
  });
  const all = useQuery({
    queryKey: ["tokens", asOf.as_of ?? "now"],
    queryFn: () => ask("GET /api/dashboard/stats/tokens", { query: asOf }),
  });
  const rows = (daily.data?.days ?? []) as unknown as { day: string; sums: schema.Sums }[];
  const times = useMemo(() => rows.map((row) => Date.parse(`${row.day}T00:00:00Z`) / 1000), [rows]);
  const series = useMemo(
    () => [
      {
        label: t("request.output"),
        colour: "--tide",
        kind: "bars" as const,
        values: rows.map((row) => row.sums.output_tokens),
      },
      {
        label: t("request.input"),
        colour: "--brass",
        kind: "line" as const,
        values: rows.map((row) => row.sums.input_tokens),
      },
    ],
    [t, rows],
  );
  const known = (
    all.data?.tokens as unknown as
      | { known?: Record<string, { requests: number; input: number; output: number }> }
      | undefined
  )?.known;
  if (daily.error) return <Failed error={daily.error} retry={() => void daily.refetch()} />;
  if (!daily.data) return <Skeleton rows={4} />;
  return (
    <div className="page">
      <Card title={t("endpoints.tokens_day")} tools={<Days days={days} />}>
        <Suspense fallback={<Skeleton rows={1} height={240} />}>
          <Chart
            times={times}
            series={series}
            height={240}
            label={t("endpoints.tokens_label", { days })}
          />
        </Suspense>
      </Card>
      {known && (
        <Card title={t("endpoints.known")}>
          <table className="plain">
            <thead>
              <tr>
                <th scope="col">{t("endpoints.known")}</th>
                <th scope="col" className="number">
                  {t("endpoints.requests")}
                </th>
                <th scope="col" className="number">
                  {t("request.input")}
                </th>
                <th scope="col" className="number">
                  {t("request.output")}
                </th>
              </tr>
            </thead>
            <tbody>
              {Object.entries(known).map(([how, sums]) => (
                <tr key={how}>
                  <th scope="row">
                    {how === "reported" ||
                    how === "counted" ||
                    how === "estimated" ||
                    how === "unknown"
                      ? t(`tokens.${how}`)
                      : how}
                  </th>
                  <td className="number">{sums.requests.toLocaleString("en-US")}</td>
                  <td className="number">{sums.input.toLocaleString("en-US")}</td>
                  <td className="number">{sums.output.toLocaleString("en-US")}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Card>
      )}
    </div>
  );
}

/** How many days a chart shows; in the address. */
export function Days({ days }: { days: number }) {
  const { t } = useSpeech();
  return (
    <fieldset className="segments">
      <legend className="hidden">{t("endpoints.range")}</legend>
      {[7, 30, 90].map((one) => (
        <button
          key={one}
          type="button"
          aria-pressed={days === one}
          onClick={() => setQuery({ days: one === 30 ? null : String(one) })}
        >
          {t("endpoints.days", { days: one })}
        </button>
      ))}
    </fieldset>
  );
}

export function Models() {
  const { t } = useSpeech();
  const asOf = useAsOf();
  const endpoints = useBoard((board) => board.endpoints);
  const models = useQuery({
    queryKey: ["models", asOf.as_of ?? "now"],
    queryFn: () => ask("GET /api/dashboard/model-stats", { query: { days: "30", ...asOf } }),
  });
  const columns = useMemo<readonly Column<schema.Model>[]>(
    () => [
      {
        id: "model",
        title: t("request.model"),
        value: (row) => row.model ?? null,
        cell: (row) => row.model ?? "–",
      },
      {
        id: "total",
        title: t("endpoints.requests"),
        kind: "number",
        value: (row) => row.sums.total,
        cell: (row) => short(row.sums.total),
      },
      {
        id: "errors",
        title: t("endpoints.error_rate"),
        kind: "number",
        value: (row) => row.sums.failed / Math.max(1, row.sums.total),
        cell: (row) => <ErrorRate failed={row.sums.failed} total={row.sums.total} />,
      },
      {
        id: "tps",
        title: "TPS",
        kind: "number",
        value: (row) => row.sums.tps ?? null,
        cell: (row) => row.sums.tps?.toFixed(1) ?? "–",
      },
      {
        id: "average",
        title: t("endpoints.average"),
        kind: "number",
        value: (row) => row.sums.average_response_ms ?? null,
        cell: (row) =>
          row.sums.average_response_ms == null
            ? "–"
            : `${Math.round(row.sums.average_response_ms)} ms`,
      },
      {
        id: "out",
        title: t("request.output"),
        kind: "number",
        value: (row) => row.sums.output_tokens,
        cell: (row) => short(row.sums.output_tokens),
      },
      {
        id: "where",
        title: t("nav.endpoints"),
        value: (row) => Object.keys(row.endpoints).length,
        cell: (row) =>
          Object.entries(row.endpoints)
            .map(([id, count]) => `${endpoints.get(id)?.name ?? id} ${short(count)}`)
            .join(", "),
      },
    ],
    [t, endpoints],
  );
  if (models.error) return <Failed error={models.error} retry={() => void models.refetch()} />;
  if (!models.data) return <Skeleton rows={5} />;
  return (
    <Table
      id="models"
      label={t("endpoints.models")}
      rows={models.data.models as unknown as schema.Model[]}
      rowKey={(row) => row.model ?? ""}
      columns={columns}
      text={(row) => row.model ?? ""}
      source="/api/dashboard/model-stats"
      empty={<Empty title={t("request.none")} />}
    />
  );
}

/** A conversation through the desk's own proxy, as any client would have it. */
export function Playground() {
  const { t } = useSpeech();
  const speeds = useBoard((board) => board.speeds);
  const models = useMemo(
    () =>
      [
        ...new Set(
          [...speeds.values()].flatMap((one) => one.models.map((model) => model.model ?? "")),
        ),
      ]
        .filter(Boolean)
        .sort(),
    [speeds],
  );
  const [model, setModel] = useState("");
  const [key, setKey] = useState("");
  const [text, setText] = useState("");
  const [answer, setAnswer] = useState("");
  const [facts, setFacts] = useState<{ first: number; all: number; pieces: number } | null>(null);
  const [error, setError] = useState<string | null>(null);
  const life = useRef<AbortController | null>(null);
  const [busy, setBusy] = useState(false);
  const chosen = model || models[0] || "";
  useEffect(() => () => life.current?.abort(), []);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    life.current?.abort();
    life.current = new AbortController();
    setAnswer("");
    setError(null);
    setFacts(null);
    setBusy(true);
    const began = performance.now();
    try {
      const response = await fetch("/v1/chat/completions", {
        method: "POST",
        headers: {
          "Content-Type": "application/json",
          ...(key ? { Authorization: `Bearer ${key.trim()}` } : {}),
        },
        body: JSON.stringify({
          model: chosen,
          stream: true,
          messages: [{ role: "user", content: text }],
        }),
        signal: life.current.signal,
      });
      if (!response.ok || !response.body) {
        setError(`${response.status} ${(await response.text()).slice(0, 600)}`);
        return;
      }
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      let pieces = 0;
      let first = 0;
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        rest += value;
        const lines = rest.split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) {
          const piece = pieceOf(line);
          if (!piece) continue;
          if (pieces === 0) first = performance.now() - began;
          pieces += 1;
          setAnswer((now) => now + piece);
        }
      }
      setFacts({ first, all: performance.now() - began, pieces });
    } catch (failure) {
      if (!life.current?.signal.aborted) setError(String(failure));
    } finally {
      setBusy(false);
    }
  };
  return (
    <div className="columns">
      <Card title={t("endpoints.playground")}>
        <form className="stack" onSubmit={(event) => void submit(event)}>
          {models.length > 0 ? (
            <Select
              label={t("request.model")}
              value={chosen}
              options={models.map((one) => [one, one])}
              onChange={(event) => setModel(event.target.value)}
            />
          ) : (
            <Field
              label={t("request.model")}
              value={model}
              onChange={(event) => setModel(event.target.value)}
            />
          )}
          <Field
            label={t("playground.key")}
            hint={t("playground.key_hint")}
            type="password"
            autoComplete="off"
            value={key}
            onChange={(event) => setKey(event.target.value)}
          />
          <div className="field">
            <label htmlFor="playground-text">{t("playground.text")}</label>
            <textarea
              id="playground-text"
              rows={5}
              value={text}
              required
              onChange={(event) => setText(event.target.value)}
            />
          </div>
          <div className="stop-acts">
            {busy && (
              <button type="button" className="button" onClick={() => life.current?.abort()}>
                {t("playground.stop")}
              </button>
            )}
            <button type="submit" className="button primary" disabled={busy || !chosen}>
              {t("playground.send")}
            </button>
          </div>
        </form>
      </Card>
      <Card title={t("playground.answer")}>
        {error && (
          <p className="form-error" role="alert">
            {error}
          </p>
        )}
        <pre className="answer" aria-live="polite">
          {answer || (busy ? "…" : "")}
        </pre>
        {facts && (
          <dl className="stats">
            <Stat label={t("request.first")}>{Math.round(facts.first)} ms</Stat>
            <Stat label={t("request.duration")}>{Math.round(facts.all)} ms</Stat>
            <Stat label={t("playground.speed")}>
              {facts.all > facts.first
                ? ((1000 * facts.pieces) / (facts.all - facts.first)).toFixed(1)
                : "–"}
            </Stat>
          </dl>
        )}
      </Card>
    </div>
  );
}

/** The text in one line of a stream of chat completions. */
function pieceOf(line: string): string | null {
  if (!line.startsWith("data:")) return null;
  const data = line.slice(5).trim();
  if (data === "" || data === "[DONE]") return null;
  try {
    const parsed = JSON.parse(data) as { choices?: { delta?: { content?: string } }[] };
    return parsed.choices?.[0]?.delta?.content ?? null;
  } catch {
    return null;
  }
}
