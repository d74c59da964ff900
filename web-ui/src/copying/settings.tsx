import { type ReactNode, useState } from "react";
import type { Effective } from "../api/shapes";
import { useSpeech } from "../i18n";
import { Badge } from "../ui/bits";
import { Icon } from "../ui/icons";

export interface FieldOf {
  name: string;
  meaning: string;
  default: unknown;
}

/** Settings whose value is one of a few words. */
const CHOICES: Record<string, readonly string[]> = {
  mode: ["off", "observe", "live"],
  sides: ["both", "buy", "sell"],
  below_min: ["skip", "force"],
  above_max: ["clamp", "split"],
  copy_sl: ["price", "distance", "off"],
  copy_tp: ["price", "distance", "off"],
  wind_down: ["keep", "close_only_by_position", "close_only_by_symbol", "close_now"],
};

export const VOLUMES = [
  "multiplier",
  "fixed",
  "ratio_equity",
  "ratio_balance",
  "ratio_free_margin",
  "multiplier_notional",
  "risk_percent",
  "leverage",
] as const;

/** A value as a person reads it. */
export function valueWords(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? "–" : value.map(valueWords).join(", ");
  if (value && typeof value === "object") {
    return Object.entries(value)
      .map(([key, inner]) => `${key} ${valueWords(inner)}`)
      .join(", ");
  }
  return value === "" || value === null || value === undefined ? "–" : String(value);
}

interface Props {
  fields: readonly FieldOf[];
  effective: Record<string, Effective>;
  /** What this layer sets itself. */
  own: Record<string, unknown>;
  layer: Effective["from"];
  readOnly: boolean;
  onSave: (own: Record<string, unknown>) => Promise<void>;
}

/** Every setting with what is in force and where that comes from; each can be set here, or left to others. */
export function SettingsTable({ fields, effective, own, layer, readOnly, onSave }: Props) {
  const { t, known, code, language } = useSpeech();
  const [editing, setEditing] = useState<string | null>(null);
  const [filter, setFilter] = useState("");
  const [busy, setBusy] = useState(false);
  const words = filter.toLowerCase();
  const shown = fields.filter((field) => {
    const text = `${field.name} ${field.meaning} ${known("setting_meaning", field.name) ?? ""}`;
    return text.toLowerCase().includes(words);
  });
  const save = async (name: string, value: unknown) => {
    const next = { ...own };
    if (value === undefined) delete next[name];
    else next[name] = value;
    setBusy(true);
    try {
      await onSave(next);
      setEditing(null);
    } finally {
      setBusy(false);
    }
  };
  return (
    <div>
      <label className="filter filter-alone">
        <Icon name="search" size={16} />
        <span className="hidden">{t("table.filter")}</span>
        <input
          type="search"
          data-filter
          placeholder={t("table.filter")}
          value={filter}
          onChange={(event) => setFilter(event.target.value)}
        />
      </label>
      <ul className="settings">
        {shown.map((field) => {
          const now = effective[field.name] ?? { from: "default", value: field.default };
          const told = language === "en" ? null : known("setting_meaning", field.name);
          const meaning = told ?? field.meaning.replaceAll("`", "");
          return (
            <li
              key={field.name}
              className={now.from === layer ? "is-own" : undefined}
              data-step
              tabIndex={-1}
            >
              <div>
                <code>{field.name}</code>
                <p className="hint">{meaning}</p>
              </div>
              {editing === field.name ? (
                <Editor
                  field={field}
                  value={now.value}
                  busy={busy}
                  inherits={!(field.name in own)}
                  onSave={(value) => void save(field.name, value)}
                  onCancel={() => setEditing(null)}
                />
              ) : (
                <>
                  <strong className="setting-value">{valueWords(now.value)}</strong>
                  <Badge
                    tone={now.from === "default" ? "off" : now.from === layer ? "wait" : "good"}
                    icon="list"
                  >
                    {code("layer", now.from)}
                  </Badge>
                  <button
                    type="button"
                    className="button small"
                    disabled={readOnly}
                    aria-label={t("setting.edit", { name: field.name })}
                    onClick={() => setEditing(field.name)}
                  >
                    {t("action.edit")}
                  </button>
                </>
              )}
            </li>
          );
        })}
      </ul>
    </div>
  );
}

function Editor(props: {
  field: FieldOf;
  value: unknown;
  busy: boolean;
  inherits: boolean;
  onSave: (value: unknown) => void;
  onCancel: () => void;
}) {
  const { t } = useSpeech();
  const { field } = props;
  const [text, setText] = useState(() =>
    typeof props.value === "object" ? JSON.stringify(props.value) : String(props.value ?? ""),
  );
  const [wrong, setWrong] = useState(false);
  const label = field.name;
  const choices =
    CHOICES[field.name] ?? (typeof field.default === "boolean" ? ["true", "false"] : null);
  const submit = () => {
    if (typeof field.default === "boolean") return props.onSave(text === "true");
    if (typeof field.default === "number") {
      const number = Number(text);
      if (text.trim() === "" || Number.isNaN(number)) return setWrong(true);
      return props.onSave(number);
    }
    const looksStructured = /^\s*[[{]/.test(text);
    if (looksStructured || Array.isArray(field.default)) {
      try {
        return props.onSave(JSON.parse(text));
      } catch {
        if (!Array.isArray(field.default)) return setWrong(true);
        const parts = text.split(",").map((part) => part.trim());
        return props.onSave(parts.filter(Boolean));
      }
    }
    props.onSave(text);
  };
  let input: ReactNode;
  if (field.name === "volume") {
    const [mode, number] = Object.entries(parsed(text) ?? { multiplier: "1" })[0] ?? [
      "multiplier",
      "1",
    ];
    input = (
      <span className="row">
        <select
          aria-label={`${label} mode`}
          value={mode}
          onChange={(event) => setText(JSON.stringify({ [event.target.value]: number }))}
        >
          {VOLUMES.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
        <input
          aria-label={label}
          inputMode="decimal"
          value={String(number)}
          onChange={(event) => setText(JSON.stringify({ [mode]: event.target.value }))}
        />
      </span>
    );
  } else if (choices) {
    input = (
      <select aria-label={label} value={text} onChange={(event) => setText(event.target.value)}>
        {choices.map((one) => (
          <option key={one}>{one}</option>
        ))}
      </select>
    );
  } else {
    input = (
      <input
        aria-label={label}
        aria-invalid={wrong || undefined}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setWrong(false);
        }}
      />
    );
  }
  return (
    <form
      className="row setting-form"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
      onKeyDown={(event) => event.key === "Escape" && props.onCancel()}
    >
      {input}
      <button type="submit" className="button small primary" disabled={props.busy}>
        {t("action.save")}
      </button>
      {!props.inherits && (
        <button
          type="button"
          className="button small"
          disabled={props.busy}
          onClick={() => props.onSave(undefined)}
        >
          {t("setting.inherit")}
        </button>
      )}
      <button type="button" className="button small quiet" onClick={props.onCancel}>
        {t("action.cancel")}
      </button>
      {wrong && <span className="field-error">{t("setting.wrong")}</span>}
    </form>
  );
}

function parsed(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return value && typeof value === "object" ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}
