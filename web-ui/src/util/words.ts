import type { DeskEvent } from "../api/shapes";
import type { Speech } from "../i18n";
import { brief } from "./format";

/** The account that an event is about: its stream is `master/ACCOUNT` or `slave/ACCOUNT`. */
export function subjectOf(event: DeskEvent): { role: "master" | "slave"; account: string } | null {
  const slash = event.stream.indexOf("/");
  const role = event.stream.slice(0, slash);
  if (role !== "master" && role !== "slave") return null;
  return { role, account: event.stream.slice(slash + 1) };
}

type Bag = Record<string, unknown>;
const bag = (value: unknown): Bag => (value && typeof value === "object" ? (value as Bag) : {});
const word = (value: unknown) => (value === null || value === undefined ? "" : String(value));

/** An event as a sentence; one that this page has no sentence for by its name. */
export function eventWords(event: DeskEvent, { t, code }: Speech): string {
  const payload = bag(event.payload);
  const who = subjectOf(event)?.account ?? event.stream.replace(/^endpoint\/(\w{8})-.*/, "$1");
  switch (event.kind) {
    case "signal_taken": {
      const before = bag(payload.before);
      const change = bag(payload.change);
      const open = bag(change.open);
      if (change.open) {
        return t("said.opened", {
          who,
          side: side(open.side, t),
          lots: word(open.lots),
          symbol: word(open.symbol),
          price: word(open.price),
        });
      }
      const what = { who, symbol: word(before.symbol), ticket: word(before.ticket) };
      if (change.close) {
        const left = bag(change.close).remaining;
        return left === null || left === undefined
          ? t("said.closed", what)
          : t("said.closed_part", { ...what, left: word(left) });
      }
      return t("said.modified", what);
    }
    case "copy_decided": {
      const plan = bag(payload.plan);
      const verdict = word(plan.verdict);
      const rule = word(plan.rule);
      const symbol = word(bag(payload.copy).symbol);
      const about = {
        who,
        master: word(payload.master),
        symbol: symbol || `#${word(payload.ticket)}`,
      };
      if (rule === "copied" || verdict === "copied") return t("said.copied", about);
      return t("said.decided", { ...about, why: code("rule", rule) });
    }
    case "order_issued": {
      const instruction = bag(bag(payload.order).instruction);
      const open = bag(instruction.open);
      if (instruction.open) {
        return t("said.order_open", {
          who,
          side: side(open.side, t),
          lots: word(open.lots),
          symbol: word(open.symbol),
        });
      }
      return t(instruction.close ? "said.order_close" : "said.order_modify", { who });
    }
    case "order_answered": {
      const result = bag(payload.result);
      const outcome = word(result.outcome);
      // What was modified has neither volume nor price of its own.
      if (outcome === "filled" && result.lots == null) return t("said.order_done", { who });
      if (outcome === "filled") {
        return t("said.filled", { who, lots: word(result.lots), price: word(result.price) });
      }
      const error = brief(result.error);
      const text = t("said.answered", { who, result: code("result", outcome) });
      return error ? `${text} (${error})` : text;
    }
    case "status_changed":
    case "link_status_changed": {
      const status = [0, 1, 2].find((one) => one === payload.new) as 0 | 1 | 2 | undefined;
      const master = word(payload.master);
      return t(master ? "said.link_status" : "said.status", {
        who,
        master,
        status: status === undefined ? word(payload.new) : t(`status.${status}`),
      });
    }
    case "warning_raised":
      return t("said.warning", { who, warning: code("warning", word(payload.warning)) });
    case "warning_cleared":
      return t("said.warning_over", { who, warning: code("warning", word(payload.warning)) });
    case "intent_set":
      return t(payload.enabled ? "said.on" : "said.off", { who });
    case "link_switched":
      return t(payload.enabled ? "said.link_on" : "said.link_off", {
        who,
        master: word(payload.master),
      });
    case "link_added":
    case "link_removed":
    case "link_ended":
      return t(`said.${event.kind}`, { who, master: word(payload.master) });
    case "account_online":
    case "account_offline":
      return t(`said.${event.kind}`, { who });
    case "desk_stopped":
      return t("said.stopped", { degree: degree(payload.degree, t), reason: word(payload.reason) });
    case "desk_resumed":
      return t("said.resumed", { reason: word(payload.reason) });
    case "desk_locked":
    case "desk_unlocked":
      return t(`said.${event.kind}`, { reason: word(payload.reason) });
    default: {
      const where = event.stream === "desk" ? "" : ` · ${who}`;
      return `${code("event", event.kind)}${where}`;
    }
  }
}

export function side(value: unknown, t: Speech["t"]): string {
  return value === "buy" || value === "sell" ? t(`side.${value}`) : word(value);
}

export function degree(value: unknown, t: Speech["t"]): string {
  return value === "pause" || value === "cancel" || value === "flatten"
    ? t(`stop.degree.${value}`)
    : word(value);
}

/** How an event feels, for its mark. */
export function eventTone(event: DeskEvent): "good" | "warn" | "bad" | "plain" {
  const payload = bag(event.payload);
  switch (event.kind) {
    case "warning_raised":
    case "account_offline":
    case "access_denied":
    case "alert_raised":
    case "desk_locked":
      return "warn";
    case "desk_stopped":
      return "bad";
    case "order_answered": {
      const outcome = bag(payload.result).outcome;
      return outcome === "rejected" || outcome === "unproven" ? "bad" : "good";
    }
    case "copy_decided": {
      const verdict = bag(payload.plan).verdict;
      return verdict === "blocked" || verdict === "skipped" ? "warn" : "plain";
    }
    case "account_online":
    case "desk_resumed":
    case "alert_cleared":
      return "good";
    default:
      return "plain";
  }
}
