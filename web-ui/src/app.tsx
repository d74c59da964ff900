import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import {
  type ComponentType,
  lazy,
  Suspense,
  useCallback,
  useEffect,
  useMemo,
  useState,
} from "react";
import { asProblem, whenSignedOut } from "./api/client";
import { useSpeech } from "./i18n";
import { Living, usePast, useReady } from "./live/hooks";
import { Store } from "./live/store";
import { Login, Welcome } from "./pages/gate";
import { NowPage } from "./pages/now";
import { Link } from "./shell/link";
import { go, match, useRoute } from "./shell/router";
import { Shell } from "./shell/shell";
import { Empty, Failed, Skeleton } from "./ui/states";
import { TipProvider } from "./ui/tip";
import { Toasts } from "./ui/toast";

type Params = Record<string, string>;
type PageOf = ComponentType<{ params: Params }>;

const page = (load: () => Promise<{ default: PageOf }>) => lazy(load);

/** Every address of the page. The first is what somebody sees at 3 a.m., and comes with the page itself. */
const ROUTES: readonly [pattern: string, page: PageOf][] = [
  ["/", NowPage],
  ["/copying", page(() => import("./pages/copying"))],
  ["/copying/{master}/{slave}", page(() => import("./pages/member"))],
  ["/accounts", page(() => import("./pages/accounts"))],
  ["/accounts/{role}/{account}", page(() => import("./pages/account"))],
  ["/trades", page(() => import("./pages/trade"))],
  ["/trades/{signal}", page(() => import("./pages/trade"))],
  ["/endpoints", page(() => import("./pages/endpoints"))],
  ["/endpoints/{id}", page(() => import("./pages/endpoint"))],
  ["/log", page(() => import("./pages/log"))],
  ["/log/{position}", page(() => import("./pages/event"))],
  ["/settings", page(() => import("./pages/settings"))],
];

/** One-time codes stand in the fragment, so that they reach no server and no log of one. */
function welcomeCode(): string | null | undefined {
  const [path, query = ""] = window.location.hash.replace(/^#/, "").split("?", 2);
  return path === "/welcome" ? new URLSearchParams(query).get("code") : undefined;
}

export function App() {
  const [session, setSession] = useState<"in" | "out" | "ended">("in");
  const [welcome, setWelcome] = useState(welcomeCode);
  useEffect(() => {
    const changed = () => setWelcome(welcomeCode());
    window.addEventListener("hashchange", changed);
    return () => window.removeEventListener("hashchange", changed);
  }, []);
  const enter = useCallback(() => {
    go("/", "replace");
    setWelcome(undefined);
    setSession("in");
  }, []);
  if (welcome !== undefined) return <Welcome code={welcome} onIn={enter} />;
  if (session !== "in") {
    return <Login ended={session === "ended"} onIn={() => setSession("in")} />;
  }
  return <Inside onOut={setSession} />;
}

/** Lives as long as somebody is signed in; what was read goes with it. */
function Inside({ onOut }: { onOut: (how: "out" | "ended") => void }) {
  const client = useMemo(
    () =>
      new QueryClient({
        defaultOptions: {
          queries: {
            staleTime: 2_000,
            retry: (count, error) => count < 2 && asProblem(error).status >= 500,
            refetchOnWindowFocus: false,
          },
        },
      }),
    [],
  );
  // A page that was opened by somebody who is not signed in has no session that could have ended.
  const store = useMemo(() => new Store(() => onOut(store.get().me ? "ended" : "out")), [onOut]);
  useEffect(() => {
    whenSignedOut(() => onOut(store.get().me ? "ended" : "out"));
    store.start();
    return () => store.stop();
  }, [store, onOut]);
  return (
    <QueryClientProvider client={client}>
      <TipProvider>
        <Toasts>
          <Living store={store}>
            <Shell onLogout={() => onOut("out")}>
              <Page />
            </Shell>
          </Living>
        </Toasts>
      </TipProvider>
    </QueryClientProvider>
  );
}

function Page() {
  const { t } = useSpeech();
  const { path } = useRoute();
  const past = usePast();
  const ready = useReady();
  for (const [pattern, Shown] of ROUTES) {
    const params = match(pattern, path);
    if (!params) continue;
    if (past?.problem && !past.board) return <Failed error={past.problem} />;
    return (
      <Suspense fallback={<Skeleton rows={8} />}>
        {ready ? <Shown params={params} key={path} /> : <Skeleton rows={8} />}
      </Suspense>
    );
  }
  return (
    <Empty icon="warn" title={t("missing.title")}>
      <Link to="/">{t("missing.home")}</Link>
    </Empty>
  );
}
