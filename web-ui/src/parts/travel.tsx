import { type FormEvent, useEffect, useState } from "react";
import { api, asProblem, type Problem } from "../api/client";
import type { Accounts, DeskEvent } from "../api/types";
import { useSpeech } from "../i18n";
import { LIST_LENGTH } from "../live/desk";
import { dateTime, localInput, whole } from "../util/format";
import { go } from "../util/hooks";
import { Field } from "./field";

export interface Past {
  accounts: Accounts | null;
  events: readonly DeskEvent[];
  loading: boolean;
  problem: Problem | null;
}

const NOW: Past = { accounts: null, events: [], loading: false, problem: null };

/** The desk as of a moment. Keeps the last moment on screen until the next has come. */
export function usePast(asOf: string | null): Past {
  const [past, setPast] = useState(NOW);
  useEffect(() => {
    if (asOf === null) {
      setPast(NOW);
      return;
    }
    let current = true;
    setPast((old) => ({ ...old, loading: true, problem: null }));
    void load(asOf)
      .catch((error) => ({ ...NOW, problem: asProblem(error) }))
      .then((news) => {
        if (current) setPast((old) => ({ ...old, ...news }));
      });
    return () => {
      current = false;
    };
  }, [asOf]);
  return past;
}

async function load(asOf: string): Promise<Past> {
  const accounts = await api.accounts(asOf);
  const window = 2 * LIST_LENGTH;
  const from = Math.max(0, accounts.position - window);
  const page = accounts.position > 0 ? await api.eventsFrom(from, window + 1) : null;
  const events = (page?.events ?? [])
    .filter((event) => event.position <= accounts.position)
    .sort((a, b) => b.position - a.position)
    .slice(0, window);
  return { accounts, events, loading: false, problem: null };
}

export const travelTo = (asOf: string | number) =>
  go(`#/?as_of=${encodeURIComponent(String(asOf))}`);
export const backToNow = () => go("#/");

export function TravelPanel({ last, shown }: { last: number; shown: number | null }) {
  const { t } = useSpeech();
  const [by, setBy] = useState<"position" | "time">("position");
  const [position, setPosition] = useState(String(shown ?? last));
  const [time, setTime] = useState(() => localInput(Date.now() - 60_000));
  const [error, setError] = useState<string | null>(null);

  useEffect(() => {
    if (shown !== null) setPosition(String(shown));
  }, [shown]);

  function submit(event: FormEvent) {
    event.preventDefault();
    setError(null);
    if (by === "position") {
      const wanted = /^\d+$/.test(position.trim()) ? Number(position) : Number.NaN;
      if (!(wanted <= last)) return setError(t("travel.bad_position", { last: whole(last) }));
      travelTo(wanted);
    } else {
      const at = new Date(time);
      if (Number.isNaN(at.getTime())) return setError(t("travel.bad_time"));
      travelTo(at.toISOString());
    }
  }

  const scrubbed = /^\d+$/.test(position) ? Math.min(Number(position), last) : last;
  return (
    <form className="travel" onSubmit={submit} noValidate aria-label={t("travel.title")}>
      <p className="lead">{t("travel.lead")}</p>
      <fieldset className="segments">
        <legend className="hidden">{t("travel.by")}</legend>
        {(["position", "time"] as const).map((choice) => (
          <label key={choice}>
            <input
              type="radio"
              name="travel-by"
              checked={by === choice}
              onChange={() => {
                setBy(choice);
                setError(null);
              }}
            />
            <span>{t(`travel.${choice}`)}</span>
          </label>
        ))}
      </fieldset>
      {by === "position" ? (
        <>
          <Field
            label={t("travel.position")}
            name="position"
            inputMode="numeric"
            autoComplete="off"
            value={position}
            onChange={(event) => setPosition(event.target.value)}
            error={error}
          />
          <label className="scrub">
            <span className="hidden">{t("travel.slider")}</span>
            <input
              type="range"
              min={0}
              max={last}
              value={scrubbed}
              onChange={(event) => setPosition(event.target.value)}
              onPointerUp={() => travelTo(scrubbed)}
              onKeyUp={(event) => {
                if (SCRUB_KEYS.has(event.key)) travelTo(scrubbed);
              }}
            />
          </label>
        </>
      ) : (
        <Field
          label={t("travel.time")}
          name="time"
          type="datetime-local"
          step={1}
          value={time}
          onChange={(event) => setTime(event.target.value)}
          error={error}
        />
      )}
      <button type="submit" className="button primary">
        {t("travel.go")}
      </button>
    </form>
  );
}

const SCRUB_KEYS = new Set([
  "ArrowLeft",
  "ArrowRight",
  "ArrowUp",
  "ArrowDown",
  "Home",
  "End",
  "PageUp",
  "PageDown",
]);

export function PastBanner({ past, last }: { past: Past; last: number }) {
  const { t, problem: say } = useSpeech();
  const at = past.accounts;
  return (
    <section className="banner banner-past" role="status">
      <div className="banner-text">
        {past.problem ? (
          <>
            <strong>{t("travel.failed")}</strong>
            <span>{say(past.problem)}</span>
          </>
        ) : at ? (
          <>
            <strong>{t("travel.banner", { position: whole(at.position) })}</strong>
            <span>{t("travel.at", { time: dateTime(at.at) })}</span>
          </>
        ) : (
          <strong>{t("travel.loading")}</strong>
        )}
      </div>
      <div className="banner-buttons">
        {at && (
          <>
            <button
              type="button"
              className="button square"
              aria-label={t("travel.older")}
              title={t("travel.older")}
              disabled={at.position <= 0}
              onClick={() => travelTo(at.position - 1)}
            >
              ◂
            </button>
            <button
              type="button"
              className="button square"
              aria-label={t("travel.newer")}
              title={t("travel.newer")}
              disabled={at.position >= last}
              onClick={() => travelTo(at.position + 1)}
            >
              ▸
            </button>
          </>
        )}
        <button type="button" className="button primary" onClick={backToNow}>
          {t("travel.back")}
        </button>
      </div>
    </section>
  );
}
