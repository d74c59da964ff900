import { type FormEvent, useEffect, useMemo, useRef, useState } from "react";
import { ask, asProblem, newKey } from "../api/client";
import type { StopDegree } from "../api/shapes";
import { useSpeech } from "../i18n";
import { useBoard, useReadOnly } from "../live/hooks";
import { Dialog } from "../ui/dialog";
import { Field } from "../ui/field";
import { Icon } from "../ui/icons";
import { Failed } from "../ui/states";
import { useToast } from "../ui/toast";
import { useNow } from "../util/clock";
import { degree as degreeWords } from "../util/words";

const DEGREES: readonly StopDegree[] = ["pause", "cancel", "flatten"];
const STRENGTH: Record<StopDegree, number> = { pause: 1, cancel: 2, flatten: 3 };
/** How long a STOP that was armed waits to be fired. */
const ARMED_MS = 15_000;

/** What STOP would touch, as far as the board tells it. */
function useTouched() {
  const members = useBoard((board) => board.members);
  return useMemo(() => {
    let copies = 0;
    let orders = 0;
    const slaves = new Set<string>();
    const links = members.size;
    for (const member of members.values()) {
      copies += member.open_copies;
      orders += member.orders_open;
      if (member.allow_new_orders) slaves.add(member.slave_account);
    }
    return { copies, orders, slaves: slaves.size, links };
  }, [members]);
}

export function StopButton({ open, setOpen }: { open: boolean; setOpen: (open: boolean) => void }) {
  const { t } = useSpeech();
  const stopped = useBoard((board) => board.desk?.stopped ?? null);
  return (
    <>
      <button
        type="button"
        className={stopped ? "stop-button is-stopped" : "stop-button"}
        aria-keyshortcuts="!"
        onClick={() => setOpen(true)}
      >
        <Icon name={stopped ? "play" : "stop"} />
        <span>{stopped ? t("stop.resume") : t("stop.stop")}</span>
      </button>
      {open && <StopDialog stopped={stopped} onClose={() => setOpen(false)} />}
    </>
  );
}

function StopDialog({ stopped, onClose }: { stopped: StopDegree | null; onClose: () => void }) {
  const { t } = useSpeech();
  const began = useRef(stopped).current;
  const [mode, setMode] = useState<"stop" | "resume">(stopped ? "resume" : "stop");
  return (
    <Dialog
      open
      onClose={onClose}
      tone="danger"
      wide
      title={mode === "stop" ? t("stop.title") : t("stop.resume_title")}
    >
      {began && (
        <div className="segments" role="tablist" aria-label={t("stop.title")}>
          {(["resume", "stop"] as const).map((one) => (
            <button
              key={one}
              type="button"
              role="tab"
              aria-selected={mode === one}
              onClick={() => setMode(one)}
            >
              {t(one === "stop" ? "stop.further" : "stop.resume")}
            </button>
          ))}
        </div>
      )}
      {mode === "stop" ? (
        <StopForm stopped={stopped} onDone={onClose} />
      ) : (
        <ResumeForm onDone={onClose} />
      )}
    </Dialog>
  );
}

/** Arm, then fire: two acts, and nothing but the keyboard is needed for either. */
function StopForm({ stopped, onDone }: { stopped: StopDegree | null; onDone: () => void }) {
  const speech = useSpeech();
  const { t, n } = speech;
  const readOnly = useReadOnly();
  const toast = useToast();
  const touched = useTouched();
  const least = stopped ? STRENGTH[stopped] : 0;
  const [degree, setDegree] = useState<StopDegree>(
    DEGREES.find((one) => STRENGTH[one] > least) ?? "flatten",
  );
  const [reason, setReason] = useState("");
  const [armed, setArmed] = useState<{ until: number; key: string } | null>(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const fire = useRef<HTMLButtonElement>(null);
  const now = useNow();
  const left = armed ? Math.max(0, Math.ceil((armed.until - now) / 1000)) : 0;

  useEffect(() => {
    if (armed) fire.current?.focus();
  }, [armed]);
  useEffect(() => {
    if (armed && !busy && left === 0) setArmed(null);
  }, [armed, busy, left]);

  async function submit(event: FormEvent) {
    event.preventDefault();
    if (!armed) {
      setArmed({ until: Date.now() + ARMED_MS, key: newKey() });
      return;
    }
    setBusy(true);
    setError(null);
    try {
      const answer = await ask("POST /api/stop", {
        body: { degree, reason: reason.trim() || t("stop.no_reason") },
        key: armed.key,
      });
      const beside = answer.recorded === "log" ? "" : ` ${t(`stop.recorded.${answer.recorded}`)}`;
      toast.good(t("stop.done", { degree: degreeWords(answer.acted, t) }) + beside);
      onDone();
    } catch (failure) {
      setError(asProblem(failure));
      setBusy(false);
      setArmed(null);
    }
  }

  const reach: Record<StopDegree, string> = {
    pause: t("stop.touches.pause", {
      slaves: n("count.slave", touched.slaves),
      links: n("count.link", touched.links),
    }),
    cancel: t("stop.touches.cancel", { orders: n("count.order", touched.orders) }),
    flatten: t("stop.touches.flatten", { copies: n("count.copy", touched.copies) }),
  };

  return (
    <form onSubmit={submit} className="stack">
      <fieldset className="degrees" disabled={armed !== null}>
        <legend>{t("stop.degree")}</legend>
        {DEGREES.map((one) => (
          <label key={one} className={degree === one ? "degree is-chosen" : "degree"}>
            <input
              type="radio"
              name="degree"
              value={one}
              checked={degree === one}
              disabled={STRENGTH[one] <= least}
              onChange={() => setDegree(one)}
            />
            <span>
              <strong>{t(`stop.degree.${one}`)}</strong>
              <span className="muted">{t(`stop.says.${one}`)}</span>
              <span className="degree-reach">{reach[one]}</span>
            </span>
          </label>
        ))}
      </fieldset>
      <Field
        label={t("stop.reason")}
        hint={t("stop.reason_hint")}
        value={reason}
        maxLength={200}
        disabled={armed !== null}
        onChange={(event) => setReason(event.target.value)}
      />
      {error !== null && <Failed error={error} />}
      {readOnly && <p className="note">{t(`read_only.${readOnly}`)}</p>}
      <div className="stop-acts" aria-live="polite">
        {armed ? (
          <>
            <button type="button" className="button" disabled={busy} onClick={() => setArmed(null)}>
              {t("stop.disarm")}
            </button>
            <button ref={fire} type="submit" className="button danger solid fire" disabled={busy}>
              <Icon name="stop" /> {t("stop.fire", { degree: t(`stop.degree.${degree}`) })}
              <span className="fire-left">{t("age.s", { value: left })}</span>
            </button>
          </>
        ) : (
          <button
            type="submit"
            className="button danger"
            disabled={readOnly !== null || STRENGTH[degree] <= least}
          >
            {t("stop.arm")}
          </button>
        )}
      </div>
      <p className="hint">{armed ? t("stop.armed_hint") : t("stop.arm_hint")}</p>
    </form>
  );
}

function ResumeForm({ onDone }: { onDone: () => void }) {
  const { t } = useSpeech();
  const readOnly = useReadOnly();
  const toast = useToast();
  const desk = useBoard((board) => board.desk);
  const [reason, setReason] = useState("");
  const [missing, setMissing] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const key = useRef(newKey());

  async function submit(event: FormEvent) {
    event.preventDefault();
    setMissing(reason.trim() === "");
    if (reason.trim() === "") return;
    setBusy(true);
    try {
      await ask("POST /api/resume", { body: { reason: reason.trim() }, key: key.current });
      toast.good(t("stop.resumed"));
      onDone();
    } catch (failure) {
      setError(asProblem(failure));
      setBusy(false);
    }
  }

  return (
    <form onSubmit={submit} className="stack">
      <p className="lead">
        {t("stop.is", {
          degree: degreeWords(desk?.stopped, t),
          reason: desk?.stop_reason ?? t("stop.no_reason"),
        })}
      </p>
      <p className="hint">{t(desk?.stopped === "pause" ? "stop.undo_pause" : "stop.undo_rest")}</p>
      <Field
        label={t("stop.reason")}
        value={reason}
        maxLength={200}
        autoFocus
        error={missing ? t("stop.reason_missing") : null}
        onChange={(event) => setReason(event.target.value)}
      />
      {error !== null && <Failed error={error} />}
      {readOnly && <p className="note">{t(`read_only.${readOnly}`)}</p>}
      <div className="stop-acts">
        <button type="submit" className="button primary" disabled={busy || readOnly !== null}>
          <Icon name="play" /> {t("stop.resume")}
        </button>
      </div>
    </form>
  );
}
