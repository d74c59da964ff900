import type { Key } from "../i18n";
import type { IconName } from "../ui/icons";

export interface Page {
  path: string;
  title: Key;
  icon: IconName;
  /** `g`, then this. */
  letter: string;
}

export const PAGES: readonly Page[] = [
  { path: "/", title: "nav.now", icon: "now", letter: "n" },
  { path: "/copying", title: "nav.copying", icon: "copying", letter: "c" },
  { path: "/accounts", title: "nav.accounts", icon: "accounts", letter: "a" },
  { path: "/endpoints", title: "nav.endpoints", icon: "endpoints", letter: "e" },
  { path: "/log", title: "nav.log", icon: "log", letter: "l" },
  { path: "/settings", title: "nav.settings", icon: "settings", letter: "s" },
];

/** Whether the page of the menu holds what the address shows. */
export const isIn = (page: Page, path: string) =>
  page.path === "/"
    ? path === "/"
    : path === page.path ||
      path.startsWith(`${page.path}/`) ||
      (page.path === "/copying" && path.startsWith("/trades"));
