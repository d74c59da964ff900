import { act, fireEvent, render, screen, waitFor, within } from "@testing-library/react";
import { beforeEach, expect, it, vi } from "vitest";
import type { Account, DeskEvent } from "./api/types";
import { App } from "./app";
import { Speaking } from "./i18n";

const STATUS = {
  desk_id: "d",
  name: "North Pier",
  version: "0.1.0",
  position: 41,
  ready: true,
  locked: false,
  lock_reason: null,
  accounts: 1,
  now: Date.now(),
  user: { name: "anna", role: "admin" },
};

const ACCOUNT: Account = {
  role: "slave",
  account: "FXCM_90021",
  name: "Client B",
  broker: "FXCM",
  enabled_flag: false,
  connection: "online",
  runtime_status: 0,
  warning_codes: ["slave_web_ui_disabled", "a_code_from_tomorrow"],
  balance: "9804.12",
  equity: "9805",
  free_margin: null,
  open_positions: 2,
  trade_allowed: true,
  last_heartbeat_at: Date.now(),
  masters: [],
  revision: 3,
};

const event = (position: number, kind: string, payload: DeskEvent["payload"]): DeskEvent => ({
  position,
  stream: "slave/FXCM_90021",
  version: position,
  event_id: `e${position}`,
  kind,
  schema: 1,
  occurred_at: null,
  received_at: Date.now(),
  recorded_at: Date.now(),
  command_id: null,
  causation: null,
  correlation: null,
  by: "desk",
  payload,
});

type Answer = (request: { body: unknown; headers: Headers }) => Response;
const json = (body: unknown, status = 200) =>
  new Response(JSON.stringify(body), {
    status,
    headers: { "content-type": "application/json" },
  });
const problem = (status: number, code: string, detail: string, field?: string) =>
  json({ type: "about:blank", title: code, status, code, detail, field }, status);

/** A server made of a table: `METHOD /path?query` or, failing that, without the query. */
let answers: Record<string, Answer>;
let calls: { call: string; body: unknown; headers: Headers }[];
let stream: ReadableStreamDefaultController<Uint8Array>;

const push = (text: string) => act(async () => stream.enqueue(new TextEncoder().encode(text)));
const tell = (news: DeskEvent) => push(`id: ${news.position}\ndata: ${JSON.stringify(news)}\n\n`);

beforeEach(() => {
  localStorage.clear();
  window.location.hash = "#/";
  calls = [];
  answers = {
    "GET /api/status": () => json(STATUS),
    "GET /api/accounts": () => json({ position: 41, at: 0, accounts: [ACCOUNT] }),
    "GET /api/events": () => json({ position: 41, events: [], next: null }),
  };
  vi.stubGlobal("fetch", async (path: string, init: RequestInit = {}) => {
    const headers = new Headers(init.headers);
    if (headers.get("accept") === "text/event-stream") {
      const body = new ReadableStream<Uint8Array>({
        start(control) {
          stream = control;
        },
      });
      return new Response(body, { headers: { "content-type": "text/event-stream" } });
    }
    const call = `${init.method ?? "GET"} ${path}`;
    const body: unknown = init.body ? JSON.parse(String(init.body)) : null;
    calls.push({ call, body, headers });
    const answer = answers[call] ?? answers[call.split("?")[0] ?? ""];
    return answer ? answer({ body, headers }) : problem(404, "not_found", call);
  });
});

const open = () =>
  render(
    <Speaking>
      <App />
    </Speaking>,
  );
const type = (label: string, value: string) =>
  fireEvent.change(screen.getByLabelText(label), { target: { value } });

it("shows the accounts, with warnings in words even for codes it does not know", async () => {
  open();
  const row = (await screen.findByText("FXCM_90021")).closest("tr") as HTMLElement;
  expect(within(row).getByText("9,804.12")).toBeTruthy();
  expect(within(row).getByText("Switched off here")).toBeTruthy();
  expect(within(row).getByText("A code from tomorrow")).toBeTruthy();
  expect(screen.getByRole("heading", { name: "North Pier" })).toBeTruthy();
});

it("survives a word that only a newer server knows", async () => {
  const newer = { ...ACCOUNT, connection: "hibernating", runtime_status: 3 };
  answers["GET /api/accounts"] = () => json({ position: 41, at: 0, accounts: [newer] });
  open();
  expect(await screen.findByText("connection.hibernating")).toBeTruthy();
});

it("lets a viewer look and change nothing", async () => {
  answers["GET /api/status"] = () => json({ ...STATUS, user: { name: "v", role: "viewer" } });
  open();
  expect(((await screen.findByRole("switch")) as HTMLButtonElement).disabled).toBe(true);
  const lock = screen.getByRole("button", { name: "Lock desk" }) as HTMLButtonElement;
  expect(lock.disabled).toBe(true);
});

it("applies live events and lists them, heartbeats only when asked", async () => {
  open();
  await screen.findByText("Live");
  await tell(event(42, "heartbeat_seen", { equity: "9001.5" }));
  expect(await screen.findByText("9,001.50")).toBeTruthy();
  await tell(event(43, "account_offline", {}));
  expect(await screen.findByText("Connection lost")).toBeTruthy();
  expect(screen.getAllByText("Heartbeat")).toHaveLength(1);
  fireEvent.click(screen.getByLabelText("Show heartbeats"));
  expect(screen.getAllByText("Heartbeat")).toHaveLength(2);
});

it("goes to the sign-in form on 401, and shows the refusal beside its field", async () => {
  answers["GET /api/status"] = () => problem(401, "not_signed_in", "sign in first");
  answers["POST /api/login"] = () => problem(422, "name_unknown", "no such name", "name");
  open();
  await screen.findByRole("heading", { name: "Sign in" });
  type("Name", "anna");
  type("Password", "harbour-light");
  fireEvent.click(screen.getByRole("button", { name: "Sign in" }));
  const error = await screen.findByText("no such name");
  expect(screen.getByLabelText("Name").getAttribute("aria-describedby")).toBe(error.id);

  answers["POST /api/login"] = () => json({ name: "anna", role: "admin" });
  answers["GET /api/status"] = () => json(STATUS);
  fireEvent.click(screen.getByRole("button", { name: "Sign in" }));
  expect(await screen.findByText("FXCM_90021")).toBeTruthy();
});

it("welcomes with the code of the link, and not with two different passwords", async () => {
  window.location.hash = "#/welcome?code=C0DE";
  answers["POST /api/welcome"] = () => json({ name: "anna", role: "admin" });
  open();
  type("Name", "anna");
  type("Password", "harbour-light");
  type("Repeat the password", "harbour-night");
  fireEvent.click(screen.getByRole("button", { name: "Create account" }));
  expect(await screen.findByText("The two passwords differ.")).toBeTruthy();
  expect(calls).toEqual([]);

  type("Repeat the password", "harbour-light");
  fireEvent.click(screen.getByRole("button", { name: "Create account" }));
  expect(await screen.findByText("FXCM_90021")).toBeTruthy();
  expect(calls[0]?.body).toEqual({ code: "C0DE", name: "anna", password: "harbour-light" });
  expect(window.location.hash).toBe("#/");
});

const TOGGLE = "POST /api/accounts/slave/FXCM_90021/toggle";

it("toggles with the revision it saw and a fresh key", async () => {
  answers[TOGGLE] = () =>
    json({ account: { ...ACCOUNT, enabled_flag: true, revision: 4 }, position: 42 });
  open();
  const toggle = await screen.findByRole("switch");
  fireEvent.click(toggle);
  await waitFor(() => expect(toggle.getAttribute("aria-checked")).toBe("true"));
  const { body, headers } = calls.find(({ call }) => call === TOGGLE) ?? {};
  expect(body).toEqual({ enabled: true });
  expect(headers?.get("if-match")).toBe('"3"');
  expect(headers?.get("idempotency-key")).toMatch(/^[0-9a-f-]{36}$/);
});

it("asks again after 412 when the intent is still what the person saw, and only then", async () => {
  const stale: Answer = ({ headers }) =>
    headers.get("if-match") === '"5"'
      ? json({ account: { ...ACCOUNT, enabled_flag: true, revision: 6 }, position: 44 })
      : problem(412, "revision_old", "changed meanwhile");
  answers[TOGGLE] = stale;
  open();
  const toggle = await screen.findByRole("switch");
  answers["GET /api/accounts"] = () =>
    json({ position: 43, at: 0, accounts: [{ ...ACCOUNT, enabled_flag: true, revision: 5 }] });
  fireEvent.click(toggle);
  expect(await screen.findByText("changed meanwhile")).toBeTruthy();
  expect(calls.filter(({ call }) => call === TOGGLE)).toHaveLength(1);

  answers[TOGGLE] = ({ headers }) =>
    headers.get("if-match") === '"6"'
      ? json({ account: { ...ACCOUNT, enabled_flag: false, revision: 7 }, position: 45 })
      : problem(412, "revision_old", "changed meanwhile");
  answers["GET /api/accounts"] = () =>
    json({ position: 44, at: 0, accounts: [{ ...ACCOUNT, enabled_flag: true, revision: 6 }] });
  fireEvent.click(toggle);
  await waitFor(() => expect(toggle.getAttribute("aria-checked")).toBe("false"));
});

it("locks with a reason, never without", async () => {
  answers["POST /api/lock"] = () => json({ locked: true, lock_reason: "news", position: 42 });
  open();
  fireEvent.click(await screen.findByRole("button", { name: "Lock desk" }));
  const dialog = screen.getByRole("dialog");
  fireEvent.click(within(dialog).getByRole("button", { name: "Lock desk" }));
  expect(await screen.findByText("Say why, in a few words.")).toBeTruthy();
  type("Reason", " news ");
  fireEvent.click(within(dialog).getByRole("button", { name: "Lock desk" }));
  expect(await screen.findByText("Desk locked")).toBeTruthy();
  expect(calls.at(-1)?.body ?? null).toEqual({ locked: true, reason: "news" });
});

it("travels in time, changes nothing there, and comes back", async () => {
  answers["GET /api/accounts?as_of=7"] = () =>
    json({ position: 7, at: 1_000, accounts: [{ ...ACCOUNT, balance: "1.00" }] });
  window.location.hash = "#/?as_of=7";
  open();
  expect(await screen.findByText("As of position 7")).toBeTruthy();
  expect(await screen.findByText("1.00")).toBeTruthy();
  expect((screen.getByRole("switch") as HTMLButtonElement).disabled).toBe(true);
  fireEvent.click(screen.getByRole("button", { name: "Back to now" }));
  expect(await screen.findByText("9,804.12")).toBeTruthy();
  expect(screen.queryByText("As of position 7")).toBeNull();
});

it("keeps the last figures under a banner while the server is gone, then catches up", async () => {
  open();
  await screen.findByText("Live");
  const gone = answers;
  answers = { "GET /api/status": () => problem(503, "starting", "still reading the log") };
  await act(async () => stream.error(new Error("reset")));
  expect(await screen.findByText("No connection to the desk", {}, { timeout: 3000 })).toBeTruthy();
  expect(screen.getByText("9,804.12")).toBeTruthy();
  expect((screen.getByRole("switch") as HTMLButtonElement).disabled).toBe(true);

  answers = gone;
  answers["GET /api/accounts"] = () =>
    json({ position: 50, at: 0, accounts: [{ ...ACCOUNT, balance: "5.00" }] });
  answers["GET /api/status"] = () => json({ ...STATUS, position: 50 });
  fireEvent.click(screen.getByRole("button", { name: "Try now" }));
  expect(await screen.findByText("5.00")).toBeTruthy();
  await screen.findByText("Live");
  expect(screen.queryByText("No connection to the desk")).toBeNull();
});

it("tells how to connect the first account, also in Japanese", async () => {
  answers["GET /api/accounts"] = () => json({ position: 1, at: 0, accounts: [] });
  open();
  expect(await screen.findByText("No account has connected yet")).toBeTruthy();
  expect(screen.getByText("Make a key")).toBeTruthy();
  fireEvent.click(screen.getByRole("button", { name: "日本語" }));
  expect(await screen.findByText("まだ口座が接続されていません")).toBeTruthy();
  expect(document.documentElement.lang).toBe("ja");
});
