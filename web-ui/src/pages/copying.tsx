import { lazy, Suspense, useMemo } from "react";
import type { Member } from "../api/shapes";
import { GroupSwitch, LinkCard, LinkStatus, MemberSwitch, volumeWords } from "../copying/parts";
import { Wizard } from "../copying/wizard";
import { useSpeech } from "../i18n";
import { memberKey } from "../live/board";
import { useBoard, useReadOnly } from "../live/hooks";
import { useLatencies } from "../live/queries";
import { Link } from "../shell/link";
import { go, hrefOf, setQuery, useRoute } from "../shell/router";
import { Head, StatusBadge, WarningChips } from "../ui/bits";
import { Icon } from "../ui/icons";
import { Empty, Skeleton } from "../ui/states";
import { type Column, compare, Table } from "../ui/table";
import { span } from "../util/format";

const Graph = lazy(() => import("../copying/graph"));
const VIEWS = ["graph", "list", "cards"] as const;
/** More than this is read in a list, not seen in a picture. */
const GRAPH_MAX = 80;

export default function CopyingPage() {
  const { t, n } = useSpeech();
  const { query } = useRoute();
  const readOnly = useReadOnly();
  const groupMap = useBoard((board) => board.groups);
  const memberMap = useBoard((board) => board.members);
  const accounts = useBoard((board) => board.accounts);
  const master = query.get("master");
  const groups = useMemo(
    () =>
      [...groupMap.values()]
        .filter((group) => !master || group.master_account === master)
        .sort((a, b) => compare(a.master_account, b.master_account)),
    [groupMap, master],
  );
  const members = useMemo(
    () =>
      [...memberMap.values()]
        .filter((member) => !master || member.trade_group_id === master)
        .sort((a, b) => compare(memberKey(a), memberKey(b))),
    [memberMap, master],
  );
  // A picture needs room; where there is none, cards say the same.
  const narrow = window.matchMedia?.("(max-width: 760px)").matches ?? false;
  const usual = narrow ? "cards" : members.length > GRAPH_MAX ? "list" : "graph";
  const view = VIEWS.find((one) => one === query.get("view")) ?? usual;
  const all = useMemo(() => [...groupMap.keys()].sort(), [groupMap]);

  return (
    <div className="page">
      <Head
        title={t("nav.copying")}
        lead={`${n("count.master", groupMap.size)} · ${n("count.link", memberMap.size)}`}
      >
        <label className="field-inline">
          <span>{t("copying.master")}</span>
          <select
            value={master ?? ""}
            onChange={(event) => setQuery({ master: event.target.value || null })}
          >
            <option value="">{t("copying.all")}</option>
            {all.map((one) => (
              <option key={one} value={one}>
                {one}
              </option>
            ))}
          </select>
        </label>
        <div className="segments" role="group" aria-label={t("copying.view")}>
          {VIEWS.map((one) => (
            <button
              key={one}
              type="button"
              aria-pressed={view === one}
              onClick={() => setQuery({ view: one === usual ? null : one })}
            >
              <Icon
                name={one === "graph" ? "graph" : one === "list" ? "list" : "columns"}
                size={16}
              />
              {t(`copying.${one}`)}
            </button>
          ))}
        </div>
        <button
          type="button"
          className="button primary"
          disabled={readOnly !== null}
          onClick={() => setQuery({ new: "link" }, "push")}
        >
          <Icon name="plus" /> {t("wizard.title")}
        </button>
      </Head>
      {members.length === 0 && groups.length === 0 ? (
        <Empty icon="copying" title={t("copying.none")}>
          {t("copying.none_hint")}
        </Empty>
      ) : view === "graph" ? (
        <Suspense fallback={<Skeleton rows={1} height={480} />}>
          <Graph groups={groups} members={members} accounts={accounts} />
        </Suspense>
      ) : view === "list" ? (
        <LinkTable members={members} />
      ) : (
        groups.map((group) => (
          <section key={group.master_account} className="group">
            <header className="row">
              <h2>
                <Link to={`/accounts/master/${group.master_account}`}>{group.master_account}</Link>
              </h2>
              <span className="muted">{group.display_name}</span>
              <StatusBadge
                role="master"
                enabled={group.enabled_flag}
                status={group.master_runtime_status}
              />
              <GroupSwitch group={group} />
              <WarningChips codes={group.warning_codes} />
            </header>
            <div className="cards">
              {members
                .filter((member) => member.trade_group_id === group.master_account)
                .map((member) => (
                  <LinkCard
                    key={memberKey(member)}
                    member={member}
                    slave={accounts.get(`slave/${member.slave_account}`)}
                  />
                ))}
            </div>
          </section>
        ))
      )}
      {query.get("new") === "link" && <Wizard onClose={() => setQuery({ new: null })} />}
    </div>
  );
}

function LinkTable({ members }: { members: readonly Member[] }) {
  const { t } = useSpeech();
  const latencies = useLatencies();
  const columns = useMemo<readonly Column<Member>[]>(
    () => [
      {
        id: "master",
        title: t("role.master"),
        value: (row) => row.trade_group_id,
        cell: (row) => (
          <Link to={`/accounts/master/${row.trade_group_id}`}>{row.trade_group_id}</Link>
        ),
      },
      {
        id: "slave",
        title: t("role.slave"),
        value: (row) => row.slave_account,
        cell: (row) => <Link to={`/accounts/slave/${row.slave_account}`}>{row.slave_account}</Link>,
      },
      {
        id: "enabled",
        title: t("accounts.intent"),
        value: (row) => row.enabled_flag,
        cell: (row) => <MemberSwitch member={row} />,
      },
      {
        id: "status",
        title: t("accounts.status"),
        value: (row) => (row.enabled_flag ? row.status : -1),
        cell: (row) => <LinkStatus member={row} />,
      },
      {
        id: "volume",
        title: t("link.volume"),
        value: (row) => volumeWords(row.slave_settings as Record<string, unknown>, t),
        cell: (row) => volumeWords(row.slave_settings as Record<string, unknown>, t),
      },
      {
        id: "reverse",
        title: t("link.reverse"),
        value: (row) => (row.slave_settings as { reverse?: boolean }).reverse === true,
        cell: (row) =>
          (row.slave_settings as { reverse?: boolean }).reverse === true ? t("link.reverse") : "–",
      },
      {
        id: "copies",
        title: t("link.copies"),
        kind: "number",
        value: (row) => row.open_copies,
        cell: (row) => row.open_copies,
      },
      {
        id: "orders",
        title: t("link.orders"),
        kind: "number",
        hidden: true,
        value: (row) => row.orders_open,
        cell: (row) => row.orders_open,
      },
      {
        id: "p99",
        title: t("now.p99"),
        kind: "number",
        value: (row) => latencies.data?.get(memberKey(row))?.p99 ?? null,
        cell: (row) => {
          const p99 = latencies.data?.get(memberKey(row))?.p99;
          return p99 == null ? <span className="muted">–</span> : span(p99);
        },
      },
      {
        id: "warnings",
        title: t("accounts.warnings"),
        value: (row) => row.warning_codes.join(" "),
        cell: (row) => <WarningChips codes={row.warning_codes} />,
      },
    ],
    [t, latencies.data],
  );
  return (
    <Table
      id="links"
      tall
      label={t("nav.copying")}
      rows={members}
      rowKey={memberKey}
      columns={columns}
      text={(row) => `${row.trade_group_id} ${row.slave_account} ${row.warning_codes.join(" ")}`}
      source="/api/trade-groups"
      onOpen={(row) => go(hrefOf(`/copying/${row.trade_group_id}/${row.slave_account}`))}
      empty={<Empty icon="copying" title={t("copying.none")} />}
    />
  );
}
