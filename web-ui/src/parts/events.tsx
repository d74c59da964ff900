import { memo, useState } from "react";
import type { DeskEvent } from "../api/types";
import { type Speech, useSpeech } from "../i18n";
import { LIST_LENGTH } from "../live/desk";
import { status, subjectOf } from "../live/reduce";
import { brief, clock, dateTime, whole } from "../util/format";

interface Props {
  quiet: readonly DeskEvent[];
  all: readonly DeskEvent[];
  loading: boolean;
  /** The last position shown, when it is not now. */
  until: number | null;
}

export function EventList({ quiet, all, loading, until }: Props) {
  const { t } = useSpeech();
  const [heartbeats, setHeartbeats] = useState(false);
  const shown = heartbeats ? all : quiet;
  return (
    <section className="panel events" aria-labelledby="events-title">
      <header className="panel-head">
        <div>
          <h2 id="events-title">{t("events.title")}</h2>
          <p className="panel-sub">
            {until === null
              ? t("events.live", { count: LIST_LENGTH })
              : t("events.past", { position: whole(until) })}
          </p>
        </div>
        <label className="check">
          <input
            type="checkbox"
            checked={heartbeats}
            onChange={(event) => setHeartbeats(event.target.checked)}
          />
          {t("events.heartbeats")}
        </label>
      </header>
      {shown.length === 0 ? (
        <p className="events-empty">{loading ? t("events.loading") : t("events.empty")}</p>
      ) : (
        <ol className="event-list">
          {shown.map((event) => (
            <EventItem key={event.position} event={event} />
          ))}
        </ol>
      )}
    </section>
  );
}

const EventItem = memo(function EventItem({ event }: { event: DeskEvent }) {
  const speech = useSpeech();
  const { t } = speech;
  const [open, setOpen] = useState(false);
  const by = brief(event.by);
  const byPerson = by !== "" && by !== "desk" && by !== "terminal";
  return (
    <li className={`event tone-${tone(event)}`}>
      <details onToggle={(change) => setOpen(change.currentTarget.open)}>
        <summary>
          <time
            dateTime={new Date(event.recorded_at).toISOString()}
            title={dateTime(event.recorded_at)}
          >
            {clock(event.recorded_at)}
          </time>
          <span className="event-words">
            <span className="event-what">{words(event, speech)}</span>
            <span className="event-who">
              {subjectOf(event)?.account ?? event.stream}
              {byPerson && <> · {t("events.by", { who: by })}</>}
            </span>
          </span>
          <span className="event-position">{whole(event.position)}</span>
        </summary>
        {open && <Details event={event} />}
      </details>
    </li>
  );
});

function Details({ event }: { event: DeskEvent }) {
  const { t } = useSpeech();
  const by = brief(event.by);
  const rows: [string, string][] = [
    [t("events.stream"), event.stream],
    [t("events.version"), String(event.version)],
    [t("events.received"), event.received_at === null ? "" : dateTime(event.received_at)],
    [t("events.recorded"), dateTime(event.recorded_at)],
    [t("events.author"), by],
    [t("events.command"), event.command_id ?? ""],
    [t("events.id"), event.event_id],
  ];
  return (
    <div className="event-details">
      <dl aria-label={t("events.details", { position: event.position })}>
        {rows
          .filter(([, value]) => value)
          .map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
      <p className="event-kind">
        {event.kind}/{event.schema}
      </p>
      <pre>
        <code>{JSON.stringify(event.payload, null, 2)}</code>
      </pre>
    </div>
  );
}

/** An event in words. */
function words(event: DeskEvent, { t, code }: Speech): string {
  if (event.kind === "intent_set" && typeof event.payload?.enabled === "boolean") {
    return t(event.payload.enabled ? "event.intent_on" : "event.intent_off");
  }
  if (event.kind === "status_changed") {
    const runtime = status(event.payload?.new);
    if (runtime !== undefined) return t("event.status_to", { status: t(`status.${runtime}`) });
  }
  return code("event", event.kind);
}

function tone(event: DeskEvent): "good" | "warn" | "bad" | "plain" {
  switch (event.kind) {
    case "account_online":
    case "desk_unlocked":
      return "good";
    case "account_offline":
    case "desk_locked":
      return "bad";
    case "account_unregistered":
      return "warn";
    case "status_changed": {
      const runtime = status(event.payload?.new);
      return runtime === 2 ? "good" : runtime === undefined ? "plain" : "warn";
    }
    default:
      return "plain";
  }
}
