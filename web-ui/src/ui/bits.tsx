import type { ReactNode } from "react";
import { useSpeech } from "../i18n";
import { useLive, usePast } from "../live/hooks";
import { useNow } from "../util/clock";
import { dateTime, money } from "../util/format";
import { Icon, type IconName } from "./icons";
import { Tip } from "./tip";

/** How long ago, of microseconds; reckoned from the moment that the page shows. */
export function Ago({ at, late }: { at: number | null | undefined; late?: number }) {
  const { t, ago } = useSpeech();
  const past = usePast();
  const offset = useLive((live) => live.offset);
  const now = useNow();
  if (at == null) return <span className="muted">{t("age.never")}</span>;
  const from = past ? (past.time ?? at) / 1000 : now + offset;
  const ms = from - at / 1000;
  const isLate = late !== undefined && ms >= late;
  return (
    <time
      className={isLate ? "late" : undefined}
      dateTime={new Date(at / 1000).toISOString()}
      title={dateTime(at)}
    >
      {ago(ms)}
    </time>
  );
}

export type Tone = "good" | "wait" | "warn" | "bad" | "off";

const MARKS: Record<Tone, IconName> = {
  good: "check",
  wait: "wait",
  warn: "warn",
  bad: "warn",
  off: "off",
};

/** A state in a word, a sign and a colour: never by colour alone. */
export function Badge(props: { tone: Tone; children: ReactNode; icon?: IconName }) {
  return (
    <span className={`badge badge-${props.tone}`}>
      <Icon name={props.icon ?? MARKS[props.tone]} size={13} />
      {props.children}
    </span>
  );
}

/** What of an intent and a runtime status has become: Manual off, Standby, Streaming, Receiving. */
export function StatusBadge(props: { role: "master" | "slave"; enabled: boolean; status: number }) {
  const { t } = useSpeech();
  if (!props.enabled) return <Badge tone="off">{t("status.manual_off")}</Badge>;
  if (props.status === 2) {
    return (
      <Badge tone="good" icon="bolt">
        {t(props.role === "master" ? "status.streaming" : "status.receiving")}
      </Badge>
    );
  }
  if (props.status === 1) return <Badge tone="wait">{t("status.standby")}</Badge>;
  return <Badge tone="warn">{t("status.blocked")}</Badge>;
}

const TONES: Record<string, Tone> = {
  online: "good",
  registered: "wait",
  lost: "bad",
  never: "off",
  unregistered: "off",
};

export function ConnectionBadge({ connection }: { connection: string }) {
  const { t } = useSpeech();
  const known = connection in TONES ? (connection as "online") : null;
  return (
    <Badge
      tone={TONES[connection] ?? "off"}
      {...(connection === "online" ? { icon: "check" } : {})}
    >
      {known ? t(`connection.${known}`) : connection}
    </Badge>
  );
}

/** Every warning with what to do about it. */
export function Warnings({ codes, plain }: { codes: readonly string[]; plain?: boolean }) {
  const { code, known } = useSpeech();
  if (codes.length === 0) return null;
  return (
    <ul className={plain ? "warnings warnings-plain" : "warnings"}>
      {codes.map((warning) => (
        <li key={warning}>
          <Icon name="warn" size={14} />
          <span>
            <span className="warning-text">{code("warning", warning)}</span>{" "}
            {!plain && <span className="warning-remedy">{known("remedy", warning)}</span>}
          </span>
          <code className="warning-code">{warning}</code>
        </li>
      ))}
    </ul>
  );
}

export function WarningChips({ codes }: { codes: readonly string[] }) {
  const { code, known } = useSpeech();
  return (
    <span className="chips">
      {codes.map((warning) => (
        <Tip key={warning} text={known("remedy", warning) ?? warning}>
          <button type="button" className="chip chip-warn">
            <Icon name="warn" size={12} />
            {code("warning", warning)}
          </button>
        </Tip>
      ))}
    </span>
  );
}

/** Money in tabular figures; with `signed`, coloured by what the reader calls good. */
export function Money(props: {
  amount: string | null | undefined;
  currency?: string | null;
  signed?: boolean;
  places?: number;
}) {
  if (props.amount == null) return <span className="muted">–</span>;
  const negative = props.amount.startsWith("-");
  const zero = /^-?[0.]*$/.test(props.amount);
  const tone = !props.signed || zero ? "" : negative ? " pnl-down" : " pnl-up";
  const sign = props.signed && !negative && !zero ? "+" : "";
  return (
    <span className={`figure${tone}`}>
      {sign}
      {money(props.amount, props.places ?? 2)}
      {props.currency && <span className="unit"> {props.currency}</span>}
    </span>
  );
}

export function Stat(props: { label: string; children: ReactNode; hint?: ReactNode; tone?: Tone }) {
  return (
    <div className={props.tone ? `stat stat-${props.tone}` : "stat"}>
      <dt>{props.label}</dt>
      <dd>{props.children}</dd>
      {props.hint && <dd className="hint">{props.hint}</dd>}
    </div>
  );
}

/** How much of something allowed is used; said in figures, too. */
export function Gauge({ percent, label }: { percent: number; label: string }) {
  const tone = percent >= 100 ? "bad" : percent >= 80 ? "warn" : "good";
  return (
    <div
      className={`gauge gauge-${tone}`}
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(Math.min(100, Math.max(0, percent)))}
    >
      <div className="gauge-fill" style={{ width: `${Math.min(100, Math.max(0, percent))}%` }} />
    </div>
  );
}

/** The page's head: what it is, and what can be done with it. */
export function Head(props: { title: ReactNode; lead?: ReactNode; children?: ReactNode }) {
  return (
    <header className="page-head">
      <div className="page-title">
        <h1>{props.title}</h1>
        {props.lead && <p className="muted">{props.lead}</p>}
      </div>
      {props.children && <div className="page-tools">{props.children}</div>}
    </header>
  );
}

export function Card(props: {
  title: ReactNode;
  tools?: ReactNode;
  children: ReactNode;
  id?: string;
}) {
  return (
    <section className="card" {...(props.id ? { id: props.id } : {})}>
      <header className="card-head">
        <h2>{props.title}</h2>
        {props.tools}
      </header>
      {props.children}
    </section>
  );
}
