import { type Speech, useSpeech } from "../i18n";
import { age, dateTime } from "../util/format";
import { useNow } from "../util/hooks";

interface Props {
  since: number | null;
  /** The server's clock minus ours. */
  offset: number;
  /** A past moment to reckon from instead of now. */
  at: number | null;
  /** Milliseconds from which the age is worth a warning. */
  late?: number;
}

export function Age({ since, offset, at, late = Number.POSITIVE_INFINITY }: Props) {
  const { t } = useSpeech();
  const now = useNow();
  if (since === null) return <span className="muted">{t("accounts.never")}</span>;
  const ms = (at ?? now + offset) - since;
  return (
    <time
      className={ms >= late ? "late" : undefined}
      dateTime={new Date(since).toISOString()}
      title={dateTime(since)}
    >
      {ageText(t, ms)}
    </time>
  );
}

export function ageText(t: Speech["t"], ms: number): string {
  const { value, unit } = age(ms);
  return t(`age.${unit}`, { value });
}
