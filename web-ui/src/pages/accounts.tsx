import { useMemo } from "react";
import type { Account } from "../api/shapes";
import { AccountSwitch } from "../copying/parts";
import { useSpeech } from "../i18n";
import { fleetOf } from "../live/attention";
import { accountKey } from "../live/board";
import { useBoard } from "../live/hooks";
import { Link } from "../shell/link";
import { go, hrefOf, setQuery, useRoute } from "../shell/router";
import { Ago, ConnectionBadge, Head, Money, StatusBadge, WarningChips } from "../ui/bits";
import { Empty } from "../ui/states";
import { type Column, compare, Table } from "../ui/table";
import { minus } from "../util/format";

const ROLES = ["master", "slave"] as const;

export default function AccountsPage() {
  const { t, n } = useSpeech();
  const { query } = useRoute();
  const accounts = useBoard((board) => board.accounts);
  const role = ROLES.find((one) => one === query.get("role"));
  const only = query.get("only");
  const rows = useMemo(
    () =>
      [...accounts.values()]
        .filter((one) => !role || one.role === role)
        .filter((one) => only !== "warned" || one.warning_codes.length > 0)
        .sort((a, b) => compare(a.role, b.role) || compare(a.account, b.account)),
    [accounts, role, only],
  );
  const fleet = useMemo(() => fleetOf(accounts), [accounts]);
  const columns = useMemo<readonly Column<Account>[]>(
    () => [
      {
        id: "account",
        title: t("accounts.account"),
        value: (row) => row.account,
        cell: (row) => (
          <span className="who">
            <Link to={`/accounts/${row.role}/${row.account}`}>{row.account}</Link>
          </span>
        ),
      },
      {
        id: "role",
        title: t("accounts.role"),
        value: (row) => row.role,
        cell: (row) => t(`role.${row.role}`),
      },
      {
        id: "name",
        title: t("accounts.name"),
        value: (row) => row.name ?? null,
        cell: (row) => row.name ?? "–",
      },
      {
        id: "broker",
        title: t("accounts.broker"),
        value: (row) => row.broker ?? null,
        cell: (row) => row.broker ?? "–",
        hidden: true,
      },
      {
        id: "intent",
        title: t("accounts.intent"),
        value: (row) => row.enabled_flag,
        cell: (row) => <AccountSwitch account={row} />,
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
        id: "connection",
        title: t("accounts.connection"),
        value: (row) => row.connection,
        cell: (row) => <ConnectionBadge connection={row.connection} />,
      },
      {
        id: "heartbeat",
        title: t("accounts.heartbeat"),
        value: (row) => row.last_heartbeat_at ?? null,
        cell: (row) => <Ago at={row.last_heartbeat_at} late={10_000} />,
      },
      {
        id: "balance",
        title: t("accounts.balance"),
        kind: "number",
        value: (row) => row.balance ?? null,
        cell: (row) => <Money amount={row.balance} currency={row.currency ?? null} />,
      },
      {
        id: "equity",
        title: t("accounts.equity"),
        kind: "number",
        value: (row) => row.equity ?? null,
        cell: (row) => <Money amount={row.equity} />,
      },
      {
        id: "floating",
        title: t("accounts.floating"),
        kind: "number",
        value: (row) => minus(row.equity, row.balance),
        cell: (row) => <Money amount={minus(row.equity, row.balance)} signed />,
      },
      {
        id: "free",
        title: t("accounts.free_margin"),
        kind: "number",
        hidden: true,
        value: (row) => row.free_margin ?? null,
        cell: (row) => <Money amount={row.free_margin} />,
      },
      {
        id: "positions",
        title: t("accounts.positions"),
        kind: "number",
        value: (row) => row.open_positions ?? null,
        cell: (row) => row.open_positions ?? "–",
      },
      {
        id: "warnings",
        title: t("accounts.warnings"),
        value: (row) => row.warning_codes.join(" "),
        cell: (row) => <WarningChips codes={row.warning_codes} />,
      },
    ],
    [t],
  );
  return (
    <div className="page">
      <Head
        title={t("nav.accounts")}
        lead={`${n("count.master", fleet.masters)} · ${n("count.slave", fleet.slaves)}`}
      />
      <Table
        id="accounts"
        tall
        label={t("nav.accounts")}
        rows={rows}
        rowKey={accountKey}
        columns={columns}
        text={(row) =>
          `${row.account} ${row.name ?? ""} ${row.broker ?? ""} ${row.server ?? ""} ${row.role} ${row.connection} ${row.warning_codes.join(" ")}`
        }
        source="/api/accounts"
        onOpen={(row) => go(hrefOf(`/accounts/${row.role}/${row.account}`))}
        tools={
          <span className="chips">
            {ROLES.map((one) => (
              <button
                key={one}
                type="button"
                className="chip"
                aria-pressed={role === one}
                onClick={() => setQuery({ role: role === one ? null : one })}
              >
                {t(`role.${one}`)}
              </button>
            ))}
            <button
              type="button"
              className="chip"
              aria-pressed={only === "warned"}
              onClick={() => setQuery({ only: only === "warned" ? null : "warned" })}
            >
              {t("accounts.warned")}
            </button>
          </span>
        }
        empty={
          <Empty icon="accounts" title={t("accounts.none")}>
            <Link to="/settings" query={{ tab: "terminals" }}>
              {t("first.pair_go")}
            </Link>
          </Empty>
        }
      />
    </div>
  );
}
