import * as Radix from "@radix-ui/react-dialog";
import { type ReactNode, useEffect } from "react";
import { useSpeech } from "../i18n";
import { Icon } from "./icons";

interface Props {
  open: boolean;
  onClose: () => void;
  title: string;
  lead?: ReactNode;
  wide?: boolean;
  tone?: "danger";
  children: ReactNode;
}

/** What is to be filled in comes first, not the button that closes. */
function focusFirst(event: Event) {
  const dialog = event.currentTarget;
  if (!(dialog instanceof HTMLElement)) return;
  const first = dialog.querySelector<HTMLElement>(
    "input:checked:enabled, input:enabled:not([type=radio]), select, textarea",
  );
  if (!first) return;
  event.preventDefault();
  first.focus();
}

/**
 * A dialog with its own shade: the one of Radix writes a `<style>` into the page, which the desk's
 * Content-Security-Policy forbids.
 */
export function Dialog({ open, onClose, title, lead, wide, tone, children }: Props) {
  const { t } = useSpeech();
  useEffect(() => {
    if (!open) return;
    document.body.classList.add("still");
    return () => document.body.classList.remove("still");
  }, [open]);
  const kind = [wide ? "dialog-wide" : "", tone ? `dialog-${tone}` : ""].join(" ");
  return (
    <Radix.Root open={open} onOpenChange={(next) => !next && onClose()}>
      <Radix.Portal>
        <div className="shade" aria-hidden="true" />
        <Radix.Content
          onOpenAutoFocus={focusFirst}
          className={`dialog ${kind}`}
          {...(lead ? {} : { "aria-describedby": undefined })}
        >
          <header className="dialog-head">
            <Radix.Title className="dialog-title">{title}</Radix.Title>
            <Radix.Close className="button square quiet" aria-label={t("action.close")}>
              <Icon name="close" />
            </Radix.Close>
          </header>
          {lead && (
            <Radix.Description asChild>
              <div className="lead">{lead}</div>
            </Radix.Description>
          )}
          {children}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  );
}
