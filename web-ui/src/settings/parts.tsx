import { useQueryClient } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { useSpeech } from "../i18n";
import { Dialog } from "../ui/dialog";
import { Icon } from "../ui/icons";
import { useToast } from "../ui/toast";

/** Does something, reads again what it may have changed, and says what went wrong. */
export function useAct(...keys: readonly string[]) {
  const client = useQueryClient();
  const toast = useToast();
  const [busy, setBusy] = useState(false);
  const act = async (what: () => Promise<unknown>, said?: string): Promise<boolean> => {
    setBusy(true);
    try {
      await what();
      if (said) toast.good(said);
      return true;
    } catch (error) {
      toast.bad(error);
      return false;
    } finally {
      await Promise.all(keys.map((key) => client.invalidateQueries({ queryKey: [key] })));
      setBusy(false);
    }
  };
  return { busy, act };
}

/** A button that asks once more before it does what cannot be undone. */
export function Sure(props: {
  label: string;
  title: string;
  text: ReactNode;
  disabled?: boolean;
  onSure: () => void;
}) {
  const { t } = useSpeech();
  const [open, setOpen] = useState(false);
  return (
    <>
      <button
        type="button"
        className="button small"
        disabled={props.disabled}
        onClick={() => setOpen(true)}
      >
        <Icon name="trash" size={15} /> {props.label}
      </button>
      {open && (
        <Dialog
          open
          tone="danger"
          onClose={() => setOpen(false)}
          title={props.title}
          lead={props.text}
        >
          <div className="stop-acts">
            <button type="button" className="button" onClick={() => setOpen(false)}>
              {t("action.cancel")}
            </button>
            <button
              type="button"
              className="button danger solid"
              onClick={() => {
                setOpen(false);
                props.onSure();
              }}
            >
              {props.label}
            </button>
          </div>
        </Dialog>
      )}
    </>
  );
}

/** A secret that is shown once. */
export function Once({
  title,
  value,
  hint,
  onClose,
}: {
  title: string;
  value: string;
  hint: string;
  onClose: () => void;
}) {
  const { t } = useSpeech();
  const toast = useToast();
  return (
    <Dialog open onClose={onClose} title={title} lead={hint}>
      <pre className="once" tabIndex={0}>
        <code>{value}</code>
      </pre>
      <div className="stop-acts">
        <button
          type="button"
          className="button primary"
          onClick={() => {
            navigator.clipboard.writeText(value).then(
              () => toast.good(t("table.copied")),
              (error) => toast.bad(error),
            );
          }}
        >
          <Icon name="copy" size={16} /> {t("action.copy")}
        </button>
      </div>
    </Dialog>
  );
}
