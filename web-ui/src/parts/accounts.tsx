import { memo, useMemo, useState } from "react";
import { asProblem, type Problem } from "../api/client";
import type { Account, Role, RuntimeStatus } from "../api/types";
import { useSpeech } from "../i18n";
import { keyOf } from "../live/reduce";
import { money, whole } from "../util/format";
import { Age } from "./age";

const LATE_MS = 10_000;

export type Toggle = (account: Account, enabled: boolean) => Promise<void>;

interface Props {
  accounts: readonly Account[];
  clockOffset: number;
  /** The moment shown, when it is not now. */
  at: number | null;
  /** Why nothing can be changed; `null` when it can. */
  readOnly: "past" | "stale" | "viewer" | null;
  onToggle: Toggle;
}

export function AccountsTable({ accounts, clockOffset, at, readOnly, onToggle }: Props) {
  const { t } = useSpeech();
  const sorted = useMemo(() => [...accounts].sort(byRoleAndName), [accounts]);
  return (
    <div className="table-frame">
      {/* biome-ignore lint/a11y/noRedundantRoles: on phones CSS lays rows out as cards, which would drop the table's roles */}
      <table className="accounts" role="table" aria-label={t("accounts.title")}>
        {/* biome-ignore lint/a11y/noRedundantRoles: as above */}
        <thead role="rowgroup">
          {/* biome-ignore lint/a11y/noRedundantRoles: as above */}
          <tr role="row">
            <Head>{t("accounts.account")}</Head>
            <Head>{t("accounts.intent")}</Head>
            <Head>{t("accounts.connection")}</Head>
            <Head>{t("accounts.status")}</Head>
            <Head number>{t("accounts.balance")}</Head>
            <Head number>{t("accounts.equity")}</Head>
            <Head number hint={t("accounts.positions_hint")}>
              {t("accounts.positions")}
            </Head>
            <Head number>{t("accounts.heartbeat")}</Head>
          </tr>
        </thead>
        {/* biome-ignore lint/a11y/noRedundantRoles: as above */}
        <tbody role="rowgroup">
          {sorted.map((account) => (
            <Row
              key={keyOf(account)}
              account={account}
              clockOffset={clockOffset}
              at={at}
              readOnly={readOnly}
              onToggle={onToggle}
            />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function byRoleAndName(a: Account, b: Account): number {
  return a.role === b.role ? a.account.localeCompare(b.account) : a.role === "master" ? -1 : 1;
}

function Head({
  children,
  number = false,
  hint,
}: {
  children: string;
  number?: boolean;
  hint?: string;
}) {
  return (
    // biome-ignore lint/a11y/noRedundantRoles: see the table
    <th role="columnheader" scope="col" className={number ? "number" : undefined} title={hint}>
      {children}
    </th>
  );
}

type RowProps = Omit<Props, "accounts"> & { account: Account };

const Row = memo(function Row({ account, clockOffset, at, readOnly, onToggle }: RowProps) {
  const { t, code } = useSpeech();
  const figure = (decimal: string | null) =>
    decimal === null ? <span className="muted">–</span> : money(decimal);
  return (
    // biome-ignore lint/a11y/noRedundantRoles: see the table
    <tr role="row" className={`row-${account.role}`}>
      {/* biome-ignore lint/a11y/noRedundantRoles: see the table */}
      <th role="rowheader" scope="row" className="cell-account">
        <span className={`role role-${account.role}`}>{t(`role.${account.role}`)}</span>
        <span className="account-id">{account.account}</span>
        <Subtitle account={account} />
      </th>
      <Cell label={t("accounts.intent")} className="cell-intent">
        <IntentSwitch account={account} readOnly={readOnly} onToggle={onToggle} />
      </Cell>
      <Cell label={t("accounts.connection")} className="cell-connection">
        <span className={`connection connection-${account.connection}`}>
          {t(`connection.${account.connection}`)}
        </span>
        {account.trade_allowed === false && account.connection === "online" && (
          <span className="trading-off" title={t("accounts.trading_off")}>
            <span aria-hidden="true">⊘</span>
            <span className="hidden">{t("accounts.trading_off")}</span>
          </span>
        )}
      </Cell>
      <Cell label={t("accounts.status")} className="cell-status">
        <StatusBadge status={account.runtime_status} />
        {account.warning_codes.length > 0 && (
          <ul className="warnings">
            {account.warning_codes.map((warning) => (
              <li key={warning} title={warning}>
                {code("warning", asOwn(account.role, warning))}
              </li>
            ))}
          </ul>
        )}
      </Cell>
      <Cell label={t("accounts.balance")} className="number">
        {figure(account.balance)}
      </Cell>
      <Cell label={t("accounts.equity")} className="number">
        <span className="strong">{figure(account.equity)}</span>
        {account.free_margin !== null && (
          <span className="account-sub" title={t("accounts.free_margin")}>
            {t("accounts.free", { amount: money(account.free_margin) })}
          </span>
        )}
      </Cell>
      <Cell label={t("accounts.positions")} className="number">
        {account.open_positions === null ? (
          <span className="muted">–</span>
        ) : (
          whole(account.open_positions)
        )}
      </Cell>
      <Cell label={t("accounts.heartbeat")} className="number">
        <Age since={account.last_heartbeat_at} offset={clockOffset} at={at} late={LATE_MS} />
      </Cell>
    </tr>
  );
});

/** A master's own warning is told as its own: "terminal offline", not "master's terminal offline". */
function asOwn(role: Role, warning: string): string {
  return role === "master"
    ? warning.replace(/^master_(?=web_ui_disabled$|offline$|auto_trading_disabled$)/, "slave_")
    : warning;
}

function Cell({
  label,
  className,
  children,
}: {
  label: string;
  className?: string;
  children: React.ReactNode;
}) {
  return (
    // biome-ignore lint/a11y/noRedundantRoles: see the table
    <td role="cell" data-label={label} className={className}>
      {children}
    </td>
  );
}

function Subtitle({ account }: { account: Account }) {
  const { t } = useSpeech();
  const parts = [account.name, account.broker].filter(Boolean).join(" · ");
  return (
    <>
      {parts && <span className="account-sub">{parts}</span>}
      {account.role === "slave" && account.masters.length === 0 && (
        <span className="account-sub">{t("accounts.no_masters")}</span>
      )}
      {account.masters.length > 0 && (
        <span className="account-sub">
          {t("accounts.from")}{" "}
          {account.masters.map((master) => (
            <span
              key={master.account}
              className={`master-link master-link-${master.runtime_status}`}
              title={t(`status.${master.runtime_status}`)}
            >
              <StatusIcon status={master.runtime_status} />
              {master.account}
              <span className="hidden"> ({t(`status.${master.runtime_status}`)})</span>
            </span>
          ))}
        </span>
      )}
    </>
  );
}

function StatusIcon({ status }: { status: RuntimeStatus }) {
  return (
    <svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true">
      <circle cx="6" cy="6" r="4.6" fill="none" stroke="currentColor" strokeWidth="1.6" />
      {status === 1 && <path d="M6 1.4a4.6 4.6 0 0 1 0 9.2z" fill="currentColor" />}
      {status === 2 && <circle cx="6" cy="6" r="4.6" fill="currentColor" />}
    </svg>
  );
}

export function StatusBadge({ status }: { status: RuntimeStatus }) {
  const { t } = useSpeech();
  return (
    <span className={`status status-${status}`} title={t(`status.${status}_hint`)}>
      <StatusIcon status={status} />
      {t(`status.${status}`)}
    </span>
  );
}

function IntentSwitch({ account, readOnly, onToggle }: Omit<RowProps, "clockOffset" | "at">) {
  const { t, problem: say } = useSpeech();
  const [pending, setPending] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);

  async function flip() {
    if (pending) return;
    setPending(true);
    setProblem(null);
    try {
      await onToggle(account, !account.enabled_flag);
    } catch (error) {
      setProblem(asProblem(error));
    } finally {
      setPending(false);
    }
  }

  const word = account.enabled_flag ? t("accounts.on") : t("accounts.off");
  return (
    <>
      <button
        type="button"
        role="switch"
        className="switch"
        aria-checked={account.enabled_flag}
        aria-busy={pending}
        aria-label={t("accounts.toggle", {
          role: t(`role.${account.role}`),
          account: account.account,
        })}
        disabled={readOnly !== null}
        title={readOnly ? t(`accounts.read_only_${readOnly}`) : undefined}
        onClick={flip}
      >
        <span className="switch-track" aria-hidden="true">
          <span className="switch-knob" />
        </span>
        <span className="switch-word" aria-hidden="true">
          {pending ? t("accounts.pending") : word}
        </span>
      </button>
      {problem && (
        <p className="field-error" role="alert">
          {say(problem)}
        </p>
      )}
    </>
  );
}
