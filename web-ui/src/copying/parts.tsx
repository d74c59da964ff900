import { useMemo, useState } from "react";
import { ask } from "../api/client";
import type { Account, Group, Member } from "../api/shapes";
import { useSpeech } from "../i18n";
import { useReadOnly } from "../live/hooks";
import { Link } from "../shell/link";
import { go, hrefOf } from "../shell/router";
import { Badge, ConnectionBadge, StatusBadge, Warnings } from "../ui/bits";
import { Dialog } from "../ui/dialog";
import { Icon } from "../ui/icons";
import { Failed } from "../ui/states";
import { Switch } from "../ui/switch";
import { useToast } from "../ui/toast";
import { useToggle } from "./toggles";

/** How a link's volume follows, in a few characters: `× 0.25`, `0.06 lots`. */
export function volumeWords(
  settings: Record<string, unknown>,
  t: ReturnType<typeof useSpeech>["t"],
) {
  const volume = settings.volume;
  if (!volume || typeof volume !== "object") return "× 1";
  const [mode, number] = Object.entries(volume)[0] ?? [];
  if (mode === undefined) return "× 1";
  if (mode === "multiplier") return `× ${number}`;
  if (mode === "fixed") return t("link.fixed", { lots: String(number) });
  if (mode === "risk_percent") return t("link.risk", { percent: String(number) });
  return `${mode.replaceAll("_", " ")} ${number}`;
}

export function MemberSwitch({ member }: { member: Member }) {
  const { t } = useSpeech();
  const readOnly = useReadOnly();
  const { trade_group_id: master, slave_account: slave } = member;
  const what = useMemo(() => ({ of: "member" as const, master, slave }), [master, slave]);
  const { pending, toggle } = useToggle(what, member.enabled_flag);
  return (
    <SwitchWithState
      label={t("link.switch", { master, slave })}
      checked={member.enabled_flag}
      pending={pending}
      readOnly={readOnly}
      onChange={(enabled) => void toggle(enabled)}
    />
  );
}

export function AccountSwitch({ account }: { account: Account }) {
  const { t } = useSpeech();
  const readOnly = useReadOnly();
  const { role, account: id } = account;
  const what = useMemo(() => ({ of: "account" as const, role, account: id }), [role, id]);
  const { pending, toggle } = useToggle(what, account.enabled_flag);
  return (
    <SwitchWithState
      label={t("accounts.switch", { role: t(`role.${role}`), account: id })}
      checked={account.enabled_flag}
      pending={pending}
      readOnly={readOnly}
      onChange={(enabled) => void toggle(enabled)}
    />
  );
}

function SwitchWithState(props: {
  label: string;
  checked: boolean;
  pending: boolean;
  readOnly: ReturnType<typeof useReadOnly>;
  onChange: (enabled: boolean) => void;
}) {
  const { t } = useSpeech();
  return (
    <span className="switch-row">
      <Switch
        label={props.label}
        checked={props.checked}
        pending={props.pending}
        disabled={props.readOnly !== null}
        {...(props.readOnly ? { why: t(`read_only.${props.readOnly}`) } : {})}
        onChange={props.onChange}
      />
      <span className="switch-word" aria-live="polite">
        {props.pending ? t("accounts.pending") : t(props.checked ? "accounts.on" : "accounts.off")}
      </span>
    </span>
  );
}

/** What stands beside an intent: the status of the link, as the desk computed it. */
export function LinkStatus({ member }: { member: Member }) {
  const { t } = useSpeech();
  if (!member.enabled_flag) return <Badge tone="off">{t("status.manual_off")}</Badge>;
  if (member.status === 2 && !member.allow_new_orders) {
    return <Badge tone="wait">{t("status.standby")}</Badge>;
  }
  return <StatusBadge role="slave" enabled status={member.status} />;
}

/** One link with everything that stands in its way. */
export function LinkCard(props: { member: Member; slave: Account | undefined }) {
  const { t, n } = useSpeech();
  const { member, slave } = props;
  const [removing, setRemoving] = useState(false);
  const readOnly = useReadOnly();
  const settings = member.slave_settings as Record<string, unknown>;
  const where = `/copying/${encodeURIComponent(member.trade_group_id)}/${encodeURIComponent(member.slave_account)}`;
  return (
    <article className="link-card" data-step tabIndex={-1}>
      <header>
        <div className="link-ends">
          <Link to={`/accounts/master/${member.trade_group_id}`}>{member.trade_group_id}</Link>
          <Icon name="right" size={14} />
          <Link to={`/accounts/slave/${member.slave_account}`}>{member.slave_account}</Link>
        </div>
        <LinkStatus member={member} />
      </header>
      <div className="row">
        <MemberSwitch member={member} />
        <span className="chips">
          <span className="chip">{volumeWords(settings, t)}</span>
          {settings.reverse === true && (
            <span className="chip chip-brass">{t("link.reverse")}</span>
          )}
          {settings.mode === "observe" && (
            <span className="chip chip-brass">{t("link.observe")}</span>
          )}
          {settings.mode === "off" && <span className="chip chip-brass">{t("link.mode_off")}</span>}
        </span>
        {slave && <ConnectionBadge connection={slave.connection} />}
      </div>
      <p className="hint">
        {n("count.copy", member.open_copies)} · {n("count.order", member.orders_open)}
      </p>
      <Warnings codes={member.warning_codes} />
      <footer className="row">
        <Link className="button small" to={where}>
          {t("nav.settings")}
        </Link>
        <button
          type="button"
          className="button small"
          disabled={readOnly !== null}
          onClick={() => setRemoving(true)}
        >
          <Icon name="trash" size={15} /> {t("action.remove")}
        </button>
      </footer>
      {removing && <RemoveLink member={member} onClose={() => setRemoving(false)} />}
    </article>
  );
}

const WINDS = ["keep", "close_only_by_position", "close_only_by_symbol", "close_now"] as const;

/** What becomes of the copies is asked before a link goes. */
export function RemoveLink({ member, onClose }: { member: Member; onClose: () => void }) {
  const { t, n } = useSpeech();
  const toast = useToast();
  const [wind, setWind] = useState<(typeof WINDS)[number]>("keep");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const path = { master: member.trade_group_id, slave: member.slave_account };
  const remove = async () => {
    setBusy(true);
    try {
      await ask("DELETE /api/trade-groups/{master}/members/{slave}", {
        path,
        query: { wind_down: wind },
        seen: member.version,
      });
      toast.good(t("link.removed", path));
      onClose();
      go(hrefOf("/copying"));
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  return (
    <Dialog
      open
      tone="danger"
      onClose={onClose}
      title={t("link.remove_title", path)}
      lead={t("link.remove_lead", { copies: n("count.copy", member.open_copies) })}
    >
      <fieldset className="degrees">
        <legend>{t("link.wind")}</legend>
        {WINDS.map((one) => (
          <label key={one} className={wind === one ? "degree is-chosen" : "degree"}>
            <input type="radio" name="wind" checked={wind === one} onChange={() => setWind(one)} />
            <span>
              <strong>{t(`wind.${one}`)}</strong>
              <span className="muted">{t(`wind_says.${one}`)}</span>
            </span>
          </label>
        ))}
      </fieldset>
      {error !== null && <Failed error={error} />}
      <div className="stop-acts">
        <button type="button" className="button" onClick={onClose}>
          {t("action.cancel")}
        </button>
        <button
          type="button"
          className="button danger solid"
          disabled={busy}
          onClick={() => void remove()}
        >
          {t("action.remove")}
        </button>
      </div>
    </Dialog>
  );
}

export function GroupSwitch({ group }: { group: Group }) {
  const { t } = useSpeech();
  const readOnly = useReadOnly();
  const master = group.master_account;
  const what = useMemo(() => ({ of: "group" as const, master }), [master]);
  const { pending, toggle } = useToggle(what, group.enabled_flag);
  return (
    <SwitchWithState
      label={t("accounts.switch", { role: t("role.master"), account: master })}
      checked={group.enabled_flag}
      pending={pending}
      readOnly={readOnly}
      onChange={(enabled) => void toggle(enabled)}
    />
  );
}
