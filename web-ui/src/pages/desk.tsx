import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { api, type Problem } from "../api/client";
import type { Account } from "../api/types";
import { useSpeech } from "../i18n";
import { type Desk, DeskStore, isHeartbeat, type Link } from "../live/desk";
import { AccountsTable } from "../parts/accounts";
import { ageText } from "../parts/age";
import { EmptyAccounts } from "../parts/empty";
import { EventList } from "../parts/events";
import { Languages } from "../parts/languages";
import { LockButton, LockIcon } from "../parts/lock";
import { Logo } from "../parts/logo";
import { Tide } from "../parts/tide";
import { PastBanner, TravelPanel, usePast } from "../parts/travel";
import { whole } from "../util/format";
import { useNow } from "../util/hooks";

interface Props {
  asOf: string | null;
  /** `ended` when the server refused a session that had worked before. */
  onSignedOut: (ended: boolean) => void;
}

export function DeskPage({ asOf, onSignedOut }: Props) {
  const { t } = useSpeech();
  const signedOut = useRef(onSignedOut);
  signedOut.current = onSignedOut;
  const [store] = useState<DeskStore>(
    () => new DeskStore(() => signedOut.current(store.get().phase === "ready")),
  );
  const desk = useSyncExternalStore(store.subscribe, store.get);
  useEffect(() => {
    store.start();
    return () => store.stop();
  }, [store]);

  const name = desk.status?.name;
  useEffect(() => {
    document.title = name ? `${name} · Tidehelm` : "Tidehelm";
  }, [name]);

  if (desk.phase === "loading") return <Loading />;
  if (desk.phase === "failed" || !desk.status || !desk.board) {
    return <Failed desk={desk} onRetry={() => store.retryNow()} />;
  }
  return (
    <>
      <button type="button" className="button skip" onClick={focusAccounts}>
        {t("app.skip")}
      </button>
      <Header
        desk={desk}
        onLock={(locked, reason) => store.lock(locked, reason)}
        onLogout={() => {
          void api.logout().finally(() => signedOut.current(false));
        }}
      />
      <DeskBody desk={desk} store={store} asOf={asOf} />
    </>
  );
}

/** A button rather than a link: the address after `#` is the route. */
function focusAccounts() {
  document.getElementById("accounts")?.focus();
}

function Loading() {
  const { t } = useSpeech();
  return (
    <div className="gate" aria-busy="true">
      <main className="gate-card loading" role="status">
        <Logo size={72} />
        <p>{t("app.loading")}</p>
      </main>
      <Tide state="live" />
    </div>
  );
}

function Failed({ desk, onRetry }: { desk: Desk; onRetry: () => void }) {
  const { t } = useSpeech();
  return (
    <div className="gate">
      <main className="gate-card" role="alert">
        <Logo size={56} />
        <h1>{t("failed.title")}</h1>
        <p className="lead">
          {desk.problem && desk.problem.status > 0
            ? t("failed.detail", { detail: desk.problem.detail || String(desk.problem.status) })
            : t("failed.unreachable")}
        </p>
        <Retry link={desk.link} onRetry={onRetry} />
        <Languages />
      </main>
      <Tide state="stale" />
    </div>
  );
}

function Retry({ link, onRetry }: { link: Link; onRetry: () => void }) {
  const { t } = useSpeech();
  const now = useNow();
  if (link.state !== "stale") return null;
  const seconds = Math.ceil((link.retryAt - now) / 1000);
  return (
    <div className="retry">
      <span aria-live="off">{seconds > 0 ? t("stale.retry", { seconds }) : t("stale.trying")}</span>
      <button type="button" className="button" onClick={onRetry}>
        {t("stale.now")}
      </button>
    </div>
  );
}

function Header({
  desk,
  onLock,
  onLogout,
}: {
  desk: Desk;
  onLock: (locked: boolean, reason: string) => Promise<void>;
  onLogout: () => void;
}) {
  const { t } = useSpeech();
  const { status, board, link } = desk;
  if (!status || !board) return null;
  const position = Math.max(status.position, board.position);
  return (
    <header className="masthead">
      <div className="masthead-row">
        <div className="brand">
          <Logo size={44} />
          <div>
            <h1>{status.name}</h1>
            <p className="brand-sub">
              Tidehelm <span title={t("header.version")}>{status.version}</span>
            </p>
          </div>
        </div>
        <dl className="gauges">
          <div title={t("header.position_hint")}>
            <dt>{t("header.position")}</dt>
            <dd className="gauge-number">{whole(position)}</dd>
          </div>
          <div title={status.ready ? t("header.ready_hint") : t("header.not_ready_hint")}>
            <dt className="hidden">{t("header.server")}</dt>
            <dd className={status.ready ? "pill pill-good" : "pill pill-warn"}>
              {status.ready ? t("header.ready") : t("header.not_ready")}
            </dd>
          </div>
          <div>
            <dt className="hidden">{t("accounts.connection")}</dt>
            <dd className={`pill pill-${link.state}`}>
              <span className="beacon" aria-hidden="true" />
              <span role="status">{t(`link.${link.state}`)}</span>
            </dd>
          </div>
        </dl>
        <div className="controls">
          <LockButton
            locked={board.locked}
            disabled={link.state === "stale" || status.user?.role === "viewer"}
            onLock={onLock}
          />
          <Languages />
          {status.user && (
            <div className="user">
              <span title={t("header.user", { name: status.user.name, role: status.user.role })}>
                {status.user.name}
                <small>{status.user.role}</small>
              </span>
              <button type="button" className="button quiet" onClick={onLogout}>
                {t("header.logout")}
              </button>
            </div>
          )}
        </div>
      </div>
      <Tide state={link.state} />
    </header>
  );
}

function DeskBody({ desk, store, asOf }: { desk: Desk; store: DeskStore; asOf: string | null }) {
  const { t } = useSpeech();
  const past = usePast(asOf);
  const [travelling, setTravelling] = useState(asOf !== null);
  const onToggle = useCallback(
    (account: Account, enabled: boolean) => store.toggle(account, enabled),
    [store],
  );
  const pastQuiet = useMemo(
    () => past.events.filter((event) => !isHeartbeat(event)),
    [past.events],
  );
  const { board, link } = desk;
  if (!board) return null;

  const inPast = asOf !== null;
  const shown = inPast ? (past.accounts?.accounts ?? null) : board.accounts;
  const stale = link.state === "stale";
  const viewer = desk.status?.user?.role === "viewer";
  return (
    <main className={stale ? "desk desk-stale" : "desk"}>
      <div className="banners">
        {stale && <StaleBanner desk={desk} onRetry={() => store.retryNow()} />}
        {board.locked && (
          <section className="banner banner-locked" role="status">
            <LockIcon open={false} />
            <div className="banner-text">
              <strong>{t("lock.locked")}</strong>
              <span>{board.lockReason || t("lock.no_reason")}</span>
            </div>
          </section>
        )}
        {inPast && <PastBanner past={past} last={board.position} />}
      </div>
      <div className="columns">
        <section
          className={inPast ? "panel accounts-panel in-past" : "panel accounts-panel"}
          aria-labelledby="accounts-title"
          id="accounts"
          tabIndex={-1}
          aria-busy={past.loading}
        >
          <header className="panel-head">
            <div>
              <h2 id="accounts-title">{t("accounts.title")}</h2>
              {shown && <Count accounts={shown} />}
            </div>
            <button
              type="button"
              className="button"
              aria-expanded={travelling}
              aria-controls="travel"
              onClick={() => setTravelling(!travelling)}
            >
              <HourglassIcon />
              {t("travel.title")}
            </button>
          </header>
          <div id="travel" hidden={!travelling}>
            {travelling && (
              <TravelPanel last={board.position} shown={past.accounts?.position ?? null} />
            )}
          </div>
          {shown === null ? (
            <PastPending problem={past.problem} />
          ) : shown.length === 0 ? (
            <EmptyAccounts past={inPast} mayMakeTokens={desk.status?.user?.role === "admin"} />
          ) : (
            <AccountsTable
              accounts={shown}
              clockOffset={desk.clockOffset}
              at={inPast ? (past.accounts?.at ?? null) : null}
              readOnly={inPast ? "past" : stale ? "stale" : viewer ? "viewer" : null}
              onToggle={onToggle}
            />
          )}
        </section>
        <EventList
          quiet={inPast ? pastQuiet : desk.quiet}
          all={inPast ? past.events : desk.all}
          loading={inPast ? past.loading : !desk.listed}
          until={inPast ? (past.accounts?.position ?? null) : null}
        />
      </div>
    </main>
  );
}

function PastPending({ problem }: { problem: Problem | null }) {
  const { t } = useSpeech();
  return <p className="empty-past">{problem ? t("travel.failed") : t("travel.loading")}</p>;
}

function Count({ accounts }: { accounts: readonly Account[] }) {
  const { t } = useSpeech();
  const masters = accounts.filter((account) => account.role === "master").length;
  return (
    <p className="panel-sub">
      {t("accounts.count", { masters, slaves: accounts.length - masters })}
    </p>
  );
}

function StaleBanner({ desk, onRetry }: { desk: Desk; onRetry: () => void }) {
  const { t } = useSpeech();
  const now = useNow();
  const { link } = desk;
  if (link.state !== "stale") return null;
  return (
    <section className="banner banner-stale">
      <div className="banner-text">
        <strong role="alert">{t("stale.title")}</strong>
        <span>{t("stale.text", { age: ageText(t, now - link.since) })}</span>
      </div>
      <div className="banner-buttons">
        <Retry link={link} onRetry={onRetry} />
      </div>
    </section>
  );
}

function HourglassIcon() {
  return (
    <svg className="icon" width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">
      <path
        d="M3.5 1.5h9M3.5 14.5h9M4.5 1.5v2.8L8 8l3.5-3.7V1.5M4.5 14.5v-2.8L8 8l3.5 3.7v2.8"
        fill="none"
        stroke="currentColor"
        strokeWidth="1.6"
        strokeLinecap="round"
        strokeLinejoin="round"
      />
    </svg>
  );
}
