import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, lazy, type ReactNode, Suspense, useMemo, useState } from "react";
import { ask } from "../api/client";
import type { Account, ConnectionDetail, Copy, DeskEvent, Limit, Trade } from "../api/shapes";
import { AccountSwitch, LinkCard } from "../copying/parts";
import { useSpeech } from "../i18n";
import { accountKey, memberKey } from "../live/board";
import { useAsOf, useBoard, useReadOnly } from "../live/hooks";
import { lotsOpen, useConnection } from "../live/queries";
import { Link } from "../shell/link";
import {
  Ago,
  Badge,
  Card,
  ConnectionBadge,
  Gauge,
  Head,
  Money,
  Stat,
  StatusBadge,
  Warnings,
} from "../ui/bits";
import { Dialog } from "../ui/dialog";
import { Field } from "../ui/field";
import { Empty, Failed, Skeleton } from "../ui/states";
import { type Column, Table } from "../ui/table";
import { Tabs } from "../ui/tabs";
import { useToast } from "../ui/toast";
import { brief, dateTime, minus, money } from "../util/format";
import { eventTone, eventWords, side } from "../util/words";

const Chart = lazy(() => import("../ui/chart"));

export default function AccountPage({ params }: { params: Record<string, string> }) {
  const { account = "" } = params;
  const role = params.role === "master" ? "master" : "slave";
  const { t } = useSpeech();
  const row = useBoard((board) => board.accounts.get(`${role}/${account}`));
  const connection = useConnection(account);
  const detail = connection.data?.find((one) => one.role === role);
  const other = role === "master" ? "slave" : "master";
  const alsoOther = useBoard((board) => board.accounts.has(`${other}/${account}`));
  if (!row) {
    return (
      <Empty icon="accounts" title={t("account.unknown", { account })}>
        <Link to="/accounts">{t("account.all")}</Link>
      </Empty>
    );
  }
  return (
    <div className="page">
      <Head
        title={row.account}
        lead={[t(`role.${role}`), row.name, row.broker, row.server].filter(Boolean).join(" · ")}
      >
        {alsoOther && (
          <Link to={`/accounts/${other}/${account}`} className="button small">
            {t("account.as", { role: t(`role.${other}`) })}
          </Link>
        )}
        <ConnectionBadge connection={row.connection} />
        <StatusBadge role={role} enabled={row.enabled_flag} status={row.runtime_status} />
        <AccountSwitch account={row} />
      </Head>
      <Warnings codes={row.warning_codes} />
      <dl className="stats">
        <Stat label={t("accounts.balance")}>
          <Money amount={row.balance} currency={row.currency ?? null} />
        </Stat>
        <Stat label={t("accounts.equity")}>
          <Money amount={row.equity} currency={row.currency ?? null} />
        </Stat>
        <Stat label={t("accounts.floating")}>
          <Money amount={minus(row.equity, row.balance)} signed />
        </Stat>
        <Stat label={t("account.margin")}>
          <Money amount={minus(row.equity, row.free_margin)} />
        </Stat>
        <Stat label={t("accounts.positions")}>{row.open_positions ?? "–"}</Stat>
        <Stat label={t("accounts.heartbeat")}>
          <Ago at={row.last_heartbeat_at} late={10_000} />
        </Stat>
      </dl>
      {connection.error ? (
        <Failed error={connection.error} retry={() => void connection.refetch()} />
      ) : !detail ? (
        <Skeleton rows={6} />
      ) : (
        <Tabs
          label={row.account}
          tabs={[
            { id: "open", title: t("account.open"), content: () => <Open detail={detail} /> },
            { id: "links", title: t("nav.copying"), content: () => <Links account={row} /> },
            {
              id: "protection",
              title: t("account.protection"),
              content: () => <Protection detail={detail} />,
            },
            { id: "chart", title: t("account.equity"), content: () => <Equity account={row} /> },
            {
              id: "decisions",
              title: t("account.decisions"),
              content: () => <Told account={row} only="copy_decided" />,
            },
            { id: "timeline", title: t("account.timeline"), content: () => <Told account={row} /> },
            {
              id: "identity",
              title: t("account.identity"),
              content: () => <Identity detail={detail} row={row} />,
            },
          ]}
        />
      )}
    </div>
  );
}

function Open({ detail }: { detail: ConnectionDetail }) {
  const { t } = useSpeech();
  const trades = useMemo<readonly Column<Trade>[]>(
    () => [
      {
        id: "ticket",
        title: t("trade.ticket"),
        value: (row) => row.ticket,
        cell: (row) => (
          <Link to="/trades" query={{ ticket: String(row.ticket), account: detail.account }}>
            {row.ticket}
          </Link>
        ),
      },
      {
        id: "symbol",
        title: t("trade.symbol"),
        value: (row) => row.symbol,
        cell: (row) => row.symbol,
      },
      {
        id: "side",
        title: t("trade.side"),
        value: (row) => row.side,
        cell: (row) => side(row.side, t),
      },
      {
        id: "lots",
        title: t("trade.lots"),
        kind: "number",
        value: (row) => row.lots,
        cell: (row) => row.lots,
      },
      {
        id: "price",
        title: t("trade.price"),
        kind: "number",
        value: (row) => row.price,
        cell: (row) => row.price ?? "–",
      },
      {
        id: "sl",
        title: "SL",
        kind: "number",
        value: (row) => row.sl,
        cell: (row) => row.sl ?? "–",
      },
      {
        id: "tp",
        title: "TP",
        kind: "number",
        value: (row) => row.tp,
        cell: (row) => row.tp ?? "–",
      },
      {
        id: "entry",
        title: t("trade.entry"),
        value: (row) => row.entry ?? null,
        cell: (row) => row.entry ?? "–",
      },
    ],
    [t, detail.account],
  );
  const copies = useMemo<readonly Column<Copy>[]>(
    () => [
      {
        id: "ticket",
        title: t("trade.ticket"),
        value: (row) => row.ticket,
        cell: (row) => (
          <Link to="/trades" query={{ ticket: String(row.ticket), account: row.master }}>
            {row.ticket}
          </Link>
        ),
      },
      {
        id: "master",
        title: t("role.master"),
        value: (row) => row.master,
        cell: (row) => row.master,
      },
      {
        id: "symbol",
        title: t("trade.symbol"),
        value: (row) => row.symbol,
        cell: (row) => row.symbol,
      },
      {
        id: "side",
        title: t("trade.side"),
        value: (row) => row.side,
        cell: (row) => side(row.side, t),
      },
      {
        id: "lots",
        title: t("trade.lots"),
        kind: "number",
        value: (row) => lotsOpen(row),
        cell: (row) => lotsOpen(row).toFixed(2),
      },
      {
        id: "master_lots",
        title: t("trade.master_lots"),
        kind: "number",
        value: (row) => row.master_left,
        cell: (row) => row.master_left,
      },
      {
        id: "price",
        title: t("trade.price"),
        kind: "number",
        value: (row) => row.price,
        cell: (row) => row.price ?? "–",
      },
      {
        id: "sl",
        title: "SL",
        kind: "number",
        value: (row) => row.sl,
        cell: (row) => row.sl ?? "–",
      },
      {
        id: "tp",
        title: "TP",
        kind: "number",
        value: (row) => row.tp,
        cell: (row) => row.tp ?? "–",
      },
      {
        id: "state",
        title: t("accounts.status"),
        value: (row) => row.legs.map((leg) => leg.state).join(" "),
        cell: (row) => [...new Set(row.legs.map((leg) => leg.state))].join(", "),
      },
    ],
    [t],
  );
  return detail.role === "master" ? (
    <Table
      id="trades"
      label={t("account.open")}
      rows={detail.trades}
      rowKey={(row) => String(row.ticket)}
      columns={trades}
      text={(row) => `${row.ticket} ${row.symbol} ${row.side}`}
      source={`/api/connections/${detail.account}`}
      empty={<Empty title={t("account.flat")} />}
      tall
    />
  ) : (
    <Table
      id="copies"
      label={t("account.open")}
      rows={detail.copies}
      rowKey={(row) => `${row.master}/${row.ticket}`}
      columns={copies}
      text={(row) => `${row.ticket} ${row.symbol} ${row.side} ${row.master}`}
      source={`/api/connections/${detail.account}`}
      empty={<Empty title={t("account.flat")} />}
      tall
    />
  );
}

function Links({ account }: { account: Account }) {
  const { t } = useSpeech();
  const members = useBoard((board) => board.members);
  const accounts = useBoard((board) => board.accounts);
  const own = [...members.values()].filter((member) =>
    account.role === "master"
      ? member.trade_group_id === account.account
      : member.slave_account === account.account,
  );
  if (own.length === 0) {
    return (
      <Empty icon="copying" title={t("copying.none")}>
        <Link to="/copying" query={{ new: "link" }}>
          {t("wizard.title")}
        </Link>
      </Empty>
    );
  }
  return (
    <div className="cards">
      {own.map((member) => (
        <LinkCard
          key={memberKey(member)}
          member={member}
          slave={accounts.get(`slave/${member.slave_account}`)}
        />
      ))}
    </div>
  );
}

/** How a limit stands: armed, near, hit, with what is done. */
export function LimitStanding({ limit }: { limit: Limit }) {
  const { t, code } = useSpeech();
  const { standing } = limit;
  if (standing === null) return <Badge tone="good">{t("limit_state.armed")}</Badge>;
  if (typeof standing === "string") {
    return <Badge tone="warn">{standing === "near" ? t("limit_state.near") : standing}</Badge>;
  }
  const [state, more] = Object.entries(standing)[0] ?? [];
  if (state !== "hit") return <Badge tone="warn">{t("limit_state.near")}</Badge>;
  return (
    <span className="row">
      <Badge tone="bad">{t("limit_state.hit")}</Badge>
      {more?.action && <span>{code("action", more.action)}</span>}
      {more?.since && (
        <span className="hint">
          <Ago at={more.since} />
        </span>
      )}
    </span>
  );
}

function Protection({ detail }: { detail: ConnectionDetail }) {
  const { t, code } = useSpeech();
  const readOnly = useReadOnly();
  const [rearming, setRearming] = useState(false);
  const rules = (detail.settings as { protection?: Record<string, unknown> }).protection ?? {};
  const set = Object.entries(rules).filter(([, value]) => value !== null);
  const hit = detail.protection.filter(
    (limit) => limit.standing && typeof limit.standing === "object" && "hit" in limit.standing,
  );
  return (
    <div className="columns">
      <Card
        title={t("now.limits")}
        tools={
          hit.length > 0 && (
            <button
              type="button"
              className="button small"
              disabled={readOnly !== null}
              onClick={() => setRearming(true)}
            >
              {t("account.rearm")}
            </button>
          )
        }
      >
        {detail.protection.length === 0 ? (
          <Empty title={t("now.no_limits")}>
            <code>tidehelm</code> {t("account.no_limits_hint")}
          </Empty>
        ) : (
          <ul className="stack">
            {detail.protection.map((limit) => (
              <li key={limit.limit} className="limit">
                <div className="row">
                  <strong>{code("limit", limit.limit)}</strong>
                  <LimitStanding limit={limit} />
                </div>
                <Gauge percent={Number(limit.percent ?? 0)} label={code("limit", limit.limit)} />
                <p className="hint">
                  {t("account.used", {
                    used: money(limit.used ?? "0"),
                    allowed: money(limit.allowed ?? "0"),
                    percent: limit.percent ?? "0",
                  })}
                </p>
              </li>
            ))}
          </ul>
        )}
      </Card>
      <Card title={t("account.rules")}>
        <dl className="facts">
          {set.map(([key, value]) => (
            <div key={key}>
              <dt>{code("limit", key)}</dt>
              <dd>{brief(value)}</dd>
            </div>
          ))}
        </dl>
      </Card>
      {rearming && <Rearm detail={detail} onClose={() => setRearming(false)} />}
    </div>
  );
}

function Rearm({ detail, onClose }: { detail: ConnectionDetail; onClose: () => void }) {
  const { t } = useSpeech();
  const client = useQueryClient();
  const toast = useToast();
  const [reason, setReason] = useState("");
  const [missing, setMissing] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setMissing(reason.trim() === "");
    if (reason.trim() === "") return;
    try {
      await ask("POST /api/connections/{role}/{account}/rearm", {
        path: { role: detail.role, account: detail.account },
        body: { reason: reason.trim() },
        seen: detail.version,
      });
      toast.good(t("account.rearmed"));
      await client.invalidateQueries({ queryKey: ["connection", detail.account] });
      onClose();
    } catch (failure) {
      setError(failure);
    }
  };
  return (
    <Dialog open onClose={onClose} title={t("account.rearm")} lead={t("account.rearm_lead")}>
      <form className="stack" onSubmit={submit}>
        <Field
          label={t("stop.reason")}
          value={reason}
          autoFocus
          error={missing ? t("lock.reason_missing") : null}
          onChange={(event) => setReason(event.target.value)}
        />
        {error !== null && <Failed error={error} />}
        <button type="submit" className="button primary">
          {t("account.rearm")}
        </button>
      </form>
    </Dialog>
  );
}

/** Balance and equity of the heartbeats that the log still has. */
function Equity({ account }: { account: Account }) {
  const { t } = useSpeech();
  const asOf = useAsOf();
  const beats = useQuery({
    queryKey: ["beats", accountKey(account), asOf.as_of ?? "now"],
    queryFn: async () => {
      const { events } = await ask("GET /api/events", {
        query: {
          stream: accountKey(account),
          kind: "heartbeat_seen",
          ...(asOf.as_of ? { from: 0, limit: 1000 } : { tail: 1000 }),
        },
      });
      return (events as DeskEvent[]).filter(
        (event) => !asOf.as_of || event.position <= Number(asOf.as_of),
      );
    },
    refetchInterval: asOf.as_of ? false : 15_000,
  });
  const shown = useMemo(() => {
    const list = beats.data ?? [];
    const of = (name: string) => list.map((event) => Number(event.payload?.[name] ?? Number.NaN));
    return {
      times: list.map((event) => event.recorded_at / 1_000_000),
      balance: of("balance"),
      equity: of("equity"),
    };
  }, [beats.data]);
  const series = useMemo(
    () => [
      { label: t("accounts.balance"), colour: "--brass", values: shown.balance },
      { label: t("accounts.equity"), colour: "--tide", values: shown.equity },
    ],
    [t, shown],
  );
  if (beats.error) return <Failed error={beats.error} retry={() => void beats.refetch()} />;
  if (beats.isPending) return <Skeleton rows={1} height={280} />;
  if (shown.times.length < 2) return <Empty title={t("account.no_beats")} />;
  return (
    <Card
      title={t("account.equity")}
      tools={<span className="hint">{t("account.equity_hint")}</span>}
    >
      <Suspense fallback={<Skeleton rows={1} height={280} />}>
        <Chart
          times={shown.times}
          series={series}
          height={300}
          fit
          label={t("account.equity_label", {
            account: account.account,
            first: money(String(shown.equity[0] ?? 0)),
            last: money(String(shown.equity.at(-1) ?? 0)),
          })}
        />
      </Suspense>
    </Card>
  );
}

/** What happened to the account, newest first. */
function Told({ account, only }: { account: Account; only?: string }) {
  const speech = useSpeech();
  const { t } = speech;
  const asOf = useAsOf();
  const kind =
    only ?? "!heartbeat_seen,command_answered,order_issued,state_differed,snapshot_taken";
  const events = useQuery({
    queryKey: ["told", accountKey(account), kind, asOf.as_of ?? "now"],
    queryFn: async () => {
      const query = asOf.as_of
        ? { from: Math.max(0, Number(asOf.as_of) - 5_000), limit: 1000 }
        : { tail: 200 };
      const answer = await ask("GET /api/events", {
        query: { stream: accountKey(account), kind, ...query },
      });
      return (answer.events as DeskEvent[])
        .filter((event) => !asOf.as_of || event.position <= Number(asOf.as_of))
        .reverse();
    },
    refetchInterval: asOf.as_of ? false : 4_000,
  });
  if (events.error) return <Failed error={events.error} retry={() => void events.refetch()} />;
  if (events.isPending) return <Skeleton rows={8} height={24} />;
  if (events.data.length === 0) return <Empty title={t("account.nothing_told")} />;
  return (
    <Card title={t(only ? "account.decisions" : "account.timeline")}>
      <ol className="told">
        {events.data.map((event) => (
          <li key={event.position} className={`told-${eventTone(event)}`} data-step tabIndex={-1}>
            <span className="told-when">{dateTime(event.recorded_at)}</span>
            <Link to={whyOf(event)}>{eventWords(event, speech)}</Link>
          </li>
        ))}
      </ol>
    </Card>
  );
}

/** A decision leads to why; anything else to its event. */
function whyOf(event: DeskEvent): string {
  const signal = event.payload?.signal;
  if (event.kind === "copy_decided" && typeof signal === "number") return `/trades/${signal}`;
  if (event.kind === "signal_taken") return `/trades/${event.position}`;
  return `/log/${event.position}`;
}

function Identity({ detail, row }: { detail: ConnectionDetail; row: Account }) {
  const { t } = useSpeech();
  const asOf = useAsOf();
  const changes = useQuery({
    queryKey: ["changes", accountKey(row), asOf.as_of ?? "now"],
    queryFn: () =>
      ask("GET /api/accounts/{role}/{account}/changes", {
        path: { role: row.role, account: row.account },
        query: asOf,
      }),
  });
  const affixes = detail.affixes as { prefix?: string; suffix?: string };
  const facts: [string, ReactNode][] = [
    [t("identity.platform"), detail.platform ?? "–"],
    [t("accounts.broker"), detail.broker ?? "–"],
    [t("identity.server"), detail.server ?? "–"],
    [t("accounts.name"), detail.name ?? "–"],
    [t("identity.currency"), detail.currency ?? "–"],
    [t("identity.leverage"), detail.leverage ? `1:${detail.leverage}` : "–"],
    [t("identity.holding"), detail.holding ?? "–"],
    [t("identity.program"), detail.ea_version ?? "–"],
    [t("identity.paired"), detail.paired ? t("identity.yes") : t("identity.no")],
    [t("identity.epoch"), detail.epoch],
    [t("identity.config"), detail.config_version],
    [t("identity.affixes"), `${affixes.prefix || "–"} / ${affixes.suffix || "–"}`],
    [t("identity.symbols"), detail.symbols],
  ];
  return (
    <div className="columns">
      <Card title={t("account.identity")}>
        <dl className="facts">
          {facts.map(([label, value]) => (
            <div key={label}>
              <dt>{label}</dt>
              <dd>{value}</dd>
            </div>
          ))}
        </dl>
      </Card>
      <Card title={t("account.changes")}>
        {changes.error ? (
          <Failed error={changes.error} retry={() => void changes.refetch()} />
        ) : !changes.data ? (
          <Skeleton rows={6} height={24} />
        ) : (
          <ol className="told scroll tall" tabIndex={0} aria-label={t("account.changes")}>
            {[...changes.data.changes].reverse().map((change) => (
              <li key={change.position}>
                <span className="told-when">{dateTime(change.at)}</span>
                <span>
                  <Link to={`/log/${change.position}`}>
                    {t(`status.${change.old as 0 | 1 | 2}`)} →{" "}
                    {t(`status.${change.new as 0 | 1 | 2}`)}
                  </Link>{" "}
                  <Warnings plain codes={change.warning_codes} />
                </span>
              </li>
            ))}
          </ol>
        )}
      </Card>
    </div>
  );
}
