import { type ReactNode, useEffect, useMemo, useState } from "react";
import { ask } from "../api/client";
import { useSpeech } from "../i18n";
import { useBoard, useLive, useStore } from "../live/hooks";
import { Dialog } from "../ui/dialog";
import { Icon } from "../ui/icons";
import { Logo } from "../ui/logo";
import { Item, Line, Menu, Radios } from "../ui/menu";
import { useToast } from "../ui/toast";
import { useNow } from "../util/clock";
import { setPrefs, usePrefs } from "../util/prefs";
import { degree } from "../util/words";
import { useKeys } from "./keys";
import { Link } from "./link";
import { LockDialog } from "./lock";
import { isIn, PAGES } from "./pages";
import { type Command, Palette } from "./palette";
import { go, hrefOf, useRoute } from "./router";
import { StopButton } from "./stop";
import { PastBar, TravelDialog } from "./travel";

type Open = "palette" | "help" | "stop" | "travel" | "lock" | null;

/** What stands around every page. */
export function Shell({ children, onLogout }: { children: ReactNode; onLogout: () => void }) {
  const { t } = useSpeech();
  const { path } = useRoute();
  const [open, setOpen] = useState<Open>(null);
  useKeys({
    palette: () => setOpen("palette"),
    help: () => setOpen("help"),
    stop: () => setOpen("stop"),
    travel: () => setOpen("travel"),
  });
  useTitle(path);
  const acts = useMemo<readonly Command[]>(
    () => [
      {
        key: "act.stop",
        icon: "stop",
        title: t("stop.stop"),
        hint: "!",
        run: () => setOpen("stop"),
      },
      {
        key: "act.travel",
        icon: "history",
        title: t("travel.title"),
        hint: "t",
        run: () => setOpen("travel"),
      },
      {
        key: "act.link",
        icon: "plus",
        title: t("wizard.title"),
        run: () => go(hrefOf("/copying", { new: "link" })),
      },
      {
        key: "act.why",
        icon: "copying",
        title: t("trade.search"),
        run: () => go(hrefOf("/trades")),
      },
      {
        key: "act.keys",
        icon: "keyboard",
        title: t("keys.title"),
        hint: "?",
        run: () => setOpen("help"),
      },
    ],
    [t],
  );
  const close = () => setOpen(null);
  return (
    <div className="shell">
      <a className="button primary skip" href="#main">
        {t("app.skip")}
      </a>
      <nav className="nav" aria-label={t("nav.label")}>
        <Link to="/" className="brand" aria-label="Tidehelm">
          <Logo size={34} />
          <span>Tidehelm</span>
        </Link>
        <ul>
          {PAGES.map((page) => (
            <li key={page.path}>
              <Link to={page.path} aria-current={isIn(page, path) ? "page" : undefined}>
                <Icon name={page.icon} size={20} />
                <span>{t(page.title)}</span>
                <kbd aria-hidden="true">{page.letter}</kbd>
              </Link>
            </li>
          ))}
        </ul>
      </nav>
      <div className="deck">
        <header className="top">
          <Link to="/" className="top-brand" aria-label="Tidehelm">
            <Logo size={28} />
          </Link>
          <DeskName />
          <DataAge />
          <button type="button" className="top-search" onClick={() => setOpen("palette")}>
            <Icon name="search" size={16} />
            <span>{t("palette.open")}</span>
            <kbd aria-hidden="true">
              {/Mac|iPhone|iPad/.test(navigator.platform) ? "⌘K" : "Ctrl K"}
            </kbd>
          </button>
          <button
            type="button"
            className="button square quiet"
            aria-label={t("travel.title")}
            title={`${t("travel.title")} (t)`}
            onClick={() => setOpen("travel")}
          >
            <Icon name="history" />
          </button>
          <UserMenu onLogout={onLogout} onOpen={setOpen} />
          <StopButton open={open === "stop"} setOpen={(is) => setOpen(is ? "stop" : null)} />
        </header>
        <Bars onStop={() => setOpen("stop")} onLock={() => setOpen("lock")} />
        <PastBar />
        <main id="main" tabIndex={-1}>
          {children}
        </main>
      </div>
      {open === "palette" && <Palette onClose={close} acts={acts} />}
      {open === "travel" && <TravelDialog onClose={close} />}
      {open === "lock" && <LockDialog onClose={close} />}
      {open === "help" && <Help onClose={close} />}
    </div>
  );
}

function useTitle(path: string) {
  const { t } = useSpeech();
  const name = useBoard((board) => board.desk?.name ?? null);
  const page = PAGES.find((one) => isIn(one, path));
  useEffect(() => {
    document.title = [page ? t(page.title) : null, name ?? "Tidehelm"].filter(Boolean).join(" · ");
  }, [t, page, name]);
}

function DeskName() {
  const name = useBoard((board) => board.desk?.name ?? "");
  return <p className="desk-name">{name}</p>;
}

/** How old what is shown may be; red, and said, when nothing comes any more. */
function DataAge() {
  const { t, ago } = useSpeech();
  const line = useLive((live) => live.line);
  const heard = useLive((live) => live.heard);
  const now = useNow();
  const stale = line.state === "stale";
  return (
    <p className={`data-age data-${line.state}`} title={t("live.hint")}>
      <span className="dot" aria-hidden="true" />
      {stale
        ? t("live.stale", { age: ago(now - heard) })
        : t(line.state === "live" ? "live.live" : "live.connecting")}
    </p>
  );
}

/** What everybody must know, whatever page they are on. */
function Bars({ onStop, onLock }: { onStop: () => void; onLock: () => void }) {
  const speech = useSpeech();
  const { t, ago } = speech;
  const store = useStore();
  const line = useLive((live) => live.line);
  const heard = useLive((live) => live.heard);
  const desk = useBoard((board) => board.desk);
  const now = useNow();
  return (
    <>
      {line.state === "stale" && (
        <section className="bar bar-stale" role="alert">
          <Icon name="warn" />
          <div className="bar-text">
            <strong>{t("stale.title")}</strong>{" "}
            <span>
              {t("stale.text", { age: ago(now - heard) })}{" "}
              {line.retryAt === null
                ? t("stale.trying")
                : t("stale.retry", {
                    seconds: Math.max(0, Math.ceil((line.retryAt - now) / 1000)),
                  })}
            </span>
          </div>
          <button type="button" className="button" onClick={() => store.retryNow()}>
            {t("stale.now")}
          </button>
        </section>
      )}
      {desk?.stopped && (
        <section className="bar bar-stop" role="status">
          <Icon name="stop" />
          <div className="bar-text">
            <strong>{t("stop.bar", { degree: degree(desk.stopped, t) })}</strong>{" "}
            <span>{desk.stop_reason}</span>
          </div>
          <button type="button" className="button" onClick={onStop}>
            {t("stop.resume")}
          </button>
        </section>
      )}
      {desk?.locked && (
        <section className="bar bar-lock" role="status">
          <Icon name="lock" />
          <div className="bar-text">
            <strong>{t("lock.locked")}</strong> <span>{desk.lock_reason}</span>
          </div>
          <button type="button" className="button" onClick={onLock}>
            {t("lock.unlock")}
          </button>
        </section>
      )}
    </>
  );
}

function UserMenu({ onLogout, onOpen }: { onLogout: () => void; onOpen: (open: Open) => void }) {
  const { t, language, setLanguage } = useSpeech();
  const me = useLive((live) => live.me);
  const prefs = usePrefs();
  const toast = useToast();
  const logout = async () => {
    try {
      await ask("POST /api/logout");
      onLogout();
    } catch (error) {
      toast.bad(error);
    }
  };
  return (
    <Menu
      label={t("user.menu")}
      trigger={
        <button type="button" className="button square quiet" aria-label={t("user.menu")}>
          <Icon name="user" />
        </button>
      }
    >
      {me && <p className="menu-label">{t("user.signed_in", { name: me.name, role: me.role })}</p>}
      <Radios
        label={t("look.theme")}
        value={prefs.theme}
        options={[
          ["dark", t("look.dark")],
          ["light", t("look.light")],
          ["system", t("look.system")],
        ]}
        onChange={(theme) => setPrefs({ theme })}
      />
      <Radios
        label={t("look.language")}
        value={language}
        options={[
          ["en", "English"],
          ["ja", "日本語"],
        ]}
        onChange={setLanguage}
      />
      <Radios
        label={t("look.pnl")}
        value={prefs.pnl}
        options={[
          ["western", t("look.western")],
          ["japanese", t("look.japanese")],
          ["neutral", t("look.neutral")],
        ]}
        onChange={(pnl) => setPrefs({ pnl })}
      />
      <Line />
      <Item onSelect={() => onOpen("help")}>{t("keys.title")}</Item>
      <Item onSelect={() => onOpen("lock")}>{t("lock.menu")}</Item>
      <Item onSelect={() => void logout()}>{t("user.logout")}</Item>
    </Menu>
  );
}

function Help({ onClose }: { onClose: () => void }) {
  const { t } = useSpeech();
  const keys: [string, string][] = [
    ["Ctrl K · ⌘K", t("keys.palette")],
    ...PAGES.map((page): [string, string] => [`g ${page.letter}`, t(page.title)]),
    ["/", t("keys.filter")],
    ["j · k", t("keys.step")],
    ["Enter", t("keys.open")],
    ["t", t("travel.title")],
    ["!", t("stop.stop")],
    ["Esc", t("keys.escape")],
    ["?", t("keys.title")],
  ];
  return (
    <Dialog open onClose={onClose} title={t("keys.title")}>
      <dl className="keys">
        {keys.map(([key, what]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
