import { type FormEvent, useRef, useState } from "react";
import { ask, newKey } from "../api/client";
import { useSpeech } from "../i18n";
import { useBoard, useReadOnly } from "../live/hooks";
import { Dialog } from "../ui/dialog";
import { Field } from "../ui/field";
import { Failed } from "../ui/states";

export function LockDialog({ onClose }: { onClose: () => void }) {
  const { t } = useSpeech();
  const readOnly = useReadOnly();
  const locked = useBoard((board) => board.desk?.locked ?? false);
  const began = useRef(locked).current;
  const key = useRef(newKey());
  const [reason, setReason] = useState("");
  const [missing, setMissing] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);

  async function submit(event: FormEvent) {
    event.preventDefault();
    setMissing(reason.trim() === "");
    if (reason.trim() === "") return;
    setBusy(true);
    try {
      await ask("POST /api/lock", {
        body: { locked: !began, reason: reason.trim() },
        key: key.current,
      });
      onClose();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  }

  return (
    <Dialog
      open
      onClose={onClose}
      title={t(began ? "lock.title_unlock" : "lock.title_lock")}
      lead={t(began ? "lock.text_unlock" : "lock.text_lock")}
    >
      <form onSubmit={submit} className="stack">
        <Field
          label={t("lock.reason")}
          value={reason}
          maxLength={200}
          autoFocus
          error={missing ? t("lock.reason_missing") : null}
          onChange={(event) => setReason(event.target.value)}
        />
        {error !== null && <Failed error={error} />}
        {readOnly && <p className="note">{t(`read_only.${readOnly}`)}</p>}
        <button type="submit" className="button primary" disabled={busy || readOnly !== null}>
          {t(began ? "lock.unlock" : "lock.lock")}
        </button>
      </form>
    </Dialog>
  );
}
