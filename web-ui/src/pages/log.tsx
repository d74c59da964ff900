import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import { addressOf, ask } from "../api/client";
import type { DeskEvent } from "../api/shapes";
import { useSpeech } from "../i18n";
import { useBoard, usePast } from "../live/hooks";
import { Link } from "../shell/link";
import { go, hrefOf, setQuery, useRoute } from "../shell/router";
import { Card, Head, Stat } from "../ui/bits";
import { Icon } from "../ui/icons";
import { Empty, Failed, Skeleton } from "../ui/states";
import { type Column, Table } from "../ui/table";
import { useToast } from "../ui/toast";
import { download } from "../util/files";
import { brief, clock, dateTime } from "../util/format";
import { eventTone, eventWords } from "../util/words";

const PAGE = 200;
const CLASSES = ["business", "volume", "telemetry"] as const;
/** More than this goes through `tidehelm export`. */
const EXPORT_MAX = 100_000;

type Filter = { stream?: string; kind?: string; class?: string; by?: string };

/** Every event, live or from any position on, by what stands in the address. */
export default function LogPage() {
  const speech = useSpeech();
  const { t, code } = speech;
  const { query } = useRoute();
  const past = usePast();
  const filter = useMemo<Filter>(() => {
    const found: Filter = {};
    for (const name of ["stream", "kind", "class", "by"] as const) {
      const value = query.get(name) ?? (name === "class" ? "business" : null);
      if (value && value !== "all") found[name] = value;
    }
    return found;
  }, [query]);
  const from = query.get("from");
  const until = past?.board?.position ?? null;
  const live = from === null && until === null;
  const [tail, setTail] = useState(true);
  const older = useInfiniteQuery({
    queryKey: ["log", filter, from, until],
    queryFn: async ({ pageParam }) => {
      if (from !== null) {
        const answer = await ask("GET /api/events", {
          query: { ...filter, from: pageParam ?? Number(from), limit: PAGE },
        });
        return { events: answer.events as DeskEvent[], next: answer.next ?? null };
      }
      const before = pageParam ?? until;
      const events = before === null ? await newest(filter) : await olderThan(filter, before);
      return {
        events,
        next:
          (events[0]?.position ?? 1) > 1 && events.length > 0
            ? (events[0]?.position ?? 1) - 1
            : null,
      };
    },
    initialPageParam: null as number | null,
    getNextPageParam: (last) => last.next,
    staleTime: Number.POSITIVE_INFINITY,
  });
  const news = useNews(filter, live && tail);
  const rows = useMemo(() => {
    const pages = older.data?.pages.map((page) => page.events) ?? [];
    if (from !== null) return pages.flat();
    const list = pages.flatMap((events) => [...events].reverse());
    const last = list[0]?.position ?? 0;
    return [...news.filter((event) => event.position > last), ...list];
  }, [older.data, news, from]);

  const columns = useMemo<readonly Column<DeskEvent>[]>(
    () => [
      {
        id: "position",
        title: t("travel.position"),
        kind: "number",
        value: (row) => row.position,
        cell: (row) => (
          <Link to={`/log/${row.position}`}>{row.position.toLocaleString("en-US")}</Link>
        ),
      },
      {
        id: "at",
        title: t("travel.time"),
        value: (row) => row.recorded_at,
        cell: (row) => <span title={dateTime(row.recorded_at)}>{clock(row.recorded_at)}</span>,
      },
      {
        id: "kind",
        title: t("log.kind"),
        value: (row) => row.kind,
        cell: (row) => (
          <span className={`kind kind-${eventTone(row)}`} title={row.kind}>
            {code("event", row.kind)}
          </span>
        ),
      },
      {
        id: "stream",
        title: t("log.stream"),
        value: (row) => row.stream,
        cell: (row) => row.stream,
      },
      {
        id: "words",
        title: t("log.what"),
        value: (row) => eventWords(row, speech),
        cell: (row) => eventWords(row, speech),
      },
      {
        id: "by",
        title: t("log.by"),
        value: (row) => brief(row.by),
        cell: (row) => brief(row.by),
        hidden: true,
      },
      {
        id: "version",
        title: t("log.version"),
        kind: "number",
        value: (row) => row.version,
        cell: (row) => row.version,
        hidden: true,
      },
    ],
    [t, code, speech],
  );

  return (
    <div className="page">
      <Head title={t("nav.log")} lead={t("log.lead")}>
        {live && (
          <button
            type="button"
            className="button"
            aria-pressed={tail}
            onClick={() => setTail(!tail)}
          >
            <Icon name={tail ? "bolt" : "wait"} size={16} />{" "}
            {t(tail ? "log.following" : "log.paused")}
          </button>
        )}
        <Export filter={filter} from={from} until={until} />
      </Head>
      <Proof />
      <Filters />
      {older.error ? (
        <Failed error={older.error} retry={() => void older.refetch()} />
      ) : older.isPending ? (
        <Skeleton rows={12} height={28} />
      ) : (
        <>
          <Table
            id="log"
            tall
            label={t("nav.log")}
            rows={rows}
            rowKey={(row) => String(row.position)}
            columns={columns}
            rowHeight={32}
            text={(row) =>
              `${row.position} ${row.kind} ${row.stream} ${eventWords(row, speech)} ${brief(row.by)} ${JSON.stringify(row.payload)}`
            }
            source={addressOf(
              "GET /api/events",
              {},
              { ...filter, ...(from ? { from } : { tail: PAGE }) },
            )}
            onOpen={(row) => go(hrefOf(`/log/${row.position}`))}
            empty={
              <Empty icon="log" title={t("log.none")}>
                {t("log.none_hint")}
              </Empty>
            }
          />
          {older.hasNextPage && (
            <button
              type="button"
              className="button"
              disabled={older.isFetchingNextPage}
              onClick={() => void older.fetchNextPage()}
            >
              {t(from === null ? "log.older" : "log.newer")}
            </button>
          )}
        </>
      )}
    </div>
  );
}

const newest = async (filter: Filter) =>
  (await ask("GET /api/events", { query: { ...filter, tail: PAGE } })).events as DeskEvent[];

/**
 * The last events up to a position. The desk reads forwards only, so steps back grow until there are enough.
 */
async function olderThan(filter: Filter, position: number): Promise<DeskEvent[]> {
  let found: DeskEvent[] = [];
  let end = position;
  for (let step = 2 * PAGE; end > 0 && found.length < PAGE; step *= 4) {
    const start = Math.max(0, end - step);
    const part: DeskEvent[] = [];
    let from: number | null = start;
    while (from !== null && from < end) {
      const answer: { events: unknown[]; next?: number | null } = await ask("GET /api/events", {
        query: { ...filter, from, limit: 1000 },
      });
      const events = (answer.events as DeskEvent[]).filter((event) => event.position <= end);
      part.push(...events);
      from = events.length < answer.events.length ? null : (answer.next ?? null);
    }
    found = [...part, ...found];
    end = start;
  }
  return found.slice(-PAGE);
}

/** Business events come by the page's own socket; other classes are asked for. */
function useNews(filter: Filter, on: boolean): readonly DeskEvent[] {
  const happenings = useBoard((board) => board.happenings);
  const pushed = filter.class === "business";
  const [held, setHeld] = useState<readonly DeskEvent[]>([]);
  const polled = useQuery({
    queryKey: ["log-news", filter],
    queryFn: () => newest(filter),
    enabled: on && !pushed,
    refetchInterval: 2_000,
  });
  useEffect(() => {
    if (!on) return;
    const matches = (event: DeskEvent) =>
      (!filter.stream ||
        event.stream === filter.stream ||
        event.stream.startsWith(`${filter.stream}/`)) &&
      kindMatches(filter.kind, event.kind) &&
      (!filter.by || brief(event.by) === filter.by);
    setHeld(pushed ? happenings.filter(matches) : [...(polled.data ?? [])].reverse());
  }, [on, pushed, happenings, polled.data, filter]);
  return held;
}

/** `a,b`, or all but some: `!a,b`. */
export function kindMatches(wanted: string | undefined, kind: string): boolean {
  if (!wanted) return true;
  const not = wanted.startsWith("!");
  return wanted.replace(/^!/, "").split(",").includes(kind) !== not;
}

function Filters() {
  const { t } = useSpeech();
  const { query } = useRoute();
  const activity = useQuery({
    queryKey: ["activity"],
    queryFn: () => ask("GET /api/activity"),
    staleTime: 60_000,
  });
  const accounts = useBoard((board) => board.accounts);
  const kinds = Object.keys(activity.data?.kinds ?? {}).sort();
  const set = (name: string, value: string) => setQuery({ [name]: value || null });
  return (
    <div className="filters">
      <label>
        <span>{t("log.class")}</span>
        <select
          value={query.get("class") ?? "business"}
          onChange={(event) => set("class", event.target.value)}
        >
          <option value="all">{t("copying.all")}</option>
          {CLASSES.map((one) => (
            <option key={one} value={one}>
              {t(`log.class.${one}`)}
            </option>
          ))}
        </select>
      </label>
      <label>
        <span>{t("log.kind")}</span>
        <input
          list="log-kinds"
          value={query.get("kind") ?? ""}
          placeholder="!command_answered"
          onChange={(event) => set("kind", event.target.value)}
        />
        <datalist id="log-kinds">
          {kinds.map((kind) => (
            <option key={kind} value={kind} />
          ))}
        </datalist>
      </label>
      <label>
        <span>{t("log.stream")}</span>
        <input
          list="log-streams"
          value={query.get("stream") ?? ""}
          placeholder="slave/IC_Markets_1"
          onChange={(event) => set("stream", event.target.value)}
        />
        <datalist id="log-streams">
          {["desk", "master", "slave", "endpoint", "alerts", "proxy", ...accounts.keys()].map(
            (stream) => (
              <option key={stream} value={stream} />
            ),
          )}
        </datalist>
      </label>
      <label>
        <span>{t("log.by")}</span>
        <input
          value={query.get("by") ?? ""}
          placeholder="user:anna"
          onChange={(event) => set("by", event.target.value)}
        />
      </label>
      <label>
        <span>{t("log.from")}</span>
        <input
          inputMode="numeric"
          value={query.get("from") ?? ""}
          placeholder="1"
          onChange={(event) => /^\d*$/.test(event.target.value) && set("from", event.target.value)}
        />
      </label>
    </div>
  );
}

/** The head of the chain, and the hash of all states: what `tidehelm verify` starts from. */
function Proof() {
  const { t } = useSpeech();
  const head = useQuery({
    queryKey: ["head"],
    queryFn: () => ask("GET /api/log/head"),
    refetchInterval: 5_000,
  });
  const [wanted, setWanted] = useState(false);
  const state = useQuery({
    queryKey: ["state", wanted],
    queryFn: () => ask("GET /api/state"),
    enabled: wanted,
    staleTime: Number.POSITIVE_INFINITY,
  });
  if (head.error) return <Failed error={head.error} />;
  return (
    <details className="proof">
      <summary>
        {t("log.head")}{" "}
        <code>
          {head.data
            ? `${head.data.position.toLocaleString("en-US")} · ${head.data.hash.slice(0, 16)}…`
            : "…"}
        </code>
      </summary>
      <dl className="stats">
        <Stat label={t("log.hash")}>
          <code className="hash">{head.data?.hash}</code>
        </Stat>
        <Stat label={t("log.committed")}>{head.data ? dateTime(head.data.committed_at) : "–"}</Stat>
        <Stat label={t("log.epoch")}>{head.data?.epoch}</Stat>
        <Stat
          label={t("log.state")}
          hint={
            state.data
              ? t("log.streams", { streams: state.data.streams, position: state.data.position })
              : undefined
          }
        >
          {state.data ? (
            <code className="hash">{state.data.hash}</code>
          ) : (
            <button
              type="button"
              className="button small"
              disabled={state.isFetching}
              onClick={() => setWanted(true)}
            >
              {t("log.compute")}
            </button>
          )}
        </Stat>
      </dl>
      <Card title={t("log.verify")}>
        <p className="hint">{t("log.verify_hint")}</p>
        <pre>
          <code>
            tidehelm verify{head.data ? ` --against ${head.data.position}:${head.data.hash}` : ""}
          </code>
        </pre>
      </Card>
    </details>
  );
}

/** Exactly what is filtered, as one JSON object a line. */
function Export(props: { filter: Filter; from: string | null; until: number | null }) {
  const { t } = useSpeech();
  const toast = useToast();
  const [count, setCount] = useState<number | null>(null);
  const run = async () => {
    setCount(0);
    try {
      const lines: string[] = [];
      const end = props.until ?? (await ask("GET /api/log/head")).position;
      let from: number | null = Number(props.from ?? 0);
      while (from !== null && from < end && lines.length < EXPORT_MAX) {
        const answer: { events: unknown[]; next?: number | null } = await ask("GET /api/events", {
          query: { ...props.filter, from, limit: 1000 },
        });
        for (const event of answer.events as DeskEvent[]) {
          if (event.position <= end) lines.push(JSON.stringify(event));
        }
        setCount(lines.length);
        from = answer.next ?? null;
      }
      if (lines.length >= EXPORT_MAX)
        toast.good(t("log.export_cut", { count: EXPORT_MAX.toLocaleString("en-US") }));
      download("events.jsonl", "application/jsonl", `${lines.join("\n")}\n`);
    } catch (error) {
      toast.bad(error);
    } finally {
      setCount(null);
    }
  };
  return (
    <button type="button" className="button" disabled={count !== null} onClick={() => void run()}>
      <Icon name="download" size={16} />{" "}
      {count === null
        ? t("log.export")
        : t("log.exporting", { count: count.toLocaleString("en-US") })}
    </button>
  );
}
