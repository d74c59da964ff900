import { type FormEvent, useEffect, useRef, useState } from "react";
import { asProblem, type Problem } from "../api/client";
import { useSpeech } from "../i18n";
import { Field } from "./field";

interface Props {
  locked: boolean;
  disabled: boolean;
  onLock: (locked: boolean, reason: string) => Promise<void>;
}

/** The desk's lock: always asks why, in both directions. */
export function LockButton({ locked, disabled, onLock }: Props) {
  const { t } = useSpeech();
  const [wish, setWish] = useState<"lock" | "unlock" | null>(null);
  return (
    <>
      <button
        type="button"
        className={locked ? "button" : "button danger"}
        disabled={disabled}
        onClick={() => setWish(locked ? "unlock" : "lock")}
      >
        <LockIcon open={locked} />
        {locked ? t("lock.unlock") : t("lock.lock")}
      </button>
      {wish && <LockDialog wish={wish} onLock={onLock} onClose={() => setWish(null)} />}
    </>
  );
}

function LockDialog({
  wish,
  onLock,
  onClose,
}: {
  wish: "lock" | "unlock";
  onLock: Props["onLock"];
  onClose: () => void;
}) {
  const { t, problem: say } = useSpeech();
  const dialog = useRef<HTMLDialogElement>(null);
  const [reason, setReason] = useState("");
  const [missing, setMissing] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);

  useEffect(() => {
    const element = dialog.current;
    if (element && !element.open) element.showModal();
  }, []);

  async function submit(event: FormEvent) {
    event.preventDefault();
    const text = reason.trim();
    setMissing(text === "");
    setProblem(null);
    if (text === "") return;
    setBusy(true);
    try {
      await onLock(wish === "lock", text);
      dialog.current?.close();
    } catch (error) {
      setProblem(asProblem(error));
      setBusy(false);
    }
  }

  const atReason = problem?.field === "reason" ? say(problem) : null;
  return (
    <dialog ref={dialog} aria-labelledby="lock-title" onClose={onClose}>
      <form onSubmit={submit} noValidate>
        <h2 id="lock-title">{t(`lock.title_${wish}`)}</h2>
        <p className="lead">{t(`lock.text_${wish}`)}</p>
        <Field
          label={t("lock.reason")}
          name="reason"
          maxLength={500}
          autoComplete="off"
          required
          value={reason}
          onChange={(event) => setReason(event.target.value)}
          error={missing && reason.trim() === "" ? t("lock.reason_missing") : atReason}
        />
        {problem && !atReason && (
          <p className="form-error" role="alert">
            {say(problem)}
          </p>
        )}
        <div className="dialog-buttons">
          <button type="button" className="button" onClick={() => dialog.current?.close()}>
            {t("lock.cancel")}
          </button>
          <button
            type="submit"
            className={wish === "lock" ? "button danger solid" : "button primary"}
            disabled={busy}
          >
            {busy ? t("lock.busy") : t(`lock.${wish}`)}
          </button>
        </div>
      </form>
    </dialog>
  );
}

export function LockIcon({ open }: { open: boolean }) {
  return (
    <svg className="icon" width="16" height="16" viewBox="0 0 16 16" aria-hidden="true">
      <rect x="3" y="7" width="10" height="7" rx="1.5" fill="currentColor" />
      <path
        d={open ? "M5 7V5a3 3 0 0 1 5.8-1" : "M5 7V5a3 3 0 0 1 6 0v2"}
        fill="none"
        stroke="currentColor"
        strokeWidth="1.8"
        strokeLinecap="round"
      />
    </svg>
  );
}
