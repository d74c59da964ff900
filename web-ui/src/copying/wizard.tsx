import { type FormEvent, useMemo, useRef, useState } from "react";
import { ask, newKey } from "../api/client";
import type { Account } from "../api/shapes";
import { useSpeech } from "../i18n";
import { useBoard, useReadOnly } from "../live/hooks";
import { useConnection } from "../live/queries";
import { go, hrefOf } from "../shell/router";
import { Dialog } from "../ui/dialog";
import { Field, Select } from "../ui/field";
import { Failed } from "../ui/states";
import { useToast } from "../ui/toast";
import { VOLUMES, valueWords } from "./settings";

const STEPS = ["accounts", "master", "slave", "check"] as const;

/** From two accounts to a link that first only observes. */
export function Wizard({ onClose }: { onClose: () => void }) {
  const { t } = useSpeech();
  const toast = useToast();
  const readOnly = useReadOnly();
  const accounts = useBoard((board) => board.accounts);
  const groups = useBoard((board) => board.groups);
  const members = useBoard((board) => board.members);
  const [step, setStep] = useState<(typeof STEPS)[number]>("accounts");
  const [master, setMaster] = useState("");
  const [slave, setSlave] = useState("");
  const [name, setName] = useState("");
  const [volume, setVolume] = useState<(typeof VOLUMES)[number]>("multiplier");
  const [number, setNumber] = useState("1");
  const [mode, setMode] = useState<"observe" | "live">("observe");
  const [reverse, setReverse] = useState(false);
  const [map, setMap] = useState("");
  const [error, setError] = useState<unknown>(null);
  const [wrong, setWrong] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const keys = useRef({ group: newKey(), member: newKey() });

  const masters = useMemo(
    () => [...new Set([...accountsOf(accounts, "master"), ...groups.keys()])].sort(),
    [accounts, groups],
  );
  const slaves = useMemo(() => accountsOf(accounts, "slave").sort(), [accounts]);
  const known = groups.get(master);

  const settings = useMemo(() => {
    const own: Record<string, unknown> = { mode, volume: { [volume]: number.trim() } };
    if (reverse) own.reverse = true;
    const pairs = map
      .split(/[\n,]/)
      .map((line) => line.split("=").map((part) => part.trim()))
      .filter(([from, to]) => from && to);
    if (pairs.length > 0) own.symbol_map = pairs.map(([from, to]) => ({ from, to }));
    return own;
  }, [mode, volume, number, reverse, map]);

  const at = STEPS.indexOf(step);
  const check = (): string | null => {
    if (step === "accounts") {
      if (!master || !slave) return t("wizard.choose_both");
      if (master === slave) return t("wizard.same");
      if (members.has(`${master}/${slave}`)) return t("wizard.exists");
    }
    if (step === "slave" && !(Number(number) > 0)) return t("wizard.number");
    return null;
  };

  async function submit(event: FormEvent) {
    event.preventDefault();
    const trouble = check();
    setWrong(trouble);
    if (trouble) return;
    const next = STEPS[at + 1];
    if (next) {
      setStep(next);
      return;
    }
    setBusy(true);
    setError(null);
    try {
      if (!known) {
        await ask("POST /api/trade-groups", {
          body: { master_account: master, display_name: name.trim() || null, enabled: true },
          key: keys.current.group,
        });
      }
      await ask("POST /api/trade-groups/{master}/members", {
        path: { master },
        body: { slave_account: slave, enabled: true, slave_settings: settings },
        key: keys.current.member,
      });
      toast.good(t("wizard.done", { master, slave }));
      onClose();
      go(
        hrefOf(`/copying/${encodeURIComponent(master)}/${encodeURIComponent(slave)}`, {
          new: null,
        }),
      );
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  }

  return (
    <Dialog open wide onClose={onClose} title={t("wizard.title")}>
      <ol className="steps">
        {STEPS.map((one, index) => (
          <li key={one} {...(one === step ? { "aria-current": "step" as const } : {})}>
            <span aria-hidden="true">{index < at ? "✓" : index + 1}</span> {t(`wizard.${one}`)}
          </li>
        ))}
      </ol>
      <form className="stack" onSubmit={submit}>
        {step === "accounts" && (
          <div className="pair">
            <Pick label={t("role.master")} list={masters} value={master} onChange={setMaster} />
            <Pick label={t("role.slave")} list={slaves} value={slave} onChange={setSlave} />
          </div>
        )}
        {step === "master" && (
          <>
            {known ? (
              <p className="note">{t("wizard.known", { master })}</p>
            ) : (
              <Field
                label={t("wizard.name")}
                hint={t("wizard.name_hint")}
                value={name}
                autoFocus
                onChange={(event) => setName(event.target.value)}
              />
            )}
            {known && Object.keys(known.settings).length > 0 && (
              <dl className="facts">
                {Object.entries(known.settings).map(([key, value]) => (
                  <div key={key}>
                    <dt>{key}</dt>
                    <dd>{valueWords(value)}</dd>
                  </div>
                ))}
              </dl>
            )}
            <Detected account={master} role="master" />
          </>
        )}
        {step === "slave" && (
          <>
            <div className="pair">
              <Select
                label={t("link.volume")}
                value={volume}
                options={VOLUMES.map((one) => [one, one.replaceAll("_", " ")])}
                onChange={(event) => setVolume(event.target.value as typeof volume)}
              />
              <Field
                label={t("wizard.amount")}
                inputMode="decimal"
                value={number}
                onChange={(event) => setNumber(event.target.value)}
              />
            </div>
            <label className="check">
              <input
                type="checkbox"
                checked={reverse}
                onChange={(event) => setReverse(event.target.checked)}
              />
              {t("wizard.reverse")}
            </label>
            <Field
              label={t("wizard.map")}
              hint={t("wizard.map_hint")}
              placeholder="XAUUSD=GOLD, US500=SPX500"
              value={map}
              onChange={(event) => setMap(event.target.value)}
            />
            <Detected account={slave} role="slave" />
            <fieldset className="degrees">
              <legend>{t("wizard.begins")}</legend>
              {(["observe", "live"] as const).map((one) => (
                <label key={one} className={mode === one ? "degree is-chosen-calm" : "degree"}>
                  <input
                    type="radio"
                    name="mode"
                    checked={mode === one}
                    onChange={() => setMode(one)}
                  />
                  <span>
                    <strong>{t(`wizard.mode.${one}`)}</strong>
                    <span className="muted">{t(`wizard.mode_says.${one}`)}</span>
                  </span>
                </label>
              ))}
            </fieldset>
          </>
        )}
        {step === "check" && (
          <dl className="facts">
            <div>
              <dt>{t("role.master")}</dt>
              <dd>{master}</dd>
            </div>
            <div>
              <dt>{t("role.slave")}</dt>
              <dd>{slave}</dd>
            </div>
            {Object.entries(settings).map(([key, value]) => (
              <div key={key}>
                <dt>
                  <code>{key}</code>
                </dt>
                <dd>{valueWords(value)}</dd>
              </div>
            ))}
          </dl>
        )}
        {wrong && (
          <p className="form-error" role="alert">
            {wrong}
          </p>
        )}
        {error !== null && <Failed error={error} />}
        {readOnly && <p className="note">{t(`read_only.${readOnly}`)}</p>}
        <div className="stop-acts">
          {at > 0 && (
            <button
              type="button"
              className="button"
              onClick={() => setStep(STEPS[at - 1] ?? "accounts")}
            >
              {t("action.back")}
            </button>
          )}
          <button type="submit" className="button primary" disabled={busy || readOnly !== null}>
            {step === "check" ? t("wizard.create") : t("action.next")}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

const accountsOf = (accounts: ReadonlyMap<string, Account>, role: string) =>
  [...accounts.values()].filter((one) => one.role === role).map((one) => one.account);

function Pick(props: {
  label: string;
  list: readonly string[];
  value: string;
  onChange: (v: string) => void;
}) {
  const { t } = useSpeech();
  const id = `pick-${props.label}`;
  return (
    <div className="field">
      <label htmlFor={id}>{props.label}</label>
      <input
        id={id}
        list={`${id}-list`}
        autoComplete="off"
        spellCheck={false}
        value={props.value}
        placeholder="IC_Markets_12345"
        onChange={(event) => props.onChange(event.target.value.trim())}
      />
      <datalist id={`${id}-list`}>
        {props.list.map((one) => (
          <option key={one} value={one} />
        ))}
      </datalist>
      <p className="hint">{t("wizard.pick_hint")}</p>
    </div>
  );
}

/** What the account's terminal told of itself, so that nobody has to type it. */
function Detected({ account, role }: { account: string; role: "master" | "slave" }) {
  const { t } = useSpeech();
  const connection = useConnection(account);
  const detail = connection.data?.find((one) => one.role === role);
  const affixes = detail?.affixes as { prefix?: string; suffix?: string } | undefined;
  if (!detail) return <p className="hint">{t("wizard.not_seen")}</p>;
  return (
    <p className="note">
      {t("wizard.detected", {
        account,
        platform: detail.platform ?? "–",
        holding: detail.holding ?? "–",
        symbols: detail.symbols,
        prefix: affixes?.prefix || "–",
        suffix: affixes?.suffix || "–",
      })}
    </p>
  );
}
