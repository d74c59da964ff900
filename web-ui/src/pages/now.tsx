import { useQuery, useQueryClient } from "@tanstack/react-query";
import { memo, useMemo, useState } from "react";
import { ask } from "../api/client";
import type { Account, DeskEvent } from "../api/shapes";
import { useSpeech } from "../i18n";
import { bySeverity, type Fleet, fleetOf, type Matter, mattersOf } from "../live/attention";
import { accountKey } from "../live/board";
import { useBoard, usePast, useReadOnly } from "../live/hooks";
import { lotsOpen, useAlerts, useHeld, useLatencies } from "../live/queries";
import { Link } from "../shell/link";
import { go, hrefOf } from "../shell/router";
import { Ago, Card, Gauge, Money, StatusBadge } from "../ui/bits";
import { Icon } from "../ui/icons";
import { Empty, Failed, Skeleton } from "../ui/states";
import { type Column, compare, Table } from "../ui/table";
import { useToast } from "../ui/toast";
import { clock, minus, money, span } from "../util/format";
import { eventTone, eventWords } from "../util/words";
import { FirstSteps } from "./first_steps";

/** The 3 a.m. screen: what is, what needs somebody, and nothing to scroll for. */
export function NowPage() {
  const accounts = useBoard((board) => board.accounts);
  const endpoints = useBoard((board) => board.endpoints);
  const past = usePast();
  if (accounts.size === 0 && endpoints.size === 0 && !past) return <FirstSteps />;
  return (
    <div className="now">
      <StatusStrip />
      <NeedsAttention />
      <Exposure />
      <Limits />
      <FleetRows />
      <LastEvents />
    </div>
  );
}

function useFleet(): Fleet {
  const accounts = useBoard((board) => board.accounts);
  return useMemo(() => fleetOf(accounts), [accounts]);
}

/** The desk in one sentence. */
function StatusStrip() {
  const { t, n, language } = useSpeech();
  const fleet = useFleet();
  const desk = useBoard((board) => board.desk);
  const stats = useBoard((board) => board.stats);
  const parts: string[] = [];
  if (desk?.stopped) parts.push(t("now.stopped"));
  if (fleet.slaves > 0) {
    const all = n("count.slave", fleet.slaves);
    if (fleet.blocked > 0) parts.push(t("now.blocked", { blocked: fleet.blocked, all }));
    if (fleet.standby > 0) parts.push(t("now.standby", { standby: fleet.standby, all }));
    if (fleet.blocked + fleet.standby === 0) {
      parts.push(
        fleet.receiving === fleet.slaves
          ? t("now.all_receiving", { all })
          : t("now.receiving", { receiving: fleet.receiving, all }),
      );
    }
    if (fleet.off > 0) parts.push(t("now.off", { off: fleet.off }));
  }
  if (fleet.hit > 0) parts.push(n("now.hit", fleet.hit));
  if (fleet.near > 0) parts.push(n("now.near", fleet.near));
  const lost = (stats?.endpoints.offline ?? 0) + (stats?.endpoints.error ?? 0);
  if (lost > 0) parts.push(n("now.endpoints_lost", lost));
  const bad = desk?.stopped != null || fleet.hit > 0;
  const tone = bad ? "bad" : fleet.blocked + fleet.near + lost > 0 ? "warn" : "good";
  const said =
    parts.length === 0 ? t("now.nothing_yet") : parts.join(language === "ja" ? "、" : ", ");
  const sentence = said.charAt(0).toUpperCase() + said.slice(1);
  return (
    <section className={`strip strip-${tone}`} aria-label={t("now.status")}>
      <Icon name={tone === "good" ? "check" : tone === "warn" ? "warn" : "stop"} size={26} />
      <h1>{sentence}</h1>
      <dl className="strip-counts">
        <div>
          <dt>{t("now.masters_ready")}</dt>
          <dd>
            {fleet.mastersReady}
            <span className="unit">/{fleet.masters}</span>
          </dd>
        </div>
        <div>
          <dt>{t("now.slaves_receiving")}</dt>
          <dd>
            {fleet.receiving}
            <span className="unit">/{fleet.slaves}</span>
          </dd>
        </div>
      </dl>
    </section>
  );
}

function NeedsAttention() {
  const { t, n } = useSpeech();
  const accounts = useBoard((board) => board.accounts);
  const endpoints = useBoard((board) => board.endpoints);
  const desk = useBoard((board) => board.desk);
  const board = useBoard((one) => one);
  const alerts = useAlerts();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the parts that matter, not every event
  const matters = useMemo(
    () => mattersOf(board, alerts.data ?? []),
    [accounts, endpoints, desk, alerts.data],
  );
  const [all, setAll] = useState(false);
  const shown = all ? matters : matters.slice(0, 30);
  return (
    <Card
      id="attention"
      title={t("now.attention")}
      tools={matters.length > 0 && <span className="count count-warn">{matters.length}</span>}
    >
      {matters.length === 0 ? (
        <div className="calm">
          <Icon name="check" size={26} />
          <p>{t("now.calm")}</p>
          <p className="hint">{t("now.calm_hint")}</p>
        </div>
      ) : (
        <ul className="matters" tabIndex={0} aria-label={t("now.attention")}>
          {shown.map((matter) => (
            <MatterRow key={matter.key} matter={matter} />
          ))}
          {matters.length > shown.length && (
            <li>
              <button type="button" className="button quiet" onClick={() => setAll(true)}>
                {n("now.more", matters.length - shown.length)}
              </button>
            </li>
          )}
        </ul>
      )}
      {alerts.error && <Failed error={alerts.error} retry={() => void alerts.refetch()} />}
    </Card>
  );
}

function MatterRow({ matter }: { matter: Matter }) {
  const { t, n, code, known, language } = useSpeech();
  const { account, alert, endpoint } = matter;
  const where = account
    ? `/accounts/${account.role}/${account.account}`
    : endpoint
      ? `/endpoints/${endpoint.id}`
      : alert
        ? whereOf(alert.subject)
        : null;
  const remedy =
    matter.kind === "endpoint"
      ? known("remedy", matter.codes[0] ?? "")
      : bySeverity(matter.codes)
          .map((one) => known("remedy", one))
          .find(Boolean);
  const evidence = endpoint?.last_error?.detail ?? alert?.detail ?? null;
  return (
    <li className={`matter matter-${matter.severity}`} data-step tabIndex={-1}>
      <span className="matter-mark" title={code("severity", matter.severity)}>
        <Icon name={matter.severity === "info" ? "bell" : "warn"} size={18} />
        <span className="hidden">{code("severity", matter.severity)}</span>
      </span>
      <div className="matter-body">
        <p className="matter-head">
          {where ? <Link to={where}>{nameOf(matter)}</Link> : <strong>{t("lock.locked")}</strong>}
          {account && <span className="muted">{t(`role.${account.role}`)}</span>}
          {matter.since !== null && (
            <span className="muted">
              {t("now.since")} <Ago at={matter.since} />
            </span>
          )}
          {account && matter.atRisk !== "0" && (
            <span className="muted">
              {t("now.at_risk")}{" "}
              <Money amount={matter.atRisk} currency={account.currency ?? null} />
            </span>
          )}
        </p>
        <p className="matter-what">
          {alert
            ? language === "en"
              ? alert.title
              : (known("condition", alert.condition) ?? alert.title)
            : bySeverity(matter.codes)
                .map((one) =>
                  code(
                    matter.kind === "endpoint" ? "endpoint" : "warning",
                    one.replace(/^endpoint_/, ""),
                  ),
                )
                .join(" · ")}
          {matter.waiting > 0 && ` · ${n("now.waiting", matter.waiting)}`}
        </p>
        {evidence && <p className="hint matter-evidence">{evidence}</p>}
        {remedy && <p className="matter-remedy">{remedy}</p>}
      </div>
      <MatterAct matter={matter} />
    </li>
  );
}

/** `slave/A_1` is A_1 to a person. */
const nameOf = (matter: Matter) =>
  matter.alert ? matter.subject.replace(/^(master|slave|endpoint)\//, "") : matter.subject;

/** The page of an alert's subject: `slave/A_1`, `endpoint/ID`. */
function whereOf(subject: string): string | null {
  const [kind, id] = subject.split(/\/(.*)/s, 2);
  if (!id) return null;
  if (kind === "master" || kind === "slave") return `/accounts/${kind}/${encodeURIComponent(id)}`;
  return kind === "endpoint" ? `/endpoints/${encodeURIComponent(id)}` : null;
}

function MatterAct({ matter }: { matter: Matter }) {
  const { t } = useSpeech();
  const readOnly = useReadOnly();
  const toast = useToast();
  const client = useQueryClient();
  const [busy, setBusy] = useState(false);
  const run = async (act: () => Promise<unknown>) => {
    setBusy(true);
    try {
      await act();
      await client.invalidateQueries({ queryKey: ["alerts"] });
    } catch (error) {
      toast.bad(error);
    } finally {
      setBusy(false);
    }
  };
  const disabled = busy || readOnly !== null;
  if (matter.alert) {
    const id = matter.alert.id;
    return (
      <button
        type="button"
        className="button small"
        disabled={disabled}
        onClick={() => void run(() => ask("POST /api/alerts/{id}/ack", { path: { id }, body: {} }))}
      >
        {t("now.acknowledge")}
      </button>
    );
  }
  if (matter.endpoint) {
    const id = matter.endpoint.id;
    return (
      <button
        type="button"
        className="button small"
        disabled={disabled}
        onClick={() => void run(() => ask("POST /api/endpoints/{id}/test", { path: { id } }))}
      >
        {t("endpoint.test")}
      </button>
    );
  }
  if (matter.account) {
    const { role, account } = matter.account;
    return (
      <button
        type="button"
        className="button small"
        onClick={() => go(hrefOf(`/accounts/${role}/${account}`))}
      >
        {t("now.look")}
      </button>
    );
  }
  return null;
}

/** What slaves hold in copies, by symbol. */
function Exposure() {
  const { t } = useSpeech();
  const held = useHeld();
  const rows = useMemo(() => {
    const found = new Map<string, { buy: number; sell: number; copies: number }>();
    for (const { copy } of held.data?.copies ?? []) {
      const lots = lotsOpen(copy);
      if (lots <= 0) continue;
      const row = found.get(copy.symbol) ?? { buy: 0, sell: 0, copies: 0 };
      if (copy.side === "buy") row.buy += lots;
      else row.sell += lots;
      row.copies += 1;
      found.set(copy.symbol, row);
    }
    return [...found].sort(([, a], [, b]) => b.buy + b.sell - a.buy - a.sell);
  }, [held.data]);
  const most = Math.max(0, ...rows.map(([, row]) => Math.max(row.buy, row.sell)));
  return (
    <Card
      id="exposure"
      title={t("now.exposure")}
      tools={
        held.data && (
          <span className="hint">
            {t("now.read_of", { read: held.data.read, of: held.data.of })}
          </span>
        )
      }
    >
      {held.isLoading ? (
        <Skeleton rows={4} height={22} />
      ) : rows.length === 0 ? (
        <p className="nothing">{t("now.no_exposure")}</p>
      ) : (
        <div className="scroll" tabIndex={0} role="region" aria-label={t("now.exposure")}>
          <table className="plain">
            <thead>
              <tr>
                <th scope="col">{t("trade.symbol")}</th>
                <th scope="col" className="number">
                  {t("side.sell")}
                </th>
                <th scope="col" aria-hidden="true" />
                <th scope="col" className="number">
                  {t("side.buy")}
                </th>
                <th scope="col" className="number">
                  {t("now.net")}
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.map(([symbol, row]) => (
                <tr key={symbol}>
                  <th scope="row">{symbol}</th>
                  <td className="number">{lots(row.sell)}</td>
                  <td className="both" aria-hidden="true">
                    <span className="both-sell" style={{ width: `${(50 * row.sell) / most}%` }} />
                    <span className="both-buy" style={{ width: `${(50 * row.buy) / most}%` }} />
                  </td>
                  <td className="number">{lots(row.buy)}</td>
                  <td className="number">
                    <strong>{signed(row.buy - row.sell)}</strong>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Card>
  );
}

const lots = (value: number) => (value === 0 ? "–" : value.toFixed(2));
const signed = (value: number) =>
  `${value > 0.004 ? "+" : value < -0.004 ? "−" : ""}${Math.abs(value).toFixed(2)}`;

/** How far each limit is from being hit, the nearest first. */
function Limits() {
  const { t, code } = useSpeech();
  const held = useHeld();
  const rows = useMemo(
    () =>
      [...(held.data?.limits ?? [])].sort(
        (a, b) => Number(b.limit.percent ?? 0) - Number(a.limit.percent ?? 0),
      ),
    [held.data],
  );
  return (
    <Card id="limits" title={t("now.limits")}>
      {held.isLoading ? (
        <Skeleton rows={3} height={22} />
      ) : rows.length === 0 ? (
        <Empty title={t("now.no_limits")}>{t("now.no_limits_hint")}</Empty>
      ) : (
        <ul className="limits scroll" tabIndex={0} aria-label={t("now.limits")}>
          {rows.slice(0, 40).map(({ account, role, limit }) => {
            const percent = Number(limit.percent ?? 0);
            return (
              <li key={`${role}/${account}/${limit.limit}`}>
                <Link to={`/accounts/${role}/${account}`} query={{ tab: "protection" }}>
                  {account}
                </Link>
                <span className="muted">{code("limit", limit.limit)}</span>
                <Gauge percent={percent} label={`${account} ${code("limit", limit.limit)}`} />
                <span className="figure">
                  {percent >= 1000 ? "> 999" : percent.toFixed(percent < 10 ? 1 : 0)} %
                </span>
                <span className="hint figure">
                  {rounded(limit.used)} / {rounded(limit.allowed)}
                </span>
              </li>
            );
          })}
        </ul>
      )}
    </Card>
  );
}

const rounded = (decimal: string | null) =>
  decimal === null
    ? "–"
    : money(
        Number(decimal)
          .toFixed(2)
          .replace(/\.?0+$/, ""),
        0,
      );

const NO_BEATS: readonly number[] = [];

/** The last sixty heartbeats: high and grey as they should be, low where one came late. */
const Beats = memo(function Beats({
  gaps,
  connection,
}: {
  gaps: readonly number[];
  connection: string;
}) {
  const { t } = useSpeech();
  const usual = [...gaps].sort((a, b) => a - b)[Math.floor(gaps.length / 2)] ?? 1000;
  const late = gaps.filter((gap) => gap > 2.5 * usual).length;
  const label =
    gaps.length === 0
      ? t("beats.none")
      : t("beats.said", { count: gaps.length, late, usual: span(usual * 1000) });
  return (
    <svg className={`beats beats-${connection}`} viewBox="0 0 120 18" role="img" aria-label={label}>
      <title>{label}</title>
      {gaps.map((gap, index) => {
        const high = Math.max(3, Math.min(17, (16 * usual) / Math.max(gap, usual / 2)));
        const x = (60 - gaps.length + index) * 2;
        return (
          <rect
            // biome-ignore lint/suspicious/noArrayIndexKey: a bar is its place
            key={index}
            x={x}
            y={18 - high}
            width="1.4"
            height={high}
            className={gap > 2.5 * usual ? "beat-late" : "beat"}
          />
        );
      })}
    </svg>
  );
});

function AccountBeats({ account }: { account: Account }) {
  const gaps = useBoard((board) => board.beats.get(accountKey(account)) ?? NO_BEATS);
  return <Beats gaps={gaps} connection={account.connection} />;
}

function FleetRows() {
  const { t } = useSpeech();
  const accounts = useBoard((board) => board.accounts);
  const latencies = useLatencies();
  const rows = useMemo(
    () =>
      [...accounts.values()].sort(
        (a, b) => compare(a.role, b.role) || compare(a.account, b.account),
      ),
    [accounts],
  );
  const worst = useMemo(() => {
    const found = new Map<string, number>();
    for (const [link, latency] of latencies.data ?? []) {
      const slave = link.slice(link.indexOf("/") + 1);
      if (latency.p99 !== null) found.set(slave, Math.max(found.get(slave) ?? 0, latency.p99));
    }
    return found;
  }, [latencies.data]);
  const columns = useMemo<readonly Column<Account>[]>(
    () => [
      {
        id: "account",
        title: t("accounts.account"),
        value: (row) => row.account,
        cell: (row) => (
          <span className="who">
            <Link to={`/accounts/${row.role}/${row.account}`}>{row.account}</Link>
            <span className="hint">{t(`role.${row.role}`)}</span>
          </span>
        ),
      },
      {
        id: "status",
        title: t("accounts.status"),
        value: (row) => (row.enabled_flag ? row.runtime_status : -1),
        cell: (row) => (
          <StatusBadge role={row.role} enabled={row.enabled_flag} status={row.runtime_status} />
        ),
      },
      {
        id: "beats",
        title: t("accounts.heartbeat"),
        value: (row) => row.last_heartbeat_at ?? null,
        cell: (row) => (
          <span className="beat-cell">
            <AccountBeats account={row} />
            <Ago at={row.last_heartbeat_at} late={10_000} />
          </span>
        ),
      },
      {
        id: "p99",
        title: t("now.p99"),
        kind: "number",
        value: (row) => (row.role === "slave" ? (worst.get(row.account) ?? null) : null),
        cell: (row) => {
          const p99 = row.role === "slave" ? worst.get(row.account) : undefined;
          return p99 === undefined ? <span className="muted">–</span> : span(p99);
        },
      },
      {
        id: "floating",
        title: t("accounts.floating"),
        kind: "number",
        value: (row) => minus(row.equity, row.balance),
        cell: (row) => <Money amount={minus(row.equity, row.balance)} signed />,
      },
      {
        id: "equity",
        title: t("accounts.equity"),
        kind: "number",
        value: (row) => row.equity ?? null,
        cell: (row) => <Money amount={row.equity} />,
      },
      {
        id: "positions",
        title: t("accounts.positions"),
        kind: "number",
        value: (row) => row.open_positions ?? null,
        cell: (row) => row.open_positions ?? "–",
      },
    ],
    [t, worst],
  );
  return (
    <Card id="fleet" title={t("now.fleet")}>
      <Table
        id="fleet"
        label={t("now.fleet")}
        rows={rows}
        rowKey={accountKey}
        columns={columns}
        rowHeight={40}
        text={(row) => `${row.account} ${row.name ?? ""} ${row.broker ?? ""} ${row.role}`}
        source="/api/accounts"
        onOpen={(row) => go(hrefOf(`/accounts/${row.role}/${row.account}`))}
        empty={<p className="nothing">{t("accounts.none")}</p>}
      />
    </Card>
  );
}

/** Answers to commands and bookkeeping of copies say nothing to a person. */
const QUIET = new Set([
  "command_answered",
  "order_issued",
  "snapshot_taken",
  "state_differed",
  "master_noted",
  "sync_wanted",
]);

/** What was told since the page was opened, and before it what the log has. */
function useLastEvents(): readonly DeskEvent[] {
  const happenings = useBoard((board) => board.happenings);
  const past = usePast();
  const before = useQuery({
    queryKey: ["last"],
    queryFn: async () =>
      (
        await ask("GET /api/events", {
          query: { tail: 60, class: "business", kind: `!${[...QUIET].join(",")}` },
        })
      ).events as DeskEvent[],
    staleTime: Number.POSITIVE_INFINITY,
    enabled: past === null,
  });
  return useMemo(() => {
    const told = happenings.filter((event) => !QUIET.has(event.kind)).slice(0, 20);
    const oldest = told.at(-1)?.position ?? Number.POSITIVE_INFINITY;
    const older = past ? [] : (before.data ?? []).filter((event) => event.position < oldest);
    return [...told, ...older.reverse()].slice(0, 20);
  }, [happenings, before.data, past]);
}

function LastEvents() {
  const speech = useSpeech();
  const { t } = speech;
  const rows = useLastEvents();
  return (
    <Card
      id="last"
      title={t("now.last")}
      tools={
        <Link to="/log" className="card-link">
          {t("now.all_events")}
        </Link>
      }
    >
      {rows.length === 0 ? (
        <p className="nothing">{t("now.quiet")}</p>
      ) : (
        <ol className="told scroll" tabIndex={0} aria-label={t("now.last")}>
          {rows.map((event) => (
            <li key={event.position} className={`told-${eventTone(event)}`}>
              <span className="told-when">{clock(event.recorded_at)}</span>
              <Link to={`/log/${event.position}`}>{eventWords(event, speech)}</Link>
            </li>
          ))}
        </ol>
      )}
    </Card>
  );
}
