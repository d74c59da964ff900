import { useQuery } from "@tanstack/react-query";
import { type FormEvent, useEffect, useState } from "react";
import { ask } from "../api/client";
import type { DeskEvent } from "../api/shapes";
import { useSpeech } from "../i18n";
import { useLive, usePast } from "../live/hooks";
import { Dialog } from "../ui/dialog";
import { Field } from "../ui/field";
import { Icon } from "../ui/icons";
import { Failed, Skeleton } from "../ui/states";
import { clock, dateTime, localInput, whole } from "../util/format";
import { eventWords } from "../util/words";
import { Link } from "./link";
import { setQuery } from "./router";

export const travelTo = (at: string | number) => setQuery({ at: String(at) }, "push");
export const backToNow = () => setQuery({ at: null }, "push");

const SCRUB = new Set([
  "ArrowLeft",
  "ArrowRight",
  "ArrowUp",
  "ArrowDown",
  "Home",
  "End",
  "PageUp",
  "PageDown",
]);

/** On every page: this is the past, when it was, and the ways from here. */
export function PastBar() {
  const { t, problem: say } = useSpeech();
  const past = usePast();
  const last = useLive((live) => Math.max(live.board.position, live.status?.position ?? 0));
  const position = past?.board?.position ?? null;
  const [scrubbed, setScrubbed] = useState<number | null>(null);
  const [changes, setChanges] = useState(false);
  // The slider shows where the page has come to, once it is there.
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new position takes the hand off
  useEffect(() => setScrubbed(null), [position]);
  if (!past) return null;
  const shown = scrubbed ?? position ?? last;
  const arrive = () => scrubbed !== null && travelTo(scrubbed);
  return (
    <section className="bar bar-past" aria-label={t("travel.title")}>
      <Icon name="history" />
      <div className="bar-text" role="status">
        {past.problem ? (
          <>
            <strong>{t("travel.failed")}</strong> <span>{say(past.problem)}</span>
          </>
        ) : position === null ? (
          <strong>{t("travel.loading")}</strong>
        ) : (
          <>
            <strong>{t("travel.banner", { position: whole(position) })}</strong>{" "}
            <span>{past.time !== null && t("travel.at", { time: dateTime(past.time) })}</span>
          </>
        )}
      </div>
      <div className="bar-tools">
        <button
          type="button"
          className="button square"
          aria-label={t("travel.older")}
          disabled={position === null || position <= 1}
          onClick={() => position !== null && travelTo(position - 1)}
        >
          <Icon name="left" />
        </button>
        <input
          type="range"
          className="scrub"
          aria-label={t("travel.slider")}
          aria-valuetext={t("travel.banner", { position: whole(shown) })}
          min={1}
          max={Math.max(1, last)}
          value={shown}
          onChange={(event) => setScrubbed(Number(event.target.value))}
          onPointerUp={arrive}
          onKeyUp={(event) => SCRUB.has(event.key) && arrive()}
        />
        <button
          type="button"
          className="button square"
          aria-label={t("travel.newer")}
          disabled={position === null || position >= last}
          onClick={() => position !== null && travelTo(position + 1)}
        >
          <Icon name="right" />
        </button>
        <button
          type="button"
          className="button"
          disabled={position === null}
          onClick={() => setChanges(true)}
        >
          {t("travel.since")}
        </button>
        <button type="button" className="button primary" onClick={backToNow}>
          {t("travel.back")}
        </button>
      </div>
      {changes && position !== null && (
        <Since position={position} last={last} onClose={() => setChanges(false)} />
      )}
    </section>
  );
}

/** What happened between the moment that is shown and now. */
function Since(props: { position: number; last: number; onClose: () => void }) {
  const speech = useSpeech();
  const { t, n } = speech;
  const events = useQuery({
    queryKey: ["since", props.position],
    queryFn: () =>
      ask("GET /api/events", {
        query: {
          from: props.position,
          limit: 200,
          class: "business",
          kind: "!command_answered,order_issued,state_differed,snapshot_taken,master_noted",
        },
      }),
  });
  const list = (events.data?.events ?? []) as DeskEvent[];
  return (
    <Dialog
      open
      wide
      onClose={props.onClose}
      title={t("travel.since")}
      lead={t("travel.since_lead", {
        events: n("count.event", Math.max(0, props.last - props.position)),
      })}
    >
      {events.isPending ? (
        <Skeleton rows={6} height={22} />
      ) : events.error ? (
        <Failed error={events.error} retry={() => void events.refetch()} />
      ) : (
        <ol className="told">
          {list.map((event) => (
            <li key={event.position}>
              <span className="told-when">{clock(event.recorded_at)}</span>
              <Link to={`/log/${event.position}`} onClick={props.onClose}>
                {eventWords(event, speech)}
              </Link>
            </li>
          ))}
          {events.data?.next != null && (
            <li>
              <Link
                to="/log"
                query={{ from: String(props.position), at: null }}
                onClick={props.onClose}
              >
                {t("travel.since_more")}
              </Link>
            </li>
          )}
        </ol>
      )}
    </Dialog>
  );
}

/** Asks for a moment: a position, or a time. */
export function TravelDialog({ onClose }: { onClose: () => void }) {
  const { t } = useSpeech();
  const last = useLive((live) => Math.max(live.board.position, live.status?.position ?? 0));
  const offset = useLive((live) => live.offset);
  const [by, setBy] = useState<"time" | "position">("time");
  const [position, setPosition] = useState(String(Math.max(1, last - 100)));
  const [time, setTime] = useState(() => localInput((Date.now() + offset - 300_000) * 1000));
  const [error, setError] = useState<string | null>(null);

  function submit(event: FormEvent) {
    event.preventDefault();
    if (by === "position") {
      const wanted = /^\d+$/.test(position.trim()) ? Number(position) : Number.NaN;
      if (!(wanted >= 1 && wanted <= last)) {
        return setError(t("travel.bad_position", { last: whole(last) }));
      }
      travelTo(wanted);
    } else {
      const at = new Date(time);
      if (Number.isNaN(at.getTime())) return setError(t("travel.bad_time"));
      travelTo(at.toISOString());
    }
    onClose();
  }

  return (
    <Dialog open onClose={onClose} title={t("travel.title")} lead={t("travel.lead")}>
      <form onSubmit={submit} className="stack" noValidate>
        <fieldset className="segments">
          <legend className="hidden">{t("travel.by")}</legend>
          {(["time", "position"] as const).map((choice) => (
            <label key={choice} className={by === choice ? "is-chosen" : undefined}>
              <input
                type="radio"
                name="by"
                checked={by === choice}
                onChange={() => {
                  setBy(choice);
                  setError(null);
                }}
              />
              {t(`travel.${choice}`)}
            </label>
          ))}
        </fieldset>
        {by === "position" ? (
          <Field
            label={t("travel.position")}
            inputMode="numeric"
            autoComplete="off"
            value={position}
            onChange={(event) => setPosition(event.target.value)}
            error={error}
          />
        ) : (
          <>
            <Field
              label={t("travel.time")}
              type="datetime-local"
              step={1}
              value={time}
              onChange={(event) => setTime(event.target.value)}
              error={error}
            />
            <div className="chips">
              {["1m", "10m", "1h", "1d"].map((span) => (
                <button
                  key={span}
                  type="button"
                  className="chip"
                  onClick={() => {
                    travelTo(`${span} ago`);
                    onClose();
                  }}
                >
                  {t("travel.ago", { span })}
                </button>
              ))}
            </div>
          </>
        )}
        <button type="submit" className="button primary">
          {t("travel.go")}
        </button>
      </form>
    </Dialog>
  );
}
