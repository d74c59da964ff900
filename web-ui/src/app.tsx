import { useState } from "react";
import { DeskPage } from "./pages/desk";
import { Login, Welcome } from "./pages/gate";
import { parseHash, replaceHash, useHash } from "./util/hooks";

type Session = "in" | "out" | "ended";

export function App() {
  const { path, query } = parseHash(useHash());
  // Signed in until the server says otherwise: the cookie cannot be read from here.
  const [session, setSession] = useState<Session>("in");

  if (path === "/welcome") {
    return (
      <Welcome
        code={query.get("code")}
        onIn={() => {
          setSession("in");
          replaceHash("#/");
        }}
      />
    );
  }
  if (session !== "in") {
    return <Login ended={session === "ended"} onIn={() => setSession("in")} />;
  }
  return (
    <DeskPage
      asOf={query.get("as_of")}
      onSignedOut={(ended) => setSession(ended ? "ended" : "out")}
    />
  );
}
